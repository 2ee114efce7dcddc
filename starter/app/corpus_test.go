package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func TestCorporaAreListedAndShown(t *testing.T) {
	w := newWorld(t)
	w.want(args("corpus ls"), 0, "", "no corpus yet: rebased corpus import NAME FOLDER makes one\n")
	w.corpus()
	w.want(args("corpus ls"), 0, "CORPUS  REVISION  SPLITS  ROWS   INDEXED\nhub     r1        2       1,507  static-v1-256\n", "")
	w.want(args("corpus show hub"), 0, `corpus    hub
revision  r1
rows      1,507 in 2 splits
imported  max_rows_per_config=1000
indexed   static-v1-256

DATASET    CONFIG   SPLIT  ROWS
owner/one  default  train  1,500
owner/two  default  train  7
`, "")
	w.want(args("corpus show hub owner/one"), 0, `split        owner/one/default/train
rows         1,500
license      mit
description  Questions�[2J.
revision     abc
`, "")
	w.want(args("corpus show hub owner/two --json"), 0,
		`{"dataset":"owner/two","splits":[{"dataset":"owner/two","config":"default","split":"train","description":"","license":"","revision":"","etag":"","rows":7}]}`+"\n", "")
	w.want(args("corpus show hub none"), 2, "", "rebased: corpus hub has no dataset \"none\": rebased corpus show hub lists them\n")
	w.want(args("corpus show none"), 2, "", "rebased: no corpus none in s3://bucket/: import it with rebased corpus import none FOLDER\n")
}

func TestAnIndexOfAnOlderRevisionIsOutOfDate(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.put(rebased.CorpusIndexKey("hub", "c"), rebased.Index{Encoder: "old", Revision: "r0"})
	w.put(rebased.CorpusIndexKey("hub", "d"), rebased.Index{Encoder: "new", Updating: "r1"})
	w.want(args("corpus ls"), 0, "CORPUS  REVISION  SPLITS  ROWS   INDEXED\nhub     r1        2       1,507  old (out of date), new (under way)\n", "")
}

func TestImportUploadsTheFilesAndReportsWhatIsMalformed(t *testing.T) {
	w := newWorld(t)
	folder := w.dir + "/data"
	w.file("data/owner--name/default.jsonl", "{\"a\": 1}\n")
	w.file("data/notes.txt", "x")
	var in workflows.ImportInput
	w.temporal.Play = func(run *clustertest.Run) {
		in = inputOf[workflows.ImportInput](t, run)
		w.put("bad", rebased.Malformed{Path: "owner--name/default.jsonl", Line: 3, Error: "is no JSON object"})
		run.End(workflows.ImportResult{Corpus: "hub", Revision: "r1", Datasets: 1, Rows: 1, Files: 1, Bad: 1, BadKey: "bad"}, nil)
	}
	w.want([]string{"corpus", "import", "hub", folder, "--max-rows-per-config", "0", "--documents", "body"}, 0,
		"imported hub, revision r1: 1 rows of 1 splits from 1 files (0 unchanged), 1 malformed\n",
		"skipped notes.txt: is a document beside files of records: keep documents in a folder of their own\nupload 1/1 files\nowner--name/default.jsonl:3: is no JSON object\n")
	sources, err := ingest.ReadSources(t.Context(), w.bucket, in.SourcesKey)
	if err != nil || len(sources) != 1 || sources[0].Name != "owner/name" || in.Corpus != "hub" || in.MaxRowsPerConfig != 0 || in.Documents != "body" {
		t.Fatalf("input %+v, sources %+v, %v", in, sources, err)
	}
	if body, _, err := w.bucket.Get(t.Context(), sources[0].Key); err != nil || string(body) != "{\"a\": 1}\n" {
		t.Errorf("uploaded %q, %v", body, err)
	}
}

func TestAListNamesSourcesOfAllKinds(t *testing.T) {
	w := newWorld(t)
	w.file("lists/data/owner--name/default.jsonl", "{\"a\": 1}\n")
	list := w.file("lists/sources.txt", "# all of them\nhf://owner/one@main  # pinned\n\n./data\nhf://owner/one@main\nnowhere\ns3://b/p#1\nftp://x/y\n")
	var in workflows.ImportInput
	w.temporal.Play = func(run *clustertest.Run) {
		in = inputOf[workflows.ImportInput](t, run)
		w.put("failed", []ingest.Failure{{Source: "hf://owner/one@main", Error: "fetch a: it is gone", Kept: 2}, {Source: "nowhere", Error: "import nowhere: no such file"}})
		run.End(workflows.ImportResult{Corpus: "hub", Revision: "r1", Datasets: 3, Rows: 9, Files: 4, Failed: 2, FailedKey: "failed", SweepError: "no right to delete"}, nil)
	}
	w.want([]string{"corpus", "import", "hub", "hf://owner/two", "--list", list, "--keep-removed", "48h"}, 1,
		"imported hub, revision r1: 9 rows of 3 splits from 4 files (0 unchanged), 0 malformed\n2 sources failed\n",
		`upload 1/1 files
failed hf://owner/one@main: fetch a: it is gone; the 2 splits of it that the corpus had stay
failed nowhere: import nowhere: no such file
rows that are needed no more are still in the bucket: no right to delete
`)
	body, _, err := w.bucket.Get(t.Context(), in.RemotesKey)
	if err != nil {
		t.Fatal(err)
	}
	var remotes []activities.Remote
	if err := json.Unmarshal(body, &remotes); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range remotes {
		got = append(got, r.Source+" "+r.Error)
	}
	want := []string{
		"hf://owner/two ", "hf://owner/one@main ", "nowhere import " + w.dir + "/lists/nowhere: no such file or directory", "s3://b/p#1 ",
		"ftp://x/y import ftp://x/y: ftp:// is no source: give a folder, a file, s3://… or hf://…",
	}
	if !slices.Equal(got, want) || in.Remotes != len(want) || in.GraceSeconds != 48*3600 {
		t.Errorf("input %+v, sources\n%q\nwant\n%q", in, got, want)
	}
	sources, err := ingest.ReadSources(t.Context(), w.bucket, in.SourcesKey)
	if err != nil || len(sources) != 1 || sources[0].Origin != "./data" || sources[0].Name != "owner/name" {
		t.Errorf("sources %+v, %v", sources, err)
	}
}

func TestAnImportWithFailuresSaysThemInJSON(t *testing.T) {
	w := newWorld(t)
	w.temporal.Play = func(run *clustertest.Run) {
		w.put("failed", []ingest.Failure{{Source: "hf://owner/one", Error: "is gone", Kept: 2}})
		run.End(workflows.ImportResult{Corpus: "hub", Revision: "r1", Failed: 1, FailedKey: "failed"}, nil)
	}
	w.want(args("corpus import hub hf://owner/one --json"), 1,
		`{"corpus":"hub","revision":"r1","datasets":0,"rows":0,"files":0,"reused":0,"bad":0,"bad_key":"","failed":1,"failed_key":"failed","removed":0,`+
			`"failures":[{"source":"hf://owner/one","error":"is gone","kept":2}]}`+"\n",
		"failed hf://owner/one: is gone; the 2 splits of it that the corpus had stay\n")
}

func TestAnImportThatRunsAlreadyIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.file("data/a.jsonl", "{}\n")
	run := w.temporal.Add("import/hub", workflows.ImportCorpusName)
	go func() { <-run.Followed(); run.End(workflows.ImportResult{Corpus: "hub", Revision: "r7"}, nil) }()
	w.want([]string{"corpus", "import", "hub", w.dir + "/data"}, 0, "imported hub, revision r7: …",
		"upload 1/1 files\nimport/hub runs already: following that run; to have what you gave, run the command again when it has ended\n…")
	if n := len(w.temporal.Runs()); n != 1 {
		t.Errorf("%d workflows, want the one", n)
	}
}

func TestCtrlCLeavesAnImportRunningAndSaysSo(t *testing.T) {
	w := newWorld(t)
	w.file("data/a.jsonl", "{}\n")
	ctx, interrupt := context.WithCancel(t.Context())
	w.ctx = ctx
	w.temporal.Play = func(run *clustertest.Run) {
		run.Show(workflows.CorpusProgress{Phase: "convert"}, "")
		interrupt()
	}
	status, _, stderr := w.run("corpus", "import", "hub", w.dir+"/data")
	if status != 4 || !strings.HasSuffix(stderr, "import/hub goes on without you: the same command follows it again\n") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestIndexFollowsTheRun(t *testing.T) {
	w := newWorld(t)
	w.want(args("index hub"), 2, "", "rebased: no corpus hub in s3://bucket/: import it with rebased corpus import hub FOLDER\n")
	w.corpus()
	w.temporal.Play = func(run *clustertest.Run) {
		if in := inputOf[workflows.IndexInput](t, run); in != (workflows.IndexInput{Corpus: "hub", Encoder: "openai:m", Rebuild: true}) {
			t.Errorf("input %+v", in)
		}
		run.End(workflows.IndexResult{Corpus: "hub", Revision: "r1", Encoder: "openai/m", Parts: 3, Reused: 1, Rows: 1507, Fresh: 1000, Gone: 12, Cells: 4000}, nil)
	}
	w.want(args("index hub --encoder openai:m --rebuild"), 0,
		"indexed hub, revision r1, with openai/m: 1,507 rows in 3 parts (1 unchanged), 1,000 rows new, 12 removed, 4,000 cells encoded\n", "")
}

func TestAnIndexRunThatIsRefusedOrFailsHasItsStatus(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	for kind, status := range map[string]int{"refused": 2, "unavailable": 1} {
		w.temporal.Play = func(run *clustertest.Run) {
			run.End(nil, temporal.NewNonRetryableApplicationError("Qdrant is down", kind, nil))
		}
		w.want(args("index hub"), status, "", "rebased: Qdrant is down\n")
	}
}
