package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub/hubtest"
)

// connect makes a client of a test server that does not wait, and notes for how long it would have.
func connect(t *testing.T, s *hubtest.Server, token string) (*Hub, *[]time.Duration) {
	t.Helper()
	var waits []time.Duration
	h, err := New(Config{Endpoint: s.URL, Token: token, Holder: " of the worker", Wait: func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h, &waits
}

func dataset(files map[string]string) hubtest.Repo {
	return hubtest.Repo{Kind: Datasets, ID: "owner/set", Branches: map[string]map[string]string{"main": {"README.md": "# set"}, hubtest.Convert: files}}
}

var parquetOf = Repo{Kind: Datasets, ID: "owner/set", Revision: hubtest.Convert}

// read lists a repository and reads its first file.
func read(t *testing.T, h *Hub, repo Repo) (string, error) {
	t.Helper()
	files, err := h.Files(t.Context(), repo)
	if err != nil {
		return "", err
	}
	r, err := h.Open(t.Context(), repo, files[0])
	if err != nil {
		return "", err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return string(body), err
}

func wantError(t *testing.T, err error, kind rebased.Kind, part string) {
	t.Helper()
	if rebased.KindOf(err) != kind || err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %q of kind %q, want one line of kind %q with %q", err, rebased.KindOf(err), kind, part)
	}
	for _, secret := range []string{"hf_", "secret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func TestARepositoryIsDescribed(t *testing.T) {
	s := hubtest.New(t)
	repo := dataset(map[string]string{})
	repo.Card = map[string]any{"license": []string{"MIT", "apache-2.0", "mit"}}
	repo.Description = "\n\t\n\t\tDataset Card for set\n\t\n\nQuestions  of people… See the full description on the dataset page: https://x"
	s.Put(repo)
	h, _ := connect(t, s, "")
	got, err := h.Info(t.Context(), Repo{Kind: Datasets, ID: "owner/set"})
	want := Info{ID: "owner/set", Commit: repo.Commit("main"), License: "apache-2.0 AND mit", Description: "Dataset Card for set Questions of people"}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	for _, test := range []struct {
		card map[string]any
		want string
	}{
		{map[string]any{"license": "cc-by-4.0"}, "cc-by-4.0"},
		{map[string]any{"license": "other", "license_name": "Own Licence"}, "own licence"},
		{map[string]any{"license": "unknown"}, ""},
		{map[string]any{"license": 7}, ""},
		{nil, ""},
	} {
		repo.Card = test.card
		s.Put(repo)
		if got, err := h.Info(t.Context(), parquetOf); err != nil || got.License != test.want {
			t.Errorf("card %v: licence %q, %v, want %q", test.card, got.License, err, test.want)
		}
	}
}

func TestAListingGoesThroughAllPages(t *testing.T) {
	s := hubtest.New(t)
	files := map[string]string{}
	for i := range 10 {
		files[fmt.Sprintf("a config/train/%04d.parquet", i)] = fmt.Sprint(i)
	}
	s.Put(dataset(files))
	h, _ := connect(t, s, "")
	got, err := h.Files(t.Context(), parquetOf)
	if err != nil || len(got) != 10 || got[9].Path != "a config/train/0009.parquet" || len(got[9].SHA256) != 64 || got[9].Size != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if n := len(s.Requests()); n != 4 {
		t.Errorf("%d requests, want 4: twelve entries, three a page", n)
	}
	if body, err := read(t, h, parquetOf); err != nil || body != "0" {
		t.Errorf("read %q, %v", body, err)
	}
}

func TestAPageOfAnotherHostIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<https://elsewhere.example/api>; rel="next"`)
		fmt.Fprint(w, `[{"type":"file","path":"a","oid":"","size":1}]`)
	}))
	defer server.Close()
	h, err := New(Config{Endpoint: server.URL, Token: "hf_right"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Files(t.Context(), parquetOf)
	wantError(t, err, rebased.Invalid, "next page is not at 127.0.0.1")
}

func TestTheTokenStaysAtTheHub(t *testing.T) {
	s := hubtest.New(t)
	repo := dataset(map[string]string{"default/train/0000.parquet": "rows"})
	repo.Gated = true
	s.Put(repo)
	h, _ := connect(t, s, s.Token)
	if body, err := read(t, h, parquetOf); err != nil || body != "rows" {
		t.Fatalf("read %q, %v", body, err)
	}
	hosts := map[string]int{}
	for _, r := range s.Requests() {
		own := "http://"+r.Host == s.URL
		if token := r.Header.Get("Authorization"); own != (token == "Bearer "+s.Token) {
			t.Errorf("%s %s got the token %q", r.Host, r.URL, token)
		}
		hosts[r.Host]++
	}
	if len(hosts) != 2 {
		t.Errorf("requests went to %v, want two hosts", hosts)
	}
}

func TestARenamedRepositoryIsFound(t *testing.T) {
	s := hubtest.New(t)
	s.Put(dataset(map[string]string{"default/train/0000.parquet": "rows"}))
	s.Move("owner/set", "new/set")
	h, _ := connect(t, s, s.Token)
	if got, err := h.Info(t.Context(), parquetOf); err != nil || got.ID != "new/set" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if body, err := read(t, h, parquetOf); err != nil || body != "rows" {
		t.Fatalf("read %q, %v", body, err)
	}
}

func TestModelsAreRead(t *testing.T) {
	s := hubtest.New(t)
	s.Put(hubtest.Repo{Kind: Models, ID: "owner/model", Branches: map[string]map[string]string{"main": {
		"config.json": `{"hidden_size":4}`, "model.safetensors": "numbers", "onnx/model.onnx": "graph",
	}}})
	h, _ := connect(t, s, "")
	repo := Repo{Kind: Models, ID: "owner/model"}
	info, err := h.Info(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	repo.Revision = info.Commit
	if body, err := read(t, h, repo); err != nil || body != `{"hidden_size":4}` {
		t.Errorf("read %q, %v", body, err)
	}
}

func TestWhatIsRefusedSaysWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*hubtest.Repo)
		token  string
		repo   Repo
		kind   rebased.Kind
		part   string
	}{
		"private":          {func(r *hubtest.Repo) { r.Private = true }, "", parquetOf, rebased.NotFound, "set HF_TOKEN"},
		"wrong token":      {func(*hubtest.Repo) {}, "hf_wrong", parquetOf, rebased.Unauthorized, "does not accept the token: set HF_TOKEN"},
		"disabled":         {func(r *hubtest.Repo) { r.Disabled = true }, "", parquetOf, rebased.Unauthorized, "disabled"},
		"no such revision": {func(*hubtest.Repo) {}, "", Repo{Datasets, "owner/set", "v9"}, rebased.NotFound, `no revision "v9"`},
		"no such dataset":  {func(*hubtest.Repo) {}, "hf_right", Repo{Datasets, "owner/sett", ""}, rebased.NotFound, "dataset owner/sett does not exist at 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			repo := dataset(map[string]string{"default/train/0000.parquet": "rows"})
			test.change(&repo)
			s.Put(repo)
			h, _ := connect(t, s, test.token)
			_, err := read(t, h, test.repo)
			wantError(t, err, test.kind, test.part)
			if n := len(s.Requests()); n != 1 {
				t.Errorf("%d requests, want 1: it does not pass", n)
			}
		})
	}
}

func TestAGatedRepositorySaysWhereToAccept(t *testing.T) {
	s := hubtest.New(t)
	repo := dataset(map[string]string{"default/train/0000.parquet": "rows"})
	repo.Gated = true
	s.Put(repo)
	h, _ := connect(t, s, "")
	_, err := read(t, h, parquetOf)
	wantError(t, err, rebased.Unauthorized, "dataset owner/set is gated: accept its terms at "+s.URL+"/datasets/owner/set and set HF_TOKEN")
	wantError(t, h.Access(t.Context(), parquetOf), rebased.Unauthorized, "is gated")
	info, err := h.Info(t.Context(), parquetOf)
	if err != nil || !info.Gated {
		t.Errorf("info %+v, %v", info, err)
	}
	h, _ = connect(t, s, s.Token)
	if err := h.Access(t.Context(), parquetOf); err != nil {
		t.Error(err)
	}
}

func TestPassingFaultsAreTriedAgain(t *testing.T) {
	s := hubtest.New(t)
	s.Put(dataset(map[string]string{"default/train/0000.parquet": "rows"}))
	h, waits := connect(t, s, "")
	failed := map[string]bool{}
	s.Fail(func(r *http.Request) *hubtest.Fault {
		if !failed[r.URL.Path] {
			failed[r.URL.Path] = true
			return &hubtest.Fault{Status: 503, Header: map[string]string{"Retry-After": "2"}}
		}
		return nil
	})
	if body, err := read(t, h, parquetOf); err != nil || body != "rows" {
		t.Fatalf("read %q, %v", body, err)
	}
	if len(*waits) == 0 || (*waits)[0] != 2*time.Second {
		t.Errorf("waited %v, want the two seconds that the server asked for", *waits)
	}
}

func TestALongWaitIsTheCallers(t *testing.T) {
	s := hubtest.New(t)
	s.Put(dataset(nil))
	h, waits := connect(t, s, "")
	for name, header := range map[string]map[string]string{
		"seconds": {"Retry-After": "60"},
		"limit":   {"RateLimit": `"api";r=0;t=60`, "RateLimit-Policy": `"fixed window";"api";q=500;w=300`},
	} {
		s.Fail(func(*http.Request) *hubtest.Fault { return &hubtest.Fault{Status: 429, Header: header} })
		s.Requests()
		_, err := h.Files(t.Context(), parquetOf)
		wantError(t, err, rebased.Throttled, "fewer requests")
		if got := rebased.RetryAfterOf(err); got != time.Minute || len(s.Requests()) != 1 || len(*waits) != 0 {
			t.Errorf("%s: retry after %v, waited %v, want a minute and one request", name, got, *waits)
		}
	}
	date := retryAfter(http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:00 GMT"}}, time.Date(2015, 10, 21, 7, 27, 30, 0, time.UTC))
	if date != 30*time.Second {
		t.Errorf("a date half a minute ahead gives %v", date)
	}
}

func TestAFileThatEndsEarlyIsGoneOnWith(t *testing.T) {
	body := strings.Repeat("0123456789", 100)
	s := hubtest.New(t)
	s.Put(dataset(map[string]string{"default/train/0000.parquet": body}))
	h, _ := connect(t, s, "")
	s.Fail(func(r *http.Request) *hubtest.Fault {
		if len(r.URL.Path) == 65 && r.Header.Get("Range") == "" {
			return &hubtest.Fault{CutAt: 300}
		}
		return nil
	})
	if got, err := read(t, h, parquetOf); err != nil || got != body {
		t.Fatalf("read %d bytes, %v, want %d", len(got), err, len(body))
	}
	var ranges []string
	for _, r := range s.Requests() {
		if len(r.URL.Path) == 65 {
			ranges = append(ranges, r.Header.Get("Range"))
		}
	}
	if fmt.Sprint(ranges) != "[ bytes=300-]" {
		t.Errorf("asked for %q, want the file and then its rest", ranges)
	}
}

func TestAFileThatAlwaysEndsEarlyIsNeverGivenAsWhole(t *testing.T) {
	s := hubtest.New(t)
	s.Put(dataset(map[string]string{"default/train/0000.parquet": "0123456789"}))
	h, _ := connect(t, s, "")
	s.Fail(func(r *http.Request) *hubtest.Fault {
		if len(r.URL.Path) == 65 {
			return &hubtest.Fault{CutAt: 0}
		}
		return nil
	})
	_, err := read(t, h, parquetOf)
	wantError(t, err, rebased.Unavailable, "broke off after 0 of 10 bytes")
}

// file serves one file as a handler wants.
func file(t *testing.T, serve http.HandlerFunc) *Hub {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	h, err := New(Config{Endpoint: server.URL, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func open(ctx context.Context, h *Hub, f File) (string, error) {
	r, err := h.Open(ctx, parquetOf, f)
	if err != nil {
		return "", err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return string(body), err
}

// helloBlob is what git calls the file "hello".
const helloBlob = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"

func TestAServerWithoutRangesIsReadFromTheBegin(t *testing.T) {
	n := 0
	h := file(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		n++
		fmt.Fprint(w, "hello"[:min(5, 2*n)])
	})
	if got, err := open(t.Context(), h, File{Path: "a", Size: 5, Blob: helloBlob}); err != nil || got != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestBytesThatAreNotThoseOfTheListingAreRefused(t *testing.T) {
	h := file(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hallo") })
	_, err := open(t.Context(), h, File{Path: "a", Size: 5, Blob: helloBlob})
	wantError(t, err, rebased.Unavailable, "are not those of the listing")
	_, err = open(t.Context(), h, File{Path: "a", Size: 7, Blob: helloBlob})
	wantError(t, err, rebased.Unavailable, "has 5 bytes where the listing says 7")
}

func TestAStalledBodyIsAskedForAgain(t *testing.T) {
	n := 0
	h := file(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "he")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "hello")
	})
	h.stall = 20 * time.Millisecond
	if got, err := open(t.Context(), h, File{Path: "a", Size: 5, Blob: helloBlob}); err != nil || got != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestACancelEndsADownload(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := file(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "he")
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	if _, err := open(ctx, h, File{Path: "a", Size: 5, Blob: helloBlob}); !errors.Is(err, context.Canceled) || rebased.KindOf(err) != "" {
		t.Fatalf("got %v, want the cancel", err)
	}
}

func TestARedirectDoesNotLeaveHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was asked") }))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/a?X-Amz-Signature=secret", http.StatusFound))
	defer secure.Close()
	h, err := New(Config{Endpoint: secure.URL, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	h.client.Transport = own{h, secure.Client().Transport}
	_, err = open(t.Context(), h, File{Path: "a", Size: 5})
	wantError(t, err, rebased.Invalid, "a redirect leads from https to http")
}

func TestAnEndpointIsChecked(t *testing.T) {
	for _, endpoint := range []string{"huggingface.co", "ftp://host", "https://user:key@host", "https://host?a=b", "://"} {
		if _, err := New(Config{Endpoint: endpoint}); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "HF_ENDPOINT") {
			t.Errorf("%s: got %v", endpoint, err)
		}
	}
}
