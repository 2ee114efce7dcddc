package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/hub/hubtest"
	"github.com/rebased/rebased/infra/mem"
)

// leak is of what the teacher writes of one row; no cell of the corpus has so many words.
const leak = "question what is number 7 of 1 answer it\n"

// manifestOf reads the manifest of a version.
func (w *world) manifestOf(t *testing.T, version string) (m handoff.Manifest) {
	t.Helper()
	body, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", version, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// rejected reads all rejects of a step that have a reason.
func (w *world) rejected(t *testing.T, build, step string, reason rebased.Reason) (found []rebased.Reject) {
	t.Helper()
	for o, err := range w.objects.List(t.Context(), rebased.BuildKey("numbers", build, "rejects", step+"-")) {
		if err != nil {
			t.Fatal(err)
		}
		rows, err := mem.NewTable[rebased.Reject](w.objects).Read(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Reason == reason {
				found = append(found, r)
			}
		}
	}
	return found
}

func TestAnExampleThatLeaksIsRejectedBeforeReasoningIsPaidForAndTheManifestSaysSo(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	bench := []byte(leak + "what is number 9 of 2\n")
	ref := rebased.BenchmarkRef(sha(bench), "dev.txt")
	if _, err := w.objects.Put(t.Context(), rebased.UploadKey(sha(bench)), bench); err != nil {
		t.Fatal(err)
	}
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML+"reason: {mode: rationale}\ndecontaminate: {ngram: 7, files: [\""+ref+"\"]}\n")
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, r)
	rejects := w.rejected(t, "1", "transform", rebased.ReasonLeaked)
	if r.Rejected[rebased.ReasonLeaked] != 1 || len(rejects) != 1 || rejects[0].Detail != "benchmark dev.txt, row 1: question what is number 7 of 1" || rejects[0].Usage.InputTokens == 0 {
		t.Errorf("%v, %+v", r.Rejected, rejects)
	}
	if asked, _ := w.teacher.Asked(); asked != 2*r.Retrieved-1 {
		t.Errorf("%d calls for %d rows of which one leaks", asked, r.Retrieved)
	}
	want := handoff.Benchmark{Name: "dev.txt", SHA256: sha(bench), Rows: 2, Pieces: 4, Corpus: 1, Examples: 1}
	if got := w.manifestOf(t, r.Version).Benchmarks; len(got) != 1 || got[0] != want {
		t.Errorf("the manifest has %+v, want %+v", got, want)
	}
}

func TestBenchmarksOfTheHubAreReadByWorkersAndPinnedByTheirContent(t *testing.T) {
	w, server := onHub(t, "")
	w.indexed(t, 120)
	file := "default/test/0000.parquet"
	server.Put(datasetOn("owner/bench", map[string]string{file: parquetOf(t, leak), "default/train/0000.parquet": parquetOf(t, "what is number 9 of 2")}))
	yaml := taskYAML + "decontaminate: {ngram: 7, files: [\"hf://owner/bench/default/test\"]}\n"
	r, err := w.runBuild(t, w.environment(t), "1", yaml)
	if err != nil {
		t.Fatal(err)
	}
	benchmarks := w.manifestOf(t, r.Version).Benchmarks
	if len(benchmarks) != 1 || benchmarks[0].Name != "hf://datasets/owner/bench/"+file || benchmarks[0].SHA256 != sha([]byte(parquetOf(t, leak))) ||
		benchmarks[0].Examples != 1 || benchmarks[0].Corpus != 0 || r.Rejected[rebased.ReasonLeaked] != 1 {
		t.Errorf("%+v, %v", benchmarks, r.Rejected)
	}
	repo := datasetOn("owner/bench", map[string]string{file: parquetOf(t, leak)})
	repo.Branches[hubtest.Convert]["other.txt"] = "a commit that leaves the benchmark as it was"
	server.Put(repo)
	again, err := w.runBuild(t, w.environment(t), "2", yaml)
	if err != nil || again.State != rebased.StateUnchanged {
		t.Errorf("another commit: %+v, %v", again, err)
	}
	for says, source := range map[string]string{"does not exist": "hf://owner/none", "workers read hf:// and s3://": "ftp://x/y", "no such config or split": "hf://owner/bench/default/dev"} {
		_, err := w.runBuild(t, w.environment(t), "3", taskYAML+"decontaminate: {files: [\""+source+"\"]}\n")
		if err == nil || !strings.Contains(err.Error(), "decontaminate.files: "+source) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", source, err)
		}
	}
}
