package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// lfsType is the media type of Git LFS's batch API (github.com/git-lfs/git-lfs, docs/api/batch.md), by which large files go to the hub. Beside its transfer
// "basic" the hub has "multipart": the header of the upload has chunk_size and, under 1, 2, …, an address for each part; the address of the upload itself is
// told the parts' ETags at the end.
const lfsType = "application/vnd.git-lfs+json"

type lfsAction struct {
	Href   string                     `json:"href"`
	Header map[string]json.RawMessage `json:"header"`
}

type lfsObject struct {
	OID     string `json:"oid"`
	Actions *struct {
		Upload *lfsAction `json:"upload"`
		Verify *lfsAction `json:"verify"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// upload brings one file into the store of large files, unless it is there. Addresses are asked for just before they are used: they run out.
func (h *Hub) upload(ctx context.Context, repo Repo, branch string, file Upload, sent func(n int64)) error {
	op := fmt.Sprintf("upload %s to %s", file.Path, repo)
	object, err := h.batch(ctx, repo, op, branch, file)
	if err != nil {
		return err
	}
	if object.Actions == nil || object.Actions.Upload == nil {
		sent(file.Size)
		return nil
	}
	action := *object.Actions.Upload
	parts, size, err := action.parts(file.Size)
	if err != nil {
		return rebased.E(rebased.Invalid, "%s: %w", op, err)
	}
	from := &sending{file: file}
	defer from.close()
	type part struct {
		Number int    `json:"partNumber"`
		ETag   string `json:"etag"`
	}
	var done []part
	for n, href := range parts {
		at := int64(n) * size
		var etag string
		err := h.retry(ctx, func() (err error) {
			if err := from.seek(ctx, at); err != nil {
				return err
			}
			etag, err = h.put(ctx, op, href, action.headers(), from, min(size, file.Size-at), sent)
			return err
		})
		if err != nil {
			return err
		}
		done = append(done, part{n + 1, etag})
	}
	if err := from.whole(); err != nil {
		return err
	}
	if action.Header["chunk_size"] != nil {
		if err := h.report(ctx, repo, op, action.Href, map[string]any{"oid": file.SHA256, "parts": done}); err != nil {
			return err
		}
	}
	if verify := object.Actions.Verify; verify != nil {
		return h.report(ctx, repo, op, verify.Href, map[string]any{"oid": file.SHA256, "size": file.Size})
	}
	return nil
}

// batch asks where a file goes.
func (h *Hub) batch(ctx context.Context, repo Repo, op, branch string, file Upload) (lfsObject, error) {
	question, err := json.Marshal(map[string]any{
		"operation": "upload", "transfers": []string{"basic", "multipart"}, "hash_algo": "sha256", "ref": map[string]string{"name": branch},
		"objects": []map[string]any{{"oid": file.SHA256, "size": file.Size}},
	})
	if err != nil {
		return lfsObject{}, fmt.Errorf("%s: %w", op, err)
	}
	var reply struct {
		Objects []lfsObject `json:"objects"`
	}
	address := h.page(repo) + ".git/info/lfs/objects/batch"
	err = h.retry(ctx, func() error {
		within, cancel := context.WithTimeout(ctx, h.stall)
		defer cancel()
		return h.send(within, repo, op, address, lfsType, &payload{reader: bytes.NewReader(question), size: int64(len(question))}, &reply)
	})
	switch {
	case err != nil:
		return lfsObject{}, err
	case len(reply.Objects) != 1 || reply.Objects[0].OID != file.SHA256:
		return lfsObject{}, rebased.E(rebased.Unavailable, "%s: the answer is about another file", op)
	case reply.Objects[0].Error != nil:
		return lfsObject{}, rebased.E(rebased.Invalid, "%s: the store of large files refuses it: %s", op, h.quote(reply.Objects[0].Error.Message))
	}
	return reply.Objects[0], nil
}

// parts are the addresses that a file's parts of some size go to, one for a file that goes as a whole.
func (a lfsAction) parts(size int64) (hrefs []string, partSize int64, err error) {
	if a.Header["chunk_size"] == nil {
		return []string{a.Href}, size, nil
	}
	partSize, err = strconv.ParseInt(a.text("chunk_size"), 10, 64)
	if err != nil || partSize < 1 {
		return nil, 0, fmt.Errorf("the store of large files names parts of %.20q bytes", a.text("chunk_size"))
	}
	count := (size-1)/partSize + 1
	if count > int64(len(a.Header)) {
		return nil, 0, errors.New("the store of large files names too few addresses for the parts")
	}
	numbered := map[int64]string{}
	for name := range a.Header { // 1, or 00001
		if n, err := strconv.ParseInt(name, 10, 64); err == nil {
			numbered[n] = a.text(name)
		}
	}
	if int64(len(numbered)) != count {
		return nil, 0, fmt.Errorf("the store of large files names %d addresses for %d parts", len(numbered), count)
	}
	for n := range count {
		hrefs = append(hrefs, numbered[n+1])
	}
	return hrefs, partSize, nil
}

// text is a value of the header, which may be written as a number.
func (a lfsAction) text(name string) string {
	var text string
	if json.Unmarshal(a.Header[name], &text) == nil {
		return text
	}
	return strings.TrimSpace(string(a.Header[name]))
}

// headers are what a file that goes as a whole is sent with.
func (a lfsAction) headers() http.Header {
	header := http.Header{}
	if a.Header["chunk_size"] != nil {
		return header
	}
	for name := range a.Header {
		switch strings.ToLower(name) {
		case "host", "content-length", "transfer-encoding", "connection":
		default:
			header.Set(name, a.text(name))
		}
	}
	return header
}

// put sends the next size bytes of a file to a signed address, without the token. It gives the ETag. After an error the file must be read anew.
func (h *Hub) put(ctx context.Context, op, href string, header http.Header, from *sending, size int64, sent func(n int64)) (etag string, err error) {
	if err := h.mayLead(href); err != nil {
		return "", rebased.E(rebased.Invalid, "%s: %w", op, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wake := from.cancel
	timer := time.AfterFunc(h.stall, func() { cancel(errStalled); wake() })
	defer timer.Stop()
	counted := int64(0)
	body := &payload{size: size, reader: io.LimitReader(readerFunc(func(p []byte) (int, error) {
		n, err := from.Read(p)
		timer.Reset(h.stall)
		counted += int64(n)
		sent(int64(n))
		return n, err
	}), size)}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, href, body)
	if err != nil {
		return "", rebased.E(rebased.Invalid, "%s: the address cannot be made", op)
	}
	request.Header, request.ContentLength = header, size
	response, err := h.bare.Do(request)
	broken := body.broken() // nobody reads any more
	defer func() {
		if err != nil {
			sent(-counted)
			from.close()
		}
	}()
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		err = &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: errStalled}
	case broken != nil:
		err = broken
	case err != nil:
		err = h.broken(ctx, op, err)
	}
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // the connection is used again
	if status := response.StatusCode; status < 200 || status > 299 {
		return "", &rebased.Error{
			Kind: rebased.Unavailable, Op: op, RetryAfter: retryAfter(response.Header, time.Now()), Err: fmt.Errorf("the store of large files says HTTP %d", status),
		}
	}
	const longest = 1000
	switch etag = response.Header.Get("ETag"); {
	case counted != size:
		return "", rebased.E(rebased.Unavailable, "%s: the store of large files took %d of %d bytes", op, counted, size)
	case len(etag) > longest:
		return "", rebased.E(rebased.Invalid, "%s: the store of large files gives an ETag of %d bytes", op, len(etag))
	}
	return etag, nil
}

// report tells an address that an upload is complete.
func (h *Hub) report(ctx context.Context, repo Repo, op, href string, what map[string]any) error {
	if err := h.mayLead(href); err != nil {
		return rebased.E(rebased.Invalid, "%s: %w", op, err)
	}
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return h.retry(ctx, func() error {
		within, cancel := context.WithTimeout(ctx, h.stall)
		defer cancel()
		return h.send(within, repo, op, href, lfsType, &payload{reader: bytes.NewReader(body), size: int64(len(body))}, nil)
	})
}

// mayLead refuses addresses that the hub must not lead to: others than http(s), and plain ones from https.
func (h *Hub) mayLead(href string) error {
	to, err := url.Parse(href)
	switch {
	case err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http":
		return errors.New("the hub names no address to upload to")
	case h.endpoint.Scheme == "https" && to.Scheme != "https":
		return errors.New("the hub leads from https to http")
	}
	return nil
}

type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
