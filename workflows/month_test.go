package workflows_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/workflows"
)

// corpusOf imports and indexes corpus "hub" as it is when rows from..to-1 of each of three datasets exist.
func (w *world) corpusOf(t *testing.T, from, to int) {
	t.Helper()
	var sources []rebased.Source
	for d := range 3 {
		var body []byte
		for i := from; i < to; i++ {
			body = fmt.Appendf(body, `{"question":"what is number %d of %d","answer":"it is %d"}`+"\n", i, d, i*i)
		}
		key := rebased.UploadKey(sha(body))
		if _, err := w.objects.Put(t.Context(), key, body); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, rebased.Source{
			Path: fmt.Sprintf("set%d/default.jsonl", d), Key: key, SHA256: sha(body), Size: int64(len(body)),
			DatasetID: rebased.DatasetID{Name: fmt.Sprintf("set%d", d), Config: "default", Split: "train"}, Description: "numbers and questions",
		})
	}
	key, err := ingest.WriteSources(t.Context(), w.objects, sources)
	if err != nil {
		t.Fatal(err)
	}
	in := workflows.ImportInput{Corpus: "hub", SourcesKey: key, MaxRowsPerConfig: 1000, GraceSeconds: -1}
	if _, err := run[workflows.ImportResult](t, w.environment(t), workflows.ImportID("hub"), workflows.ImportCorpusName, in); err != nil {
		t.Fatal(err)
	}
	index := workflows.IndexInput{Corpus: "hub", Encoder: "static", Unattended: true}
	if _, err := run[workflows.IndexResult](t, w.environment(t), workflows.IndexID("hub"), workflows.IndexCorpusName, index); err != nil {
		t.Fatal(err)
	}
}

// size is a number of objects and their bytes.
type size struct{ objects, bytes int }

func (s size) sub(o size) size { return size{s.objects - o.objects, s.bytes - o.bytes} }

// sizes are the objects under each first part of the keys.
func (w *world) sizes(t *testing.T) map[string]size {
	t.Helper()
	all := map[string]size{}
	for o, err := range w.objects.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		prefix, _, _ := strings.Cut(o.Key, "/")
		s := all[prefix]
		all[prefix] = size{s.objects + 1, s.bytes + int(o.Size)}
	}
	return all
}

// TestThirtyNights builds a task on thirty nights while its corpus changes: rows come and go on two nights of three, one night's quota is spent in the
// middle, one night is skipped. Nothing is asked twice in all of them, only a night with other rows makes a version, and a quiet night leaves its
// own folder and nothing else.
func TestThirtyNights(t *testing.T) {
	const nights, spent = 30, 12
	w := newWorld()
	yaml := strings.Replace(taskYAML, "rows: 60", "rows: 150", 1)
	quiet, changed := map[string]size{}, map[string]size{}
	counts, versions := map[rebased.State]int{}, map[string]bool{}
	from, to, asked := 0, 100, 0
	var paused *flight
	for night := range nights {
		still := night%3 == 2
		if night > 0 && !still {
			from, to = from+2, to+4
		}
		before := w.sizes(t)
		w.corpusOf(t, from, to)
		if night == spent {
			w.quota(1)
			paused = w.night(t, fmt.Sprint(night), yaml)
			paused.waits(t, rebased.StatePaused)
			w.teacher.Fail = nil
			counts[rebased.StatePaused]++
			continue
		}
		r := w.night(t, fmt.Sprint(night), yaml).landed(t)
		counts[r.State]++
		now, _ := w.teacher.Asked()
		switch {
		case r.State == rebased.StateReleased && !versions[r.Version]:
			versions[r.Version] = true
		case r.State != rebased.StateUnchanged || !versions[r.Version] || now != asked:
			t.Errorf("night %d: %d calls, %+v", night, now-asked, r)
		}
		if unchanged := r.State == rebased.StateUnchanged; unchanged != still && night != spent+1 {
			t.Errorf("night %d: rows %d to %d, changed %v: %+v", night, from, to, !still, r)
		}
		asked = now
		checkSum(t, r)
		if night == spent+1 {
			if gone := paused.landed(t); gone.State != rebased.StateSuperseded || r.Calls.Reused < 1 {
				t.Errorf("the night of the quota %+v, the one after %+v", gone, r)
			}
			continue
		}
		into := changed
		if still {
			into = quiet
		}
		for prefix, s := range w.sizes(t) {
			grown := s.sub(before[prefix])
			into[prefix] = size{into[prefix].objects + grown.objects, into[prefix].bytes + grown.bytes}
			if still && prefix != "builds" && grown.objects > 0 {
				t.Errorf("night %d had nothing to do and left %d objects under %s/", night, grown.objects, prefix)
			}
		}
	}
	if _, most := w.teacher.Asked(); most != 1 {
		t.Errorf("one call was paid %d times", most)
	}
	if counts[rebased.StateUnchanged] != 10 || counts[rebased.StateReleased] != 19 || len(versions) != 19 {
		t.Errorf("the nights ended as %v, with %d versions", counts, len(versions))
	}
	t.Logf("%v, %d answers in all", counts, asked)
	for _, prefix := range slices.Sorted(maps.Keys(changed)) {
		t.Logf("%-10s  a night with other rows: %.1f objects, %d bytes  a quiet night: %.1f objects, %d bytes", prefix+"/",
			float64(changed[prefix].objects)/18, changed[prefix].bytes/18, float64(quiet[prefix].objects)/10, quiet[prefix].bytes/10)
	}
}
