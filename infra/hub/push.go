package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // git's name of a file, no secret
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Upload is a file to push.
type Upload struct {
	Path   string
	Size   int64  // bytes
	SHA256 string // hex
	// Open reads it from its begin, each time it is called.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Push says what a branch of a dataset repository shall hold.
type Push struct {
	Repo   string // owner/name; made where it is missing
	Branch string // "" = main; made where it is missing
	// Public makes the repository a public one, and is needed to push to one that is.
	Public  bool
	Message string // of the commit, in one line
	Tag     string // that the commit gets; "" = none
	Files   []Upload
	// Stale is shown the files of the branch and names those that shall go, or refuses them by an error. read reads a small one whole.
	Stale func(ctx context.Context, there []File, read func(File) ([]byte, error)) ([]string, error)
	// Progress is told how many of the bytes to upload are there, by several goroutines at once.
	Progress func(done, total int64)
}

// Pushed is what a branch holds now.
type Pushed struct {
	Repo      string // as the hub spells it
	Commit    string
	URL       string // for a person
	Private   bool
	Unchanged bool  // it held all of it already
	Files     int   // that were new or others
	Bytes     int64 // of these
	Begun     bool  // something of the hub may have been changed; set with an error too
}

// Push makes a branch of a dataset repository hold some files, by one commit: a reader sees all of it or nothing. It is idempotent: what is there is not
// uploaded again, and a branch that holds all is left as it is. The commit names the one that it was made for as its parent: where another was made
// meanwhile, that is Conflict. Files are read as they are sent, a piece at a time, and held to their SHA-256.
func (h *Hub) Push(ctx context.Context, p Push) (Pushed, error) {
	done := Pushed{Repo: p.Repo}
	if h.token == "" {
		return done, rebased.E(rebased.Unauthorized, "push to %s: HF_TOKEN is not set: set it to a token that may write there, see %s/settings/tokens", p.Repo, h.endpoint)
	}
	repo, err := h.target(ctx, p, &done)
	if err != nil {
		return done, err
	}
	change, err := h.change(ctx, repo, p)
	if err != nil {
		return done, err
	}
	done.Commit, done.Unchanged, done.Files = repo.Revision, change.empty(), len(change.add)
	if !done.Unchanged {
		done.Begun = true
		for _, file := range change.add {
			done.Bytes += file.Size
		}
		if done.Commit, err = h.commit(ctx, repo, p, change); err != nil {
			return done, err
		}
	}
	if p.Tag != "" {
		op := fmt.Sprintf("tag commit %.12s of %s", done.Commit, repo)
		err := h.post(ctx, repo, op, h.api(repo, "/tag/"+done.Commit), map[string]string{"tag": p.Tag}, nil)
		if err != nil && rebased.KindOf(err) != rebased.Conflict { // it has the tag
			done.Begun = true
			return done, err
		}
	}
	return done, nil
}

// target finds the branch, or makes it, and the repository too. Its Revision is the commit that the branch stands for.
func (h *Hub) target(ctx context.Context, p Push, done *Pushed) (Repo, error) {
	repo := Repo{Kind: Datasets, ID: p.Repo}
	info, err := h.Info(ctx, repo)
	if rebased.KindOf(err) == rebased.NotFound {
		done.Begun = true
		if err := h.create(ctx, repo, !p.Public); err != nil {
			return repo, err
		}
		info, err = h.Info(ctx, repo)
	}
	if err != nil {
		return repo, err
	}
	repo.ID = info.ID // a renamed one answers to its old name, but not to writes
	done.Repo, done.URL, done.Private = info.ID, h.page(repo), info.Private
	if !info.Private && !p.Public {
		return repo, rebased.E(rebased.Invalid, "push to %s: it is public: say --public if everybody may read the version, or name another repository", repo)
	}
	if p.Branch != "" && p.Branch != "main" {
		main := info.Commit
		repo.Revision = p.Branch
		info, err = h.Info(ctx, repo)
		if rebased.KindOf(err) == rebased.NotFound {
			done.Begun = true
			op := fmt.Sprintf("make branch %s of %s", p.Branch, repo)
			err = h.post(ctx, repo, op, h.api(repo, "/branch/"+url.PathEscape(p.Branch)), map[string]string{"startingPoint": main}, nil)
			if err != nil && rebased.KindOf(err) != rebased.Conflict { // another made it
				return repo, err
			}
			info, err = h.Info(ctx, repo)
		}
		if err != nil {
			return repo, err
		}
	}
	repo.Revision = info.Commit
	return repo, nil
}

func (h *Hub) create(ctx context.Context, repo Repo, private bool) error {
	owner, name, found := strings.Cut(repo.ID, "/")
	if !found {
		owner, name = "", repo.ID
	}
	body := map[string]any{"type": repo.Kind, "name": name, "private": private}
	if owner != "" {
		body["organization"] = owner
	}
	err := h.post(ctx, repo, "make "+repo.String(), h.endpoint.String()+"/api/repos/create", body, nil)
	if rebased.KindOf(err) == rebased.Conflict { // another made it
		return nil
	}
	return err
}

// change is what makes a branch hold what it shall.
type change struct {
	add    []Upload
	remove []string // paths
}

func (c change) empty() bool { return len(c.add)+len(c.remove) == 0 }

func (h *Hub) change(ctx context.Context, repo Repo, p Push) (change, error) {
	there, err := h.Files(ctx, repo)
	if err != nil {
		return change{}, err
	}
	var c change
	for _, file := range p.Files {
		n := slices.IndexFunc(there, func(f File) bool { return f.Path == file.Path })
		same := false
		if n >= 0 {
			if same, err = file.is(ctx, there[n]); err != nil {
				return c, err
			}
		}
		if !same {
			c.add = append(c.add, file)
		}
	}
	if p.Stale == nil {
		return c, nil
	}
	const small = 32 << 20
	c.remove, err = p.Stale(ctx, there, func(f File) ([]byte, error) {
		if f.Size > small {
			return nil, rebased.E(rebased.Invalid, "%s of %s has %d bytes", f.Path, repo, f.Size)
		}
		body, err := h.Open(ctx, repo, f)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	})
	c.remove = slices.DeleteFunc(c.remove, func(path string) bool {
		return slices.ContainsFunc(p.Files, func(f Upload) bool { return f.Path == path }) || !slices.ContainsFunc(there, func(f File) bool { return f.Path == path })
	})
	return c, err
}

// is reports whether a file of the hub has the same bytes.
func (u Upload) is(ctx context.Context, there File) (bool, error) {
	if there.SHA256 != "" || there.Size != u.Size {
		return there.SHA256 == u.SHA256 && there.Size == u.Size, nil
	}
	body, err := u.Open(ctx)
	if err != nil {
		return false, err
	}
	defer body.Close()
	sum := sha1.New() //nolint:gosec // see the import
	fmt.Fprintf(sum, "blob %d\x00", u.Size)
	_, err = io.Copy(sum, body)
	return hex.EncodeToString(sum.Sum(nil)) == there.Blob, err
}

// commit uploads what goes into the large files' store and makes the commit. An attempt without an answer may have made it: what the branch holds then
// tells.
func (h *Hub) commit(ctx context.Context, parent Repo, p Push, c change) (string, error) {
	inside, large, err := h.modes(ctx, parent, p, c.add)
	if err != nil {
		return "", err
	}
	if err := h.uploadAll(ctx, parent, p, large); err != nil {
		return "", err
	}
	op, branch := "commit to "+parent.String(), cmp.Or(p.Branch, "main")
	var made string
	err = h.retry(ctx, func() error {
		var reply struct {
			Commit string `json:"commitOid"`
		}
		pipe, w := io.Pipe()
		within, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() { w.CloseWithError(writeCommit(within, w, parent.Revision, p, inside, large, c.remove)) }()
		err := h.send(ctx, parent, op, h.api(parent, "/commit/"+url.PathEscape(branch)), "application/x-ndjson", &payload{reader: pipe, size: -1}, &reply)
		_ = pipe.CloseWithError(errors.New("the request has ended"))
		if err == nil && !commit.MatchString(reply.Commit) {
			err = rebased.E(rebased.Unavailable, "%s: the answer names no commit", op)
		}
		if made = reply.Commit; err == nil || !passing(err) && rebased.KindOf(err) != rebased.Conflict {
			return err
		}
		now := parent
		now.Revision = branch
		info, look := h.Info(ctx, now)
		if look != nil || info.Commit == parent.Revision {
			return err
		}
		now.Revision = info.Commit
		if rest, look := h.change(ctx, now, p); look == nil && rest.empty() {
			made = info.Commit
			return nil
		}
		return rebased.E(rebased.Conflict, "%s: branch %s was changed by another commit meanwhile: push again", op, branch)
	})
	return made, err
}

// writeCommit writes the lines of a commit: its header, files by their bytes or by their SHA-256, and what goes.
func writeCommit(ctx context.Context, w io.Writer, parent string, p Push, inside, large []Upload, remove []string) error {
	type line struct {
		Key   string            `json:"key"`
		Value map[string]string `json:"value"`
	}
	lines := json.NewEncoder(w)
	if err := lines.Encode(line{"header", map[string]string{"summary": p.Message, "description": "", "parentCommit": parent}}); err != nil {
		return err
	}
	for _, file := range inside {
		if err := writeFile(ctx, w, file); err != nil {
			return err
		}
	}
	for _, file := range large {
		value := map[string]any{"path": file.Path, "algo": "sha256", "oid": file.SHA256, "size": file.Size}
		if err := lines.Encode(map[string]any{"key": "lfsFile", "value": value}); err != nil {
			return err
		}
	}
	for _, path := range remove {
		if err := lines.Encode(line{"deletedFile", map[string]string{"path": path}}); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes the line of a file that goes with the commit.
func writeFile(ctx context.Context, w io.Writer, file Upload) error {
	path, err := json.Marshal(file.Path)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, `{"key":"file","value":{"path":%s,"encoding":"base64","content":"`, path); err != nil {
		return err
	}
	from := &sending{file: file}
	defer from.close()
	if err := from.seek(ctx, 0); err != nil {
		return err
	}
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := io.CopyN(encoder, from, file.Size); err != nil {
		return err
	}
	if err := errors.Join(from.whole(), encoder.Close()); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\"}}\n")
	return err
}

const (
	modesAtOnce = 256      // files that are asked about in one request
	sampleSize  = 512      // bytes of a file that the hub is shown to tell text from the rest
	mostInside  = 16 << 20 // bytes of a file that goes with a commit
	uploads     = 4        // at once
)

// modes asks the hub which files go with the commit and which into the store of large files.
func (h *Hub) modes(ctx context.Context, repo Repo, p Push, files []Upload) (inside, large []Upload, err error) {
	type asked struct {
		Path   string `json:"path"`
		Sample []byte `json:"sample"`
		Size   int64  `json:"size"`
	}
	type answered struct {
		Path   string `json:"path"`
		Mode   string `json:"uploadMode"` // lfs or regular
		Ignore bool   `json:"shouldIgnore"`
	}
	op := "ask how files go to " + repo.String()
	for some := range slices.Chunk(files, modesAtOnce) {
		var question struct {
			Files []asked `json:"files"`
		}
		for _, file := range some {
			sample, err := file.sample(ctx)
			if err != nil {
				return nil, nil, err
			}
			question.Files = append(question.Files, asked{file.Path, sample, file.Size})
		}
		var reply struct {
			Files []answered `json:"files"`
		}
		branch := url.PathEscape(cmp.Or(p.Branch, "main"))
		if err := h.post(ctx, repo, op, h.api(repo, "/preupload/"+branch), question, &reply); err != nil {
			return nil, nil, err
		}
		for _, file := range some {
			n := slices.IndexFunc(reply.Files, func(f answered) bool { return f.Path == file.Path })
			switch {
			case n < 0:
				return nil, nil, rebased.E(rebased.Unavailable, "%s: the answer leaves out %s", op, file.Path)
			case reply.Files[n].Ignore:
				return nil, nil, rebased.E(rebased.Invalid, "%s: its .gitignore leaves out %s: change that file, or name another repository", op, file.Path)
			case reply.Files[n].Mode == "lfs" && file.Size > 0:
				large = append(large, file)
			case file.Size > mostInside:
				return nil, nil, rebased.E(rebased.Invalid, "%s: %s shall go with the commit, and has %d bytes", op, file.Path, file.Size)
			default:
				inside = append(inside, file)
			}
		}
	}
	return inside, large, nil
}

func (u Upload) sample(ctx context.Context) ([]byte, error) {
	body, err := u.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	sample, err := io.ReadAll(io.LimitReader(body, sampleSize))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", u.Path, err)
	}
	return sample, nil
}

// uploadAll uploads large files, a few at once.
func (h *Hub) uploadAll(ctx context.Context, repo Repo, p Push, files []Upload) error {
	var done atomic.Int64
	total := int64(0)
	for _, file := range files {
		total += file.Size
	}
	sent := func(n int64) {
		if now := done.Add(n); p.Progress != nil {
			p.Progress(now, total)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, file := range files {
		group.Go(func() error { return h.upload(ctx, repo, cmp.Or(p.Branch, "main"), file, sent) })
	}
	return group.Wait()
}

// post sends JSON and reads the answer, tried again where that may help.
func (h *Hub) post(ctx context.Context, repo Repo, op, address string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return h.retry(ctx, func() error {
		within, cancel := context.WithTimeout(ctx, h.stall)
		defer cancel()
		err := h.send(within, repo, op, address, "application/json", &payload{reader: bytes.NewReader(body), size: int64(len(body))}, answer)
		if err != nil && ctx.Err() == nil && within.Err() != nil {
			return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: errStalled}
		}
		return err
	})
}

// send makes one request that changes something. Redirects are not followed: they would carry the body to another place. answer may be nil.
func (h *Hub) send(ctx context.Context, repo Repo, op, address, contentType string, body *payload, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return rebased.E(rebased.Invalid, "%s: the address cannot be made: %w", op, err)
	}
	request.ContentLength = body.size
	request.Header.Set("User-Agent", "rebased")
	request.Header.Set("Content-Type", contentType)
	if contentType == lfsType {
		request.Header.Set("Accept", contentType)
	}
	response, err := h.writer.Do(request)
	if err != nil {
		return cmp.Or(body.broken(), h.broken(ctx, op, err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	switch {
	case response.StatusCode < 200 || response.StatusCode > 299:
		return h.writeRefusal(repo, op, response, text)
	case err != nil:
		return h.broken(ctx, op, err)
	case len(text) > maxReply:
		return rebased.E(rebased.Invalid, "%s: the answer is larger than %d bytes", op, maxReply)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: fmt.Errorf("the answer is no JSON of ours: %w", err)}
	}
	return nil
}

// writeRefusal gives an answer that is none its kind.
func (h *Hub) writeRefusal(repo Repo, op string, response *http.Response, body []byte) error {
	said := h.quote(response.Header.Get("X-Error-Message"))
	if said == "" {
		var reply struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(body, &reply) // what is no JSON says nothing
		said = h.quote(reply.Error)
	}
	var kind rebased.Kind
	var text string
	switch status := response.StatusCode; {
	case status >= 300 && status <= 399:
		kind, text = rebased.Invalid, "the hub leads elsewhere, which is not followed"
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		kind, text = rebased.Conflict, "HTTP "+strconv.Itoa(status)
	case status == http.StatusForbidden:
		kind, text = rebased.Unauthorized, "the token may not write there: give HF_TOKEN a token with write access to "+repo.ID
	case status == http.StatusUnauthorized:
		kind, text = rebased.Unauthorized, "the hub does not accept the token: set HF_TOKEN to a valid one that may write"
	default:
		return h.refusal(repo, op, response)
	}
	if said != "" {
		text += ": " + said
	}
	return &rebased.Error{Kind: kind, Op: op, Err: errors.New(text)}
}

// payload is a body on its way that keeps the error of its source. Once it is closed nobody reads from the source any more: net/http may go on with
// a body after it has given an error.
type payload struct {
	size int64 // -1 = not known

	mu     sync.Mutex
	reader io.Reader // nil = closed
	err    error
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reader == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := p.reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

// Close implements io.Closer.
func (p *payload) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reader = nil
	return nil
}

// broken closes the body and gives the error of its source.
func (p *payload) broken() error {
	_ = p.Close()
	return p.err
}

// sending reads a file that is to be uploaded, and sums it from its begin whatever is read twice.
type sending struct {
	file   Upload
	at     int64
	body   io.ReadCloser
	cancel context.CancelFunc // ends a Read that waits
	sum    hash.Hash
}

// seek goes to a place. Backwards means to read again.
func (s *sending) seek(ctx context.Context, to int64) (err error) {
	if s.body == nil || s.at > to {
		s.close()
		ctx, s.cancel = context.WithCancel(ctx)
		s.at, s.sum = 0, sha256.New()
		if s.body, err = s.file.Open(ctx); err != nil {
			s.cancel()
			return err
		}
	}
	_, err = io.CopyN(io.Discard, s, to-s.at)
	return err
}

// Read implements io.Reader. A file that ends early is Invalid.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	_, _ = s.sum.Write(p[:n])
	s.at += int64(n)
	switch {
	case errors.Is(err, io.EOF) && s.at < s.file.Size:
		err = rebased.E(rebased.Invalid, "%s has %d bytes where the manifest says %d", s.file.Path, s.at, s.file.Size)
	case err != nil && !errors.Is(err, io.EOF):
		err = fmt.Errorf("read %s: %w", s.file.Path, err)
	}
	return n, err
}

// whole checks what was read to the end.
func (s *sending) whole() error {
	if hex.EncodeToString(s.sum.Sum(nil)) != s.file.SHA256 {
		return rebased.E(rebased.Invalid, "%s was changed: its SHA-256 is not the one of the manifest", s.file.Path)
	}
	return nil
}

func (s *sending) close() {
	if s.body != nil {
		s.cancel()
		_ = s.body.Close()
		s.body = nil
	}
}
