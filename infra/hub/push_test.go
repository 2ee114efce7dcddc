package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub/hubtest"
)

// version is files to push, by path.
func version(files map[string]string) (uploads []Upload) {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256([]byte(files[path]))
		uploads = append(uploads, Upload{
			Path: path, Size: int64(len(files[path])), SHA256: hex.EncodeToString(sum[:]),
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[path])), nil },
		})
	}
	return uploads
}

func firstFiles() map[string]string {
	return map[string]string{
		"README.md": "# set", "manifest.json": "{}", "configs/trl-sft.yaml": "max_length: 2048\n", "train-00000.parquet": strings.Repeat("rows ", 200), "train-00001.parquet": "more rows",
	}
}

func pushOf(files map[string]string) Push {
	return Push{Repo: "owner/new", Message: "squad 0123: 7 rows", Tag: "squad-0123", Files: version(files)}
}

func wantHeld(t *testing.T, s *hubtest.Server, revision string, want map[string]string) {
	t.Helper()
	got := s.Contents("owner/new", revision)
	delete(got, ".gitattributes")
	if !maps.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", revision, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

func TestAPushMakesAPrivateRepositoryThatHoldsTheFiles(t *testing.T) {
	for name, partSize := range map[string]int{"as a whole": 0, "in parts": 64} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			s.PartSize = partSize
			h, _ := connect(t, s, s.Token)
			p := pushOf(firstFiles())
			var done, total atomic.Int64
			p.Progress = func(d, of int64) { done.Store(max(d, done.Load())); total.Store(of) }
			got, err := h.Push(t.Context(), p)
			if err != nil || got.Unchanged || !got.Begun || !got.Private || got.Repo != "owner/new" || got.URL != s.URL+"/datasets/owner/new" || got.Files != 5 {
				t.Fatalf("got %+v, %v", got, err)
			}
			wantHeld(t, s, "main", firstFiles())
			wantHeld(t, s, "squad-0123", firstFiles())
			if !s.Private("owner/new") || s.Commits() != 1 {
				t.Errorf("private: %t, %d commits, want one", s.Private("owner/new"), s.Commits())
			}
			if done.Load() != 1009 || total.Load() != 1009 {
				t.Errorf("the progress ended at %d of %d bytes, want 1009", done.Load(), total.Load())
			}
			puts := 0
			for _, r := range s.Requests() {
				token := r.Header.Get("Authorization")
				switch own := "http://"+r.Host == s.URL; {
				case !own && token != "":
					t.Errorf("%s %s got the token", r.Host, r.URL)
				case own && token != "Bearer "+s.Token:
					t.Errorf("%s %s got %q for a token", r.Host, r.URL, token)
				case !own:
					puts++
				}
			}
			if want := map[int]int{0: 2, 64: 17}[partSize]; puts != want {
				t.Errorf("%d uploads, want %d", puts, want)
			}
		})
	}
}

func TestAPushThatIsThereChangesNothing(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	first, err := h.Push(t.Context(), pushOf(firstFiles()))
	if err != nil {
		t.Fatal(err)
	}
	s.Requests()
	again, err := h.Push(t.Context(), pushOf(firstFiles()))
	if err != nil || !again.Unchanged || again.Begun || again.Commit != first.Commit || s.Commits() != 1 {
		t.Errorf("got %+v, %v, %d commits", again, err, s.Commits())
	}
	for _, r := range s.Requests() {
		if r.Method == http.MethodPut || strings.Contains(r.URL.Path, "/commit/") {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
	}
}

func TestAPushSendsWhatIsNewAndRemovesWhatIsStale(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	if _, err := h.Push(t.Context(), pushOf(firstFiles())); err != nil {
		t.Fatal(err)
	}
	s.Requests()
	next := firstFiles()
	delete(next, "train-00001.parquet")
	next["manifest.json"] = `{"new":1}`
	p := pushOf(next)
	p.Tag = "squad-4567"
	p.Stale = func(_ context.Context, there []File, read func(File) ([]byte, error)) ([]string, error) {
		n := slices.IndexFunc(there, func(f File) bool { return f.Path == "manifest.json" })
		if body, err := read(there[n]); err != nil || string(body) != "{}" {
			t.Errorf("read %q, %v", body, err)
		}
		return []string{"train-00001.parquet", "train-00000.parquet", "never-there"}, nil
	}
	got, err := h.Push(t.Context(), p)
	if err != nil || got.Files != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	wantHeld(t, s, "main", next)
	wantHeld(t, s, "squad-0123", firstFiles())
	for _, r := range s.Requests() {
		if r.Method == http.MethodPut {
			t.Errorf("uploaded %s again", r.URL)
		}
	}
}

func TestABranchIsMadeFromMain(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	p := pushOf(firstFiles())
	p.Branch = "nights/a b"
	for range 2 {
		if _, err := h.Push(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	wantHeld(t, s, p.Branch, firstFiles())
	wantHeld(t, s, "main", map[string]string{})
}

func TestWhoCommitsMeanwhileWins(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	if _, err := h.Push(t.Context(), pushOf(firstFiles())); err != nil {
		t.Fatal(err)
	}
	next := firstFiles()
	next["README.md"] = "# other"
	s.Fail(func(r *http.Request) *hubtest.Fault {
		if strings.Contains(r.URL.Path, "/commit/") {
			theirs := firstFiles()
			theirs["theirs.txt"] = "x"
			s.Put(hubtest.Repo{Kind: Datasets, ID: "owner/new", Private: true, Branches: map[string]map[string]string{"main": theirs}})
		}
		return nil
	})
	got, err := h.Push(t.Context(), pushOf(next))
	wantError(t, err, rebased.Conflict, "branch main was changed by another commit meanwhile: push again")
	if !got.Begun || s.Contents("owner/new", "main")["README.md"] != "# set" {
		t.Errorf("got %+v, and the other's commit is gone", got)
	}
}

// TestACommitWhoseAnswerIsLostIsFound has the hub make the commit and fail; and fail before it makes it.
func TestACommitWhoseAnswerIsLostIsFound(t *testing.T) {
	for name, made := range map[string]bool{"made": true, "not made": false} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			h, _ := connect(t, s, s.Token)
			failed := false
			s.Fail(func(r *http.Request) *hubtest.Fault {
				if !strings.Contains(r.URL.Path, "/commit/") || failed {
					return nil
				}
				if failed = true; made {
					return &hubtest.Fault{CutAt: 0} // it is done, and the answer does not come
				}
				return &hubtest.Fault{Status: http.StatusBadGateway}
			})
			got, err := h.Push(t.Context(), pushOf(firstFiles()))
			if err != nil || len(got.Commit) != 40 || s.Commits() != 1 || !failed {
				t.Fatalf("got %+v, %v, %d commits", got, err, s.Commits())
			}
			wantHeld(t, s, "main", firstFiles())
		})
	}
}

func TestPassingFaultsOfAnUploadAreTriedAgain(t *testing.T) {
	s := hubtest.New(t)
	s.PartSize = 100
	h, waits := connect(t, s, s.Token)
	failed := map[string]bool{}
	s.Fail(func(r *http.Request) *hubtest.Fault {
		if !failed[r.URL.Path] && r.Method != http.MethodGet {
			failed[r.URL.Path] = true
			return &hubtest.Fault{Status: http.StatusServiceUnavailable, Header: map[string]string{"Retry-After": "2"}}
		}
		return nil
	})
	if _, err := h.Push(t.Context(), pushOf(firstFiles())); err != nil || len(*waits) < 9 {
		t.Fatalf("%v, waited %v", err, *waits)
	}
	wantHeld(t, s, "main", firstFiles())
}

func TestAPushThatIsRefusedSaysWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		token  string
		change func(*hubtest.Server, *Push)
		kind   rebased.Kind
		part   string
	}{
		"no token":     {"", func(*hubtest.Server, *Push) {}, rebased.Unauthorized, "HF_TOKEN is not set: set it to a token that may write there"},
		"wrong token":  {"hf_wrong", func(*hubtest.Server, *Push) {}, rebased.Unauthorized, "does not accept the token: set HF_TOKEN"},
		"reader":       {"hf_reader", func(*hubtest.Server, *Push) {}, rebased.Unauthorized, "may not write there: give HF_TOKEN a token with write access to owner/new"},
		"public":       {"hf_right", func(s *hubtest.Server, _ *Push) { s.Put(empty(false)) }, rebased.Invalid, "it is public: say --public"},
		"ignored":      {"hf_right", func(s *hubtest.Server, _ *Push) { s.Ignore = "README.md" }, rebased.Invalid, "its .gitignore leaves out README.md"},
		"changed":      {"hf_right", func(_ *hubtest.Server, p *Push) { p.Files[3].SHA256 = strings.Repeat("0", 64) }, rebased.Invalid, ""},
		"changed text": {"hf_right", func(_ *hubtest.Server, p *Push) { p.Files[0].SHA256 = strings.Repeat("0", 64) }, rebased.Invalid, "README.md was changed: its SHA-256 is not the one of the manifest"},
		"shorter":      {"hf_right", func(_ *hubtest.Server, p *Push) { p.Files[3].Size = 1900 }, rebased.Invalid, "has 1000 bytes where the manifest says 1900"},
		"stale":        {"hf_right", func(_ *hubtest.Server, p *Push) { p.Stale = refuse }, rebased.Invalid, "not ours"},
		"bucket down":  {"hf_right", func(_ *hubtest.Server, p *Push) { p.Files[3].Open = down }, rebased.Unavailable, "the bucket is down"},
	} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			h, err := New(Config{Endpoint: s.URL, Token: test.token, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
			if err != nil {
				t.Fatal(err)
			}
			p := pushOf(firstFiles())
			test.change(s, &p)
			if test.part == "" {
				test.part = "HTTP 400" // the store compares it too
				test.kind = rebased.Unavailable
			}
			_, err = h.Push(t.Context(), p)
			wantError(t, err, test.kind, test.part)
			if s.Commits() != 0 {
				t.Error("a commit was made")
			}
		})
	}
}

func empty(private bool) hubtest.Repo {
	return hubtest.Repo{Kind: Datasets, ID: "owner/new", Private: private, Branches: map[string]map[string]string{"main": {}}}
}

func refuse(context.Context, []File, func(File) ([]byte, error)) ([]string, error) {
	return nil, rebased.E(rebased.Invalid, "not ours")
}

func down(context.Context) (io.ReadCloser, error) {
	return nil, rebased.E(rebased.Unavailable, "the bucket is down")
}

func TestAPublicRepositoryIsMadeWhenItIsSaid(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	p := pushOf(firstFiles())
	p.Public = true
	if got, err := h.Push(t.Context(), p); err != nil || got.Private || s.Private("owner/new") {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestARenamedRepositoryIsPushedToByItsName(t *testing.T) {
	s := hubtest.New(t)
	s.Put(empty(true))
	s.Move("owner/new", "owner/newer")
	h, _ := connect(t, s, s.Token)
	if got, err := h.Push(t.Context(), pushOf(firstFiles())); err != nil || got.Repo != "owner/newer" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if len(s.Contents("owner/newer", "main")) != 5 {
		t.Error("the files are not there")
	}
}

// hostile is a hub that answers what a test says, after it has told of a private, empty repository.
func hostile(t *testing.T, answers map[string]http.HandlerFunc) *Hub {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for part, answer := range answers {
			if strings.Contains(r.URL.Path, part) {
				answer(w, r)
				return
			}
		}
		switch {
		case strings.Contains(r.URL.Path, "/tree/"):
			fmt.Fprint(w, "[]")
		case strings.Contains(r.URL.Path, "/preupload/"):
			fmt.Fprint(w, `{"files":[{"path":"train-00000.parquet","uploadMode":"lfs"}]}`)
		default:
			fmt.Fprint(w, `{"id":"owner/new","private":true,"sha":"`+strings.Repeat("a", 40)+`"}`)
		}
	}))
	t.Cleanup(server.Close)
	h, err := New(Config{Endpoint: server.URL, Token: "hf_secret", Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAHostileHubGetsNoFurther(t *testing.T) {
	tokens := make(chan string, 100)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tokens <- r.Header.Get("Authorization") }))
	defer elsewhere.Close()
	files := version(map[string]string{"train-00000.parquet": "rows"})
	batch := func(action any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			body, err := json.Marshal(map[string]any{"objects": []any{map[string]any{"oid": files[0].SHA256, "size": 4, "actions": action}}})
			if err != nil {
				t.Error(err)
			}
			w.Write(body)
		}
	}
	upload := func(href string, header map[string]any) map[string]any {
		return map[string]any{"upload": map[string]any{"href": href, "header": header}}
	}
	verify := upload(elsewhere.URL+"/a", nil)
	verify["verify"] = map[string]any{"href": elsewhere.URL + "/verify"}
	const objects = "/objects/batch"
	for name, test := range map[string]struct {
		answers map[string]http.HandlerFunc
		kind    rebased.Kind
		part    string
	}{
		"a name that is a path": {map[string]http.HandlerFunc{"/revision/": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"id":"../../api/settings","private":true,"sha":"`+strings.Repeat("a", 40)+`"}`)
		}}, rebased.Unavailable, "the answer names no repository"},
		"a name that steers the terminal": {map[string]http.HandlerFunc{"/revision/": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"id":"owner/\u001b[2J","private":true,"sha":"`+strings.Repeat("a", 40)+`"}`)
		}}, rebased.Unavailable, "the answer names no repository"},
		"a redirect of a write": {map[string]http.HandlerFunc{"/preupload/": http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP}, rebased.Invalid, "leads elsewhere, which is not followed"},
		"a redirect of the commit": {map[string]http.HandlerFunc{
			objects: batch(nil), "/commit/": http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect).ServeHTTP,
		}, rebased.Invalid, "leads elsewhere"},
		"an endless answer":  {map[string]http.HandlerFunc{"/preupload/": endless}, rebased.Invalid, "the answer is larger than"},
		"an endless batch":   {map[string]http.HandlerFunc{objects: endless}, rebased.Invalid, "the answer is larger than"},
		"no JSON":            {map[string]http.HandlerFunc{objects: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }}, rebased.Unavailable, "no JSON of ours"},
		"another file":       {map[string]http.HandlerFunc{objects: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"objects":[{"oid":"00"}]}`) }}, rebased.Unavailable, "about another file"},
		"a file of the disk": {map[string]http.HandlerFunc{objects: batch(upload("file:///etc/passwd", nil))}, rebased.Invalid, "names no address to upload to"},
		"parts of no bytes":  {map[string]http.HandlerFunc{objects: batch(upload(elsewhere.URL, map[string]any{"chunk_size": "0"}))}, rebased.Invalid, `names parts of "0" bytes`},
		"too few parts":      {map[string]http.HandlerFunc{objects: batch(upload(elsewhere.URL, map[string]any{"chunk_size": 1, "1": elsewhere.URL}))}, rebased.Invalid, "too few addresses"},
		"a long ETag": {map[string]http.HandlerFunc{objects: func(w http.ResponseWriter, r *http.Request) {
			batch(upload("http://"+r.Host+"/etag", nil))(w, r)
		}, "/etag": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("an upload to the hub's own host got the token")
			}
			w.Header().Set("ETag", strings.Repeat("e", 5000))
		}}, rebased.Invalid, "an ETag of 5000 bytes"},
		"a commit without a name": {map[string]http.HandlerFunc{objects: batch(verify), "/commit/": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"commitOid":"x"}`) }}, rebased.Unavailable, "names no commit"},
		"huge within the commit": {map[string]http.HandlerFunc{"/preupload/": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"files":[{"path":"huge.parquet","uploadMode":"regular"}]}`)
		}}, rebased.Invalid, "shall go with the commit, and has 17000000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Push{Repo: "owner/new", Message: "m", Files: files}
			if strings.HasPrefix(name, "huge") {
				p.Files = version(map[string]string{"huge.parquet": strings.Repeat("x", 17_000_000)})
			}
			_, err := hostile(t, test.answers).Push(t.Context(), p)
			wantError(t, err, test.kind, test.part)
		})
	}
	if len(tokens) == 0 {
		t.Error("no upload went to the other host")
	}
	for range len(tokens) {
		if token := <-tokens; token != "" {
			t.Errorf("the other host got %q", token)
		}
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			return
		}
	}
}

// TestAFileThatStallsIsReadAnew has the bucket give one byte of a file and then nothing.
func TestAFileThatStallsIsReadAnew(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	files := map[string]string{"train-00000.parquet": "rows"}
	p := pushOf(files)
	opened := 0
	whole := p.Files[0].Open
	p.Files[0].Open = func(ctx context.Context) (io.ReadCloser, error) {
		if opened++; opened != 2 { // the first is the sample
			return whole(ctx)
		}
		r, w := io.Pipe()
		context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
		go func() { _, _ = w.Write([]byte("r")) }()
		return r, nil
	}
	h.stall = 50 * time.Millisecond
	if _, err := h.Push(t.Context(), p); err != nil || opened != 3 {
		t.Fatalf("got %v after %d openings", err, opened)
	}
	wantHeld(t, s, "main", files)
}

func TestACancelEndsAPush(t *testing.T) {
	s := hubtest.New(t)
	h, _ := connect(t, s, s.Token)
	ctx, cancel := context.WithCancel(t.Context())
	p := pushOf(firstFiles())
	p.Progress = func(int64, int64) { cancel() }
	if _, err := h.Push(ctx, p); !errors.Is(err, context.Canceled) || s.Commits() != 0 {
		t.Fatalf("got %v, %d commits", err, s.Commits())
	}
}
