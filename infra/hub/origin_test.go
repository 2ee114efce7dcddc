package hub

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub/hubtest"
)

// list writes down what a source holds, a line a file.
func list(t *testing.T, h *Hub, source string) (string, error) {
	t.Helper()
	found, err := Origin{h}.List(t.Context(), source)
	var out strings.Builder
	for _, s := range found.Sources {
		fmt.Fprintf(&out, "%s %s %d %s\n", s.DatasetID, s.Path, s.Size, s.License)
	}
	for _, s := range found.Skipped {
		fmt.Fprintf(&out, "skipped %s: %s\n", s.Path, s.Why)
	}
	return out.String(), err
}

func hubWithBothBranches(t *testing.T) (*hubtest.Server, hubtest.Repo) {
	t.Helper()
	s := hubtest.New(t)
	repo := hubtest.Repo{
		Kind: Datasets, ID: "owner/set", Card: map[string]any{"license": "mit"}, Description: "Questions.",
		Branches: map[string]map[string]string{
			"main": {
				"README.md": "# set", "LICENSE.txt": "MIT", ".gitattributes": "x", "set.py": "pass", "data/train-00000-of-00002.jsonl": "{}", "data/train-00001-of-00002.jsonl": "{}",
				"en/test.csv": "q", "a/b/c/d/deep.csv": "q",
			},
			hubtest.Convert: {
				"default/train/0000.parquet": "one", "default/train/0001.parquet": "two", "default/test/0000.parquet": "three", "big/partial-train/0000.parquet": "four",
			},
		},
	}
	s.Put(repo)
	return s, repo
}

func TestAConversionIsReadByItsConfigsAndSplits(t *testing.T) {
	s, repo := hubWithBothBranches(t)
	h, _ := connect(t, s, "")
	for source, want := range map[string]string{
		"hf://owner/set": `owner/set/big/train owner/set/big/partial-train/0000.parquet 4 mit
owner/set/default/test owner/set/default/test/0000.parquet 5 mit
owner/set/default/train owner/set/default/train/0000.parquet 3 mit
owner/set/default/train owner/set/default/train/0001.parquet 3 mit
skipped owner/set/big/train: the hub has converted its first part only: the rest is not imported
`,
		"hf://datasets/owner/set/default/test": "owner/set/default/test owner/set/default/test/0000.parquet 5 mit\n" +
			"skipped owner/set/big/train: the hub has converted its first part only: the rest is not imported\n",
		"hf://owner/set@main": `owner/set/default/train owner/set/data/train-00000-of-00002.jsonl 2 mit
owner/set/default/train owner/set/data/train-00001-of-00002.jsonl 2 mit
owner/set/en/test owner/set/en/test.csv 1 mit
skipped owner/set/a/b/c/d/deep.csv: is nested deeper than owner/name/config/split
`,
		"hf://owner/set/en@" + repo.Commit("main"): `owner/set/en/test owner/set/en/test.csv 1 mit
skipped owner/set/a/b/c/d/deep.csv: is nested deeper than owner/name/config/split
`,
	} {
		if got, err := list(t, h, source); err != nil || got != want {
			t.Errorf("%s: %v\n%swant\n%s", source, err, got, want)
		}
	}
	_, err := list(t, h, "hf://owner/set/none")
	wantError(t, err, rebased.NotFound, "no such config or split; it has big/train, default/test, default/train")
}

func TestWhatWasListedIsPinned(t *testing.T) {
	s, repo := hubWithBothBranches(t)
	h, _ := connect(t, s, "")
	for source, branch := range map[string]string{"hf://owner/set/default/test": hubtest.Convert, "hf://owner/set/en@main": "main"} {
		found, err := Origin{h}.List(t.Context(), source)
		if err != nil || len(found.Sources) != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
		file := found.Sources[0]
		if file.Revision != repo.Commit(branch) || !strings.Contains(file.Address, "@"+repo.Commit(branch)+"/") || file.Description != "Questions." {
			t.Errorf("got %+v, want the commit %s", file, repo.Commit(branch))
		}
		s.Requests()
		r, err := Origin{h}.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil || int64(len(body)) != file.Size {
			t.Errorf("read %q, %v", body, err)
		}
		if asked := s.Requests()[0].URL.Path; !strings.Contains(asked, "/resolve/"+repo.Commit(branch)+"/") {
			t.Errorf("asked for %s, want it at the commit", asked)
		}
	}
}

func TestADatasetWithoutConversionIsReadFromItsOwnFiles(t *testing.T) {
	s, repo := hubWithBothBranches(t)
	delete(repo.Branches, hubtest.Convert)
	s.Put(repo)
	h, _ := connect(t, s, "")
	if got, err := list(t, h, "hf://owner/set/default"); err != nil || !strings.Contains(got, "owner/set/data/train-00000-of-00002.jsonl") {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAGatedDatasetFailsAtTheListing(t *testing.T) {
	s, repo := hubWithBothBranches(t)
	repo.Gated = true
	s.Put(repo)
	h, _ := connect(t, s, "")
	_, err := list(t, h, "hf://owner/set")
	wantError(t, err, rebased.Unauthorized, "set HF_TOKEN of the worker")
	h, _ = connect(t, s, s.Token)
	if _, err := list(t, h, "hf://owner/set"); err != nil {
		t.Error(err)
	}
}

func TestASourceThatIsNoneIsRefused(t *testing.T) {
	h, err := New(Config{Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{
		"hf://", "hf://set", "hf://owner/set@", "hf://owner/../x", "hf://owner//x", "hf://a/b/c/d/e", "hf://owner/set?x", "hf://../../etc",
	} {
		_, err := list(t, h, source)
		wantError(t, err, rebased.Invalid, "must be hf://owner/dataset[/config[/split]][@revision]")
	}
}
