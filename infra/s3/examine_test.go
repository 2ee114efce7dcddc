package s3

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

// small is as much of an S3 server as the probes use, with what is wrong with it.
type small struct {
	careless  bool // it ignores conditions
	lossy     bool // it lists nothing
	forbidden string
	behind    time.Duration // its clock

	mu      sync.Mutex
	objects map[string]string
	uploads int // that are open
}

func (s *small) serve(w http.ResponseWriter, r *http.Request, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(-s.behind).UTC().Format(http.TimeFormat))
	if s.objects == nil {
		s.objects = map[string]string{}
	}
	key, query := strings.TrimPrefix(r.URL.Path, "/bucket/"), r.URL.Query()
	body, _ := io.ReadAll(r.Body)
	does := r.Method
	switch {
	case query.Has("uploads"):
		does = "begin"
	case query.Has("uploadId"):
		does = map[string]string{"PUT": "part", "POST": "complete", "DELETE": "abort"}[r.Method]
	case query.Has("list-type"):
		does = "list"
	}
	old, there := s.objects[key]
	refused := !s.careless && (r.Header.Get("If-None-Match") == "*" && there || r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != tag(old))
	switch {
	case does == s.forbidden:
		fail(w, http.StatusForbidden, "AccessDenied")
	case refused:
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case does == "begin":
		s.uploads++
		fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>`)
	case does == "part":
		w.Header().Set("ETag", `"part"`)
	case does == "complete":
		s.uploads--
		s.objects[key] = "parts"
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>`)
	case does == "abort":
		s.uploads--
		w.WriteHeader(http.StatusNoContent)
	case does == "list":
		fmt.Fprint(w, `<ListBucketResult>`)
		for name := range s.objects {
			if strings.HasPrefix(name, query.Get("prefix")) && !s.lossy {
				fmt.Fprintf(w, `<Contents><Key>%s</Key></Contents>`, name)
			}
		}
		fmt.Fprint(w, `</ListBucketResult>`)
	case does == http.MethodPut:
		s.objects[key] = string(body)
		w.Header().Set("ETag", tag(string(body)))
	case does == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		fail(w, http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("ETag", tag(old))
		fmt.Fprint(w, old)
	}
}

func tag(body string) string { return fmt.Sprintf("%q", body) }

func TestABucketIsExaminedAndNothingIsLeftBehind(t *testing.T) {
	for _, c := range []struct {
		server             *small
		ping, read, upload string // "" = it works
	}{
		{server: &small{}},
		{
			server: &small{careless: true}, ping: "bucket bucket ignores If-None-Match: use a server that honours conditional writes",
			upload: "bucket bucket ignores If-None-Match at the end of a multipart upload: use a server that honours conditional writes",
		},
		{server: &small{lossy: true}, read: "bucket bucket does not list what was just written: use a server that does at once"},
		{server: &small{forbidden: "list"}, read: "list probes/…: AccessDenied"},
		{server: &small{forbidden: "GET"}, read: "get probes/…: AccessDenied"},
		{server: &small{forbidden: "begin"}, upload: "put probes/…: AccessDenied"},
		{server: &small{forbidden: "abort"}, upload: "abort probes/…: AccessDenied"},
		{server: &small{forbidden: "PUT"}, ping: "put probes/…: AccessDenied", read: "put probes/…: AccessDenied"},
	} {
		store, _ := scripted(t, c.server.serve)
		for name, probe := range map[string]struct {
			err  error
			want string
		}{"Ping": {store.Ping(t.Context()), c.ping}, "Read": {store.Read(t.Context()), c.read}, "Upload": {store.Upload(t.Context()), c.upload}} {
			before, after, _ := strings.Cut(probe.want, "…")
			switch {
			case probe.want == "" && probe.err != nil, probe.want != "" && probe.err == nil:
				t.Errorf("%s: %v, want %q", name, probe.err, probe.want)
			case probe.err != nil && (!strings.HasPrefix(probe.err.Error(), before) || !strings.Contains(probe.err.Error(), after)):
				t.Errorf("%s: %v, want %q", name, probe.err, probe.want)
			case strings.Contains(probe.want, "AccessDenied") && rebased.KindOf(probe.err) != rebased.Unauthorized:
				t.Errorf("%s: kind %s", name, rebased.KindOf(probe.err))
			}
		}
		if len(c.server.objects) > 0 || c.server.uploads != 0 && c.server.forbidden != "abort" {
			t.Errorf("%v and %d uploads are left", c.server.objects, c.server.uploads)
		}
	}
}

func TestTheSkewIsThatOfTheBucketsClock(t *testing.T) {
	server := &small{behind: 10 * time.Minute}
	store, _ := scripted(t, server.serve)
	skew, took, err := store.Skew(t.Context())
	if err != nil || skew < 10*time.Minute-2*time.Second || skew > 10*time.Minute+2*time.Second || took <= 0 {
		t.Errorf("skew %s, took %s, %v", skew, took, err)
	}
}
