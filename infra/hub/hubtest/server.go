// Package hubtest is a server with the API of the Hugging Face Hub, as far as this project and the hub's own Python client read from it and write to it,
// for tests: repositories in memory, listings in pages, files by redirect to another host, gates, rate limits, failures and files that end early, commits
// with files that go to another host as a whole or in parts. It is written from the hub's documentation, not from the adapter that it tests.
package hubtest

import (
	"crypto/sha1" //nolint:gosec // git's names
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Convert is the branch of the converted Parquet files.
const Convert = "refs/convert/parquet"

// Repo is a repository.
type Repo struct {
	Kind        string // dataset or model
	ID          string
	Gated       bool // needs Token
	Private     bool // needs Token, and does not exist for others
	Disabled    bool
	Card        map[string]any // cardData
	Description string
	Branches    map[string]map[string]string // branch -> path -> bytes
	Tags        map[string]map[string]string
}

// Fault is what happens in place of an answer.
type Fault struct {
	Status int
	Header map[string]string
	CutAt  int // of a file: the connection ends after so many bytes of the answer
}

// Server is a hub and the host that its files come from.
type Server struct {
	URL      string
	Files    string // the other host
	Token    string // that has access; others are refused
	Reader   string // a token that may read alone
	PageSize int
	PartSize int    // from how many bytes on a file is uploaded in parts of this size; 0 = none is
	Ignore   string // a path that .gitignore leaves out

	mu       sync.Mutex
	repos    map[string]Repo
	moved    map[string]string // old id -> new
	requests []*http.Request
	fault    func(r *http.Request) *Fault
	objects  map[string]string // large files that were uploaded, by SHA-256
	parts    map[string]string
	commits  int
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		Token: "hf_right", Reader: "hf_reader", PageSize: 3, repos: map[string]Repo{}, moved: map[string]string{}, objects: map[string]string{}, parts: map[string]string{},
	}
	hub, files := httptest.NewServer(s.handler(s.serveHub)), httptest.NewServer(s.handler(s.serveFile))
	t.Cleanup(hub.Close)
	t.Cleanup(files.Close)
	s.URL, s.Files = hub.URL, strings.Replace(files.URL, "127.0.0.1", "localhost", 1)
	return s
}

// Put adds or replaces a repository.
func (s *Server) Put(repo Repo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo.Kind+"s/"+repo.ID] = repo
}

// Move gives a dataset a new id; the old one leads there.
func (s *Server) Move(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repos["datasets/"+from]
	repo.ID = to
	delete(s.repos, "datasets/"+from)
	s.repos["datasets/"+to], s.moved["datasets/"+from] = repo, "datasets/"+to
}

// Fail has every request answered by what the function gives, unless that is nil.
func (s *Server) Fail(fault func(r *http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Requests gives the requests since the last call, in order.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.requests
	s.requests = nil
	return seen
}

// Commit is the commit of a branch: it changes with the files.
func (r Repo) Commit(branch string) string { return shaOf(r.Branches[branch]) }

func shaOf(files map[string]string) string {
	sum := sha1.New() //nolint:gosec // git's names
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%s\x00%s\x00", path, files[path])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (s *Server) handler(serve func(w http.ResponseWriter, r *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Clone(r.Context()))
		fault := s.fault
		s.mu.Unlock()
		if fault != nil {
			if f := fault(r); f != nil {
				if f.Status != 0 {
					for name, value := range f.Header {
						w.Header().Set(name, value)
					}
					w.WriteHeader(f.Status)
					return
				}
				w = &cutter{ResponseWriter: w, left: f.CutAt}
			}
		}
		serve(w, r)
	})
}

// cutter ends the connection in the middle of an answer.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; err == nil && n < len(p) {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// serveHub answers /api/<kind>s/<id>/…, and /datasets/<id>/resolve/… and /<id>/resolve/… .
func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.serveWrite(w, r)
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	rest, api := strings.CutPrefix(path, "api/")
	if !api && !strings.HasPrefix(rest, "datasets/") {
		rest = "models/" + rest
	}
	repo, action, ok := s.find(w, r, rest)
	if !ok {
		return
	}
	verb, rest, _ := strings.Cut(action, "/")
	revision, inner, _ := strings.Cut(rest, "/")
	revision, err := url.PathUnescape(revision)
	if err != nil {
		fail(w, http.StatusBadRequest, "", "bad path")
		return
	}
	if action == "" || action == "auth-check" || verb == "revision" && revision == "" {
		revision = "main"
	}
	files, sha, ok := repo.at(revision)
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	case api && (action == "" || verb == "revision"):
		reply(w, s.info(repo, files, sha))
	case api && action == "auth-check":
		reply(w, map[string]string{})
	case api && verb == "tree":
		s.tree(w, r, files)
	case !api && verb == "resolve":
		inner, _ = url.PathUnescape(inner)
		s.resolve(w, r, files, sha, inner)
	default:
		fail(w, http.StatusNotFound, "", "Sorry, we can't find the page you are looking for.")
	}
}

// find tells what a path is of, and refuses who may not see it.
func (s *Server) find(w http.ResponseWriter, r *http.Request, path string) (repo Repo, action string, ok bool) {
	kind, path, _ := strings.Cut(path, "/")
	segments := strings.Split(path, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token != "" && token != s.Token && token != s.Reader {
		fail(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return repo, "", false
	}
	for n := 1; n <= min(2, len(segments)); n++ {
		id := strings.Join(segments[:n], "/")
		action = strings.Join(segments[n:], "/")
		if to, moved := s.moved[kind+"/"+id]; moved {
			location := strings.Replace(r.URL.RequestURI(), kind+"/"+id, to, 1)
			http.Redirect(w, r, location, http.StatusTemporaryRedirect)
			return repo, "", false
		}
		repo, ok = s.repos[kind+"/"+id]
		if ok && (!repo.Private || token != "") {
			break
		}
		ok = false
	}
	switch {
	case !ok && token == "":
		fail(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		return repo, "", false
	case !ok:
		fail(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		return repo, "", false
	case repo.Disabled:
		fail(w, http.StatusForbidden, "", "Access to this resource is disabled.")
		return repo, "", false
	case repo.Gated && token == "" && (strings.HasPrefix(action, "resolve") || action == "auth-check"):
		fail(w, http.StatusUnauthorized, "GatedRepo", "Access to dataset "+repo.ID+" is restricted. You must have access to it and be authenticated to access it. Please log in.")
		return repo, "", false
	}
	return repo, action, true
}

func (r Repo) at(revision string) (files map[string]string, sha string, ok bool) {
	for branch, files := range r.Branches {
		if sha := r.Commit(branch); branch == revision || sha == revision {
			return files, sha, true
		}
	}
	for tag, files := range r.Tags {
		if sha := shaOf(files); tag == revision || sha == revision {
			return files, sha, true
		}
	}
	return nil, "", false
}

func (s *Server) info(repo Repo, files map[string]string, sha string) map[string]any {
	siblings := []map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		siblings = append(siblings, map[string]string{"rfilename": path})
	}
	out := map[string]any{
		"_id": "1", "id": repo.ID, "sha": sha, "private": repo.Private, "gated": false, "disabled": repo.Disabled, "description": repo.Description,
		"siblings": siblings, "tags": []string{}, "downloads": 0, "likes": 0, "cardData": repo.Card,
	}
	if repo.Gated {
		out["gated"] = "auto"
	}
	return out
}

// inLFS tells how the hub keeps a file.
func inLFS(path string, size int) bool {
	return size > large || strings.HasSuffix(path, ".parquet") || strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, ".onnx")
}

func sha256Hex(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func blobOf(body string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(body), body)) //nolint:gosec // git's names
	return hex.EncodeToString(sum[:])
}

// tree lists files and folders, a page at a time, the address of the next in the header Link.
func (s *Server) tree(w http.ResponseWriter, r *http.Request, files map[string]string) {
	entries := []map[string]any{}
	folders := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for i, c := range path {
			if c == '/' && !folders[path[:i]] {
				folders[path[:i]] = true
				entries = append(entries, map[string]any{"type": "directory", "oid": blobOf(path[:i]), "size": 0, "path": path[:i]})
			}
		}
		body := files[path]
		entry := map[string]any{"type": "file", "oid": blobOf(body), "size": len(body), "path": path}
		if inLFS(path, len(body)) {
			entry["lfs"] = map[string]any{"oid": sha256Hex(body), "size": len(body), "pointerSize": 130}
			entry["xetHash"] = sha256Hex("xet" + body)
		}
		entries = append(entries, entry)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	from = min(max(from, 0), len(entries))
	to := min(from+s.PageSize, len(entries))
	if to < len(entries) {
		next := *r.URL
		query := next.Query()
		query.Set("cursor", strconv.Itoa(to))
		next.RawQuery = query.Encode()
		w.Header().Set("Link", "<"+s.URL+next.RequestURI()+`>; rel="next"`)
	}
	reply(w, entries[from:to])
}

// resolve sends small files itself and leads to the other host for the rest.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, files map[string]string, sha, path string) {
	body, ok := files[path]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("X-Repo-Commit", sha)
	if !inLFS(path, len(body)) {
		w.Header().Set("ETag", `"`+blobOf(body)+`"`)
		send(w, r, body)
		return
	}
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(body)))
	w.Header().Set("X-Linked-Etag", `"`+sha256Hex(body)+`"`)
	http.Redirect(w, r, s.Files+"/"+sha256Hex(body)+"?X-Amz-Signature=secret", http.StatusFound)
}

// serveFile sends files by their SHA-256 to whom the hub has sent here. It refuses a token, as a signed address of S3 does.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		fail(w, http.StatusBadRequest, "", "Only one auth mechanism allowed")
		return
	}
	if r.Method == http.MethodPut {
		s.servePut(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if body, ok := s.objects[strings.TrimPrefix(r.URL.Path, "/")]; ok {
		send(w, r, body)
		return
	}
	for _, repo := range s.repos {
		for _, files := range repo.Branches {
			for _, body := range files {
				if r.URL.Path == "/"+sha256Hex(body) {
					send(w, r, body)
					return
				}
			}
		}
	}
	w.WriteHeader(http.StatusForbidden)
}

// send writes a file, or the part of it that is asked for.
func send(w http.ResponseWriter, r *http.Request, body string) {
	w.Header().Set("Accept-Ranges", "bytes")
	from := 0
	if asked, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		from, _ = strconv.Atoi(strings.TrimSuffix(asked, "-"))
		if from >= len(body) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body[from:]))
	}
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(value) //nolint:errchkjson // maps of texts
}

func fail(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}
