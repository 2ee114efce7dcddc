package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub/hubtest"
)

// withHub gives a world a hub and its token.
func withHub(t *testing.T) (*world, *hubtest.Server) {
	w, s := newWorld(t), hubtest.New(t)
	w.environ = []string{"HF_ENDPOINT=" + s.URL, "HF_TOKEN=" + s.Token}
	return w, s
}

func TestAVersionIsPushedOnce(t *testing.T) {
	w, s := withHub(t)
	name := w.version(true, "x", "y")
	status, stdout, stderr := w.run(args("push squad hf://owner/squad")...)
	if status != 0 || !strings.HasPrefix(stdout, "pushed squad@"+name+": 6 files, ") || !strings.HasSuffix(stdout, ", tag squad-"+name+": "+s.URL+"/datasets/owner/squad\n") || !strings.HasPrefix(stderr, "push ") {
		t.Fatalf("status %d, %q, %q", status, stdout, stderr)
	}
	held := s.Contents("owner/squad", "squad-"+name)
	for object, err := range w.bucket.List(t.Context(), rebased.VersionKey("squad", name)+"/") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := w.bucket.Get(t.Context(), object.Key)
		file := strings.TrimPrefix(object.Key, rebased.VersionKey("squad", name)+"/")
		if err != nil || held[file] != string(body) {
			t.Errorf("%s is not in the repository as it is in the bucket: %v", file, err)
		}
	}
	if len(held) != 7 || !s.Private("owner/squad") {
		t.Errorf("%d files, want six and .gitattributes; private: %t", len(held), s.Private("owner/squad"))
	}
	status, stdout, _ = w.run("push", "squad@"+name, "hf://owner/squad", "--json")
	if status != 0 || !strings.Contains(stdout, `"state":"unchanged","files":0,"bytes":0,`) || s.Commits() != 1 {
		t.Errorf("status %d, %s, %d commits", status, stdout, s.Commits())
	}
}

func TestTheNextVersionTakesThePlaceOfTheOneBefore(t *testing.T) {
	w, s := withHub(t)
	const rows = 20_001 // one more than a file has
	first := w.version(true, slices.Repeat([]string{"x"}, rows)...)
	second := w.version(false, "z")
	w.want(args("push squad hf://owner/squad --revision nightly"), 0, "pushed …", "push…")
	before := s.Contents("owner/squad", "nightly")
	if before["train-00001.parquet"] == "" {
		t.Fatal("the first version has one Parquet file")
	}
	w.want(args("push squad@"+second+" hf://owner/squad --revision nightly"), 0, "pushed squad@"+second+": …", "push…")
	if after := s.Contents("owner/squad", "nightly"); after["train-00001.parquet"] != "" || after["train-00000.parquet"] == before["train-00000.parquet"] {
		t.Error("rows of the version before are still there")
	}
	if tagged := s.Contents("owner/squad", "squad-"+first); tagged["train-00001.parquet"] == "" {
		t.Error("the first version cannot be had by its tag any more")
	}
}

func TestAPushIsRefusedBeforeItBegins(t *testing.T) {
	w, s := withHub(t)
	w.version(true, "x")
	foreign := func(files map[string]string) {
		s.Put(hubtest.Repo{Kind: "dataset", ID: "owner/squad", Private: true, Branches: map[string]map[string]string{"main": files}})
	}
	foreign(map[string]string{"train-00007.parquet": "theirs"})
	w.want(args("push squad hf://owner/squad"), 2, "", "rebased: the repository has train-00007.parquet, which no version brought …")
	foreign(map[string]string{"manifest.json": `{"name":"theirs"}`})
	w.want(args("push squad hf://owner/squad"), 2, "", "rebased: the repository has a manifest.json that is not of rebased: …")
	foreign(map[string]string{"notes.md": "mine", "data/train-00000.parquet": "mine"})
	w.want(args("push squad hf://owner/squad"), 0, "pushed …", "push…")
	if s.Contents("owner/squad", "main")["notes.md"] != "mine" {
		t.Error("a file that no version brought is gone")
	}

	w.want(args("push squad owner/squad"), 2, "", `rebased: push to "owner/squad": name a dataset repository as hf://owner/name; …`)
	w.want(args("push squad hf://owner/squad/extra"), 2, "", `rebased: push to "hf://owner/squad/extra": …`)
	w.want(args("push squad hf://owner/squad --revision a..b?"), 2, "", `rebased: --revision "a..b?" is no branch …`)
	w.want(args("push squad@000000000000 hf://owner/squad"), 2, "", "rebased: task squad has no version 000000000000: …")
	w.want(args("push other hf://owner/squad"), 2, "", "rebased: task other has no released version: …")
	w.environ = []string{"HF_ENDPOINT=" + s.URL}
	w.want(args("push squad hf://owner/squad"), 2, "", "rebased: push to owner/squad: HF_TOKEN is not set: …")
}

func TestAPushThatBreaksOffFailsAndIsGoneOnWith(t *testing.T) {
	w, s := withHub(t)
	w.version(true, "x")
	s.Fail(func(r *http.Request) *hubtest.Fault {
		if strings.Contains(r.URL.Path, "/commit/") {
			return &hubtest.Fault{Status: http.StatusBadRequest, Header: map[string]string{"X-Error-Message": "no room for hf_right"}}
		}
		return nil
	})
	status, _, stderr := w.run(args("push squad hf://owner/squad")...)
	if status != 1 || !strings.Contains(stderr, "rebased: commit to dataset owner/squad: HTTP 400: no room for ***\n") {
		t.Errorf("status %d, %q", status, stderr)
	}
	s.Fail(nil)
	w.want(args("push squad hf://owner/squad"), 0, "pushed …", "push…")
}
