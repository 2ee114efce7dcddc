package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/hub"
	"github.com/rebased/rebased/infra/hub/hubtest"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/workflows"
)

// onHub is a world whose workers reach a hub.
func onHub(t *testing.T, token string) (*world, *hubtest.Server) {
	t.Helper()
	w, server := newWorld(), hubtest.New(t)
	client, err := hub.New(hub.Config{
		Endpoint: server.URL, Token: token, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.origins = map[string]ingest.Origin{"hf": hub.Origin{Hub: client}}
	return w, server
}

// parquetOf makes a Parquet file of texts, as the hub's conversion is one.
func parquetOf(t *testing.T, texts ...string) string {
	t.Helper()
	var sets []rebased.Dataset
	for _, text := range texts {
		sets = append(sets, rebased.Dataset{Description: text})
	}
	body, err := parquet.Encode(parquet.DatasetSchema(), sets)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func datasetOn(id string, files map[string]string) hubtest.Repo {
	return hubtest.Repo{
		Kind: hub.Datasets, ID: id, Card: map[string]any{"license": "mit"}, Description: "Texts of " + id + ".",
		Branches: map[string]map[string]string{"main": {"README.md": "# " + id}, hubtest.Convert: files},
	}
}

// importAll runs an import of sources that workers read themselves, and sweeps at once.
func (w *world) importAll(t *testing.T, sources ...string) (workflows.ImportResult, error) {
	t.Helper()
	return run[workflows.ImportResult](t, w.environment(t), workflows.ImportID("hub"), workflows.ImportCorpusName, w.importing(t, sources...))
}

// importing is what starts such an import.
func (w *world) importing(t *testing.T, sources ...string) workflows.ImportInput {
	t.Helper()
	var remotes []activities.Remote
	for _, s := range sources {
		source, failed, _ := strings.Cut(s, " ")
		remotes = append(remotes, activities.Remote{Source: source, Error: failed})
	}
	body, err := json.Marshal(remotes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.objects.Put(t.Context(), "uploads/remotes", body); err != nil {
		t.Fatal(err)
	}
	return workflows.ImportInput{Corpus: "hub", RemotesKey: "uploads/remotes", Remotes: len(remotes), GraceSeconds: -1}
}

// corpus gives the current revision and its datasets.
func (w *world) corpus(t *testing.T) (rebased.Corpus, map[string]rebased.Dataset) {
	t.Helper()
	corpus, err := rebased.ReadCorpus(t.Context(), w.objects, "hub")
	if err != nil {
		t.Fatal(err)
	}
	list, err := mem.NewTable[rebased.Dataset](w.objects).Read(t.Context(), corpus.Datasets.Key)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]rebased.Dataset{}
	for _, d := range list {
		sets[d.String()] = d
	}
	return corpus, sets
}

func (w *world) failures(t *testing.T, r workflows.ImportResult) (all []ingest.Failure) {
	t.Helper()
	body, _, err := w.objects.Get(t.Context(), r.FailedKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func names(sets map[string]rebased.Dataset) string {
	return strings.Join(slices.Sorted(maps.Keys(sets)), " ")
}

// downloads counts the files among the requests to a hub.
func downloads(requests []*http.Request) (n int) {
	for _, r := range requests {
		if strings.Contains(r.URL.Path, "/resolve/") {
			n++
		}
	}
	return n
}

func TestDatasetsOfTheHubAreImportedThroughTheWorkflow(t *testing.T) {
	w, server := onHub(t, "hf_right")
	one := datasetOn("owner/one", map[string]string{
		"default/train/0000.parquet": parquetOf(t, "a", "b"), "default/train/0001.parquet": parquetOf(t, "c"), "default/test/0000.parquet": parquetOf(t, "d"),
	})
	one.Gated = true
	server.Put(one)
	server.Put(datasetOn("owner/two", map[string]string{"default/train/0000.parquet": parquetOf(t, "e")}))
	// Every file breaks off once, every listing is refused once for a while.
	seen := map[string]bool{}
	server.Fail(func(r *http.Request) *hubtest.Fault {
		if seen[r.URL.Path] {
			return nil
		}
		seen[r.URL.Path] = true
		switch {
		case strings.Contains(r.URL.Path, "/tree/"):
			return &hubtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "120"}}
		case len(r.URL.Path) == 65:
			return &hubtest.Fault{CutAt: 100}
		}
		return nil
	})
	result, err := w.importAll(t, "hf://owner/one", "hf://owner/two")
	if err != nil {
		t.Fatal(err)
	}
	corpus, sets := w.corpus(t)
	if names(sets) != "owner/one/default/test owner/one/default/train owner/two/default/train" || result.Rows != 5 || result.Failed != 0 {
		t.Fatalf("%s, %+v", names(sets), result)
	}
	d := sets["owner/one/default/train"]
	if d.Rows != 3 || d.License != "mit" || d.Description != "Texts of owner/one." || d.Revision != one.Commit(hubtest.Convert) {
		t.Errorf("%+v", d)
	}
	if fmt.Sprint(corpus.Origins) != "[{hf://owner/one [owner/one/default/test owner/one/default/train]} {hf://owner/two [owner/two/default/train]}]" {
		t.Errorf("origins %v", corpus.Origins)
	}
	for key := range w.files(t, "") {
		if strings.Contains(key, "fetched-") {
			t.Errorf("%s is left", key)
		}
		if body, _, err := w.objects.Get(t.Context(), key); err != nil || strings.Contains(string(body), "hf_right") {
			t.Errorf("%s holds the token, or %v", key, err)
		}
	}
}

func TestAnUnchangedRevisionDownloadsNothing(t *testing.T) {
	w, server := onHub(t, "")
	files := map[string]string{"default/train/0000.parquet": parquetOf(t, "a", "b"), "default/test/0000.parquet": parquetOf(t, "d")}
	server.Put(datasetOn("owner/one", files))
	first, err := w.importAll(t, "hf://owner/one")
	if err != nil || downloads(server.Requests()) != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	before := w.files(t, "corpora/")
	second, err := w.importAll(t, "hf://owner/one")
	if err != nil || second.Revision != first.Revision || second.Reused != 2 || !maps.Equal(before, w.files(t, "corpora/")) {
		t.Fatalf("%+v, %v", second, err)
	}
	if requests := server.Requests(); downloads(requests) != 0 || len(requests) > 5 {
		t.Errorf("%d downloads in %d requests, want none", downloads(requests), len(requests))
	}
	files["default/test/0000.parquet"] = parquetOf(t, "other")
	server.Put(datasetOn("owner/one", files))
	third, err := w.importAll(t, "hf://owner/one")
	if err != nil || third.Reused != 1 || third.Revision == first.Revision {
		t.Fatalf("%+v, %v", third, err)
	}
	if n := downloads(server.Requests()); n != 1 {
		t.Errorf("%d downloads, want the file that changed", n)
	}
}

func TestASourceThatFailsKeepsWhatItHadAndTheOthersGoOn(t *testing.T) {
	w, server := onHub(t, "")
	for _, id := range []string{"owner/one", "owner/two", "owner/three"} {
		server.Put(datasetOn(id, map[string]string{"default/train/0000.parquet": parquetOf(t, id), "default/test/0000.parquet": parquetOf(t, id+" test")}))
	}
	if _, err := w.importAll(t, "hf://owner/one", "hf://owner/two", "hf://owner/three"); err != nil {
		t.Fatal(err)
	}
	_, before := w.corpus(t)
	// One is gone, of two a file cannot be fetched, three has changed, four never was, a folder of the list could not be read.
	server.Put(hubtest.Repo{Kind: hub.Datasets, ID: "owner/one", Private: true})
	broken := parquetOf(t, "changed but broken")
	server.Put(datasetOn("owner/two", map[string]string{"default/train/0000.parquet": broken, "default/test/0000.parquet": parquetOf(t, "owner/two test")}))
	server.Put(datasetOn("owner/three", map[string]string{"default/train/0000.parquet": parquetOf(t, "x", "y")}))
	server.Fail(func(r *http.Request) *hubtest.Fault {
		if r.URL.Path == "/"+sha([]byte(broken)) {
			return &hubtest.Fault{CutAt: 0}
		}
		return nil
	})
	result, err := w.importAll(t, "hf://owner/one", "hf://owner/two", "hf://owner/three", "hf://owner/four", "./folder no such file")
	if err != nil {
		t.Fatal(err)
	}
	_, sets := w.corpus(t)
	want := "owner/one/default/test owner/one/default/train owner/three/default/train owner/two/default/test owner/two/default/train"
	if names(sets) != want || result.Failed != 4 {
		t.Fatalf("%s, %+v, %+v", names(sets), result, w.failures(t, result))
	}
	for _, id := range []string{"owner/one/default/train", "owner/one/default/test", "owner/two/default/train"} {
		if sets[id] != before[id] {
			t.Errorf("%s is %+v, want it as it was: %+v", id, sets[id], before[id])
		}
	}
	if sets["owner/three/default/train"].Rows != 2 {
		t.Errorf("three: %+v", sets["owner/three/default/train"])
	}
	failures := map[string]ingest.Failure{}
	for _, f := range w.failures(t, result) {
		failures[f.Source] = f
	}
	for source, want := range map[string]ingest.Failure{
		"hf://owner/one": {Kept: 2, Error: "does not exist at "}, "hf://owner/two": {Kept: 1, Error: "broke off after 0 of"},
		"hf://owner/four": {Error: "does not exist at "}, "./folder": {Error: "no such file"},
	} {
		if got := failures[source]; got.Kept != want.Kept || !strings.Contains(got.Error, want.Error) {
			t.Errorf("%s: %+v, want %+v", source, got, want)
		}
	}
	// The parts that were kept outlived the sweep.
	corpus, _ := w.corpus(t)
	for _, part := range corpus.Parts {
		if _, _, err := w.objects.Get(t.Context(), part.Key); err != nil {
			t.Error(err)
		}
	}
	// When the hub answers again, everything is as it should be.
	server.Fail(nil)
	result, err = w.importAll(t, "hf://owner/two", "hf://owner/three")
	_, sets = w.corpus(t)
	if want := "owner/three/default/train owner/two/default/test owner/two/default/train"; err != nil || result.Failed != 0 || names(sets) != want {
		t.Fatalf("%s, %+v, %v", names(sets), result, err)
	}
}

func TestAnImportOfNothingButFailuresSaysSoAndChangesNothing(t *testing.T) {
	w, server := onHub(t, "")
	_, err := w.importAll(t, "hf://owner/one")
	if err == nil || !strings.Contains(err.Error(), `none of its sources could be had; the first reason: hf://owner/one: `) {
		t.Fatalf("got %v", err)
	}
	server.Put(datasetOn("owner/one", map[string]string{"default/train/0000.parquet": parquetOf(t, "a")}))
	first, err := w.importAll(t, "hf://owner/one")
	if err != nil {
		t.Fatal(err)
	}
	server.Fail(func(*http.Request) *hubtest.Fault { return &hubtest.Fault{Status: 503} })
	second, err := w.importAll(t, "hf://owner/one")
	if err != nil || second.Revision != first.Revision || second.Failed != 1 {
		t.Fatalf("%+v, %v: want the corpus as it was", second, err)
	}
}

func TestRemovedRowsLeaveTheBucketThroughTheWorkflow(t *testing.T) {
	w, server := onHub(t, "")
	server.Put(datasetOn("owner/one", map[string]string{"default/train/0000.parquet": parquetOf(t, "stays")}))
	server.Put(datasetOn("owner/two", map[string]string{"default/train/0000.parquet": parquetOf(t, "goes away")}))
	if _, err := w.importAll(t, "hf://owner/one", "hf://owner/two"); err != nil {
		t.Fatal(err)
	}
	result, err := w.importAll(t, "hf://owner/one")
	if err != nil || result.Removed == 0 || result.SweepError != "" {
		t.Fatalf("%+v, %v", result, err)
	}
	for key := range w.files(t, "") {
		if body, _, err := w.objects.Get(t.Context(), key); err != nil || strings.Contains(string(body), "goes away") {
			t.Errorf("%s holds a removed row, or %v", key, err)
		}
	}
}

func TestAnImportWhoseHistoryGrewLongGoesOnAsNewWhereItWas(t *testing.T) {
	w, server := onHub(t, "")
	var sources []string
	for i := range 20 {
		id := fmt.Sprintf("owner/set%d", i)
		server.Put(datasetOn(id, map[string]string{"default/train/0000.parquet": parquetOf(t, id)}))
		sources = append(sources, "hf://"+id)
	}
	in := w.importing(t, sources...)
	for _, after := range []string{"ImportBegin", "ImportList", "ImportMerge", "ImportBatch"} {
		env := w.environment(t)
		env.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
			env.SetContinueAsNewSuggested(info.ActivityType.Name == after)
		})
		result, err := run[workflows.ImportResult](t, env, workflows.ImportID("hub"), workflows.ImportCorpusName, in)
		var next *workflow.ContinueAsNewError
		switch {
		case after == "ImportBatch": // the one batch is done
			if err != nil || result.Rows != 20 || result.Datasets != 20 {
				t.Fatalf("%+v, %v", result, err)
			}
		case !errors.As(err, &next):
			t.Fatalf("after %s: got %v", after, err)
		default:
			if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &in); err != nil {
				t.Fatal(err)
			}
		}
	}
	listings := 0
	for _, r := range server.Requests() {
		if strings.Contains(r.URL.Path, "/tree/") {
			listings++
		}
	}
	if listings != len(sources) {
		t.Errorf("%d listings of %d sources: each is listed once", listings, len(sources))
	}
}
