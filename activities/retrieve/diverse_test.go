package retrieve_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
)

// corpusOf is a fixture whose datasets hold the rows given, a text a cell.
func corpusOf(t *testing.T, datasets map[string][][]string) *fixture {
	t.Helper()
	f := newFixture(t, 1, 1, 1)
	f.task.Instruction = "river city"
	f.task.Examples = []rebased.TaskExample{{Input: "river city question", Output: "music plant"}}
	f.task.Retrieve.Mode = rebased.ModeDiverse
	f.splits = nil
	names := make([]string, 0, len(datasets))
	for name := range datasets {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var rows [][]rebased.Cell
		for _, texts := range datasets[name] {
			var cells []rebased.Cell
			for i, text := range texts {
				cells = append(cells, rebased.Cell{Column: fmt.Sprint(name, i), Text: text})
			}
			rows = append(rows, cells)
		}
		f.splits = append(f.splits, indextest.NewSplit(rebased.Dataset{
			DatasetID: rebased.DatasetID{Name: name}, Description: "river city", License: "license of " + name, Revision: "revision of " + name,
		}, 50, rows...))
	}
	f.corpus = f.Import(t, "hub", "r2", f.splits...)
	f.record = f.Update(t, f.corpus)
	return f
}

func numbered(n int, format string) (rows [][]string) {
	for i := range n {
		rows = append(rows, []string{fmt.Sprintf(format, i)})
	}
	return rows
}

func datasetsOf(got ranked) map[string]int {
	counts := map[string]int{}
	for _, c := range got.Candidates {
		counts[c.Dataset.Name]++
	}
	return counts
}

func TestAWeakCellDoesNotDecide(t *testing.T) {
	f := corpusOf(t, map[string][][]string{
		"weak":   {{"a cell about nothing in particular", "music plant"}}, // 10 letters: what the task's output is
		"strong": {{"a cell about nothing in particular", "music plant and law"}},
		"alone":  {{"music plant"}},
	})
	got := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
	if first := got.Candidates[0]; first.Dataset.Name != "strong" || first.OutColumn != "strong1" {
		t.Errorf("first is %+v, want the row of an informative cell", first)
	}
	for _, c := range got.Candidates {
		if c.Dataset.Name == "weak" && c.OutColumn != "weak0" || c.Dataset.Name == "alone" && c.Out > 0 {
			t.Errorf("a weak cell decides: %+v", c)
		}
	}
	strong := fmt.Sprintf("%016x", rebased.TextHash("Music plant  and law"))
	f.corpus.Parts[0].Frequent = []string{strong}
	for _, c := range rank(t, f.World, f.Index, f.task, f.corpus, f.record).Candidates {
		if c.OutColumn == "strong1" {
			t.Errorf("a frequent cell decides: %+v", c)
		}
	}
	f.task.Retrieve.Mode = rebased.ModePaper
	if first := rank(t, f.World, f.Index, f.task, f.corpus, f.record).Candidates[0]; first.OutColumn != "weak1" && first.OutColumn != "alone0" {
		t.Errorf("mode paper: %+v", first)
	}
}

func TestMirrorsCountOnceAndShareAQuota(t *testing.T) {
	rows := numbered(40, "river city question number %d")
	mirror := slices.Clone(rows)
	slices.Reverse(mirror)
	f := corpusOf(t, map[string][][]string{"one": rows, "two": mirror, "own": numbered(40, "law star game number %d")})
	f.task.Retrieve.MaxPerDataset, f.task.Retrieve.Rows = 10, 100
	got := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
	if counts := datasetsOf(got); counts["one"]+counts["two"] != 10 || counts["own"] != 10 {
		t.Errorf("got %v, want 10 rows of the two that mirror each other, and 10 of the third", counts)
	}
	if got.Skipped[retrieve.SkippedMirror] == 0 {
		t.Errorf("skipped %v, want mirrors", got.Skipped)
	}
	for _, p := range got.Passed {
		if p.Reason == retrieve.SkippedMirror && p.Of == "" || p.Row == p.Of {
			t.Errorf("a mirror of nothing: %+v", p)
		}
	}
	f.task.Retrieve.Mode = rebased.ModePaper
	got = rank(t, f.World, f.Index, f.task, f.corpus, f.record)
	if len(got.Candidates) != 100 || len(got.Passed) != 0 {
		t.Errorf("mode paper took %d rows and passed over %d", len(got.Candidates), len(got.Passed))
	}
}

func TestOfATieTheDatasetThatGaveLeastComesFirst(t *testing.T) {
	same := func(name string) (rows [][]string) { // what the cells say that decide nothing differs
		for i := range 30 {
			rows = append(rows, []string{"river city question", "music plant history team", fmt.Sprintf("zebra quince of %s, number %d", name, i)})
		}
		return rows
	}
	f := corpusOf(t, map[string][][]string{"a": same("x"), "b": same("y"), "c": same("z")})
	f.task.Instruction = "" // so that names do not tell the datasets apart
	f.task.Examples[0].Output, f.task.Retrieve.Rows = "music plant history team", 9
	got := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
	for name, n := range datasetsOf(got) {
		if n != 3 {
			t.Errorf("%s gave %d of 9 rows that score the same", name, n)
		}
	}
	again := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
	for i := range got.Candidates {
		if got.Candidates[i].ID != again.Candidates[i].ID {
			t.Fatalf("rank %d differs from one time to the next", i)
		}
	}
}

func TestOnlyDatasetsOfAllowedLicensesAreTaken(t *testing.T) {
	f := corpusOf(t, map[string][][]string{
		"a": numbered(5, "river city question number %d"), "b": numbered(7, "music plant question number %d"), "c": numbered(9, "law star question number %d"),
	})
	for i, license := range []string{"MIT", " apache-2.0 ", ""} {
		f.splits[i].License = license
	}
	f.corpus.Datasets = f.Import(t, "hub", "r2", f.splits...).Datasets
	for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
		f.task.Retrieve.Mode, f.task.Retrieve.Licenses = mode, []string{"mit", "Apache-2.0"}
		got := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
		if counts := datasetsOf(got); counts["a"] != 5 || counts["b"] != 7 || counts["c"] != 0 || got.Skipped[retrieve.SkippedLicense] != 9 {
			t.Errorf("mode %s: got %v, skipped %v", mode, counts, got.Skipped)
		}
	}
	f.task.Retrieve.Licenses = []string{"gpl"}
	if _, err := rankAll(t, f.World, f.Index, f.task, f.corpus, f.record); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("nothing left: got %v, want Invalid", err)
	}
}

func TestRowsBelowTheLeastScoreAreNotTaken(t *testing.T) {
	for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
		f := newFixture(t, 12, 6, 600)
		f.task.Retrieve.Mode, f.task.Retrieve.Rows, f.task.Retrieve.MaxPerDataset = mode, 1000, 1000
		all := rank(t, f.World, f.Index, f.task, f.corpus, f.record).Candidates
		f.task.Retrieve.MinScore = 0.2
		got := rank(t, f.World, f.Index, f.task, f.corpus, f.record).Candidates
		want := 0
		for _, c := range all {
			if c.Total >= 0.2 {
				want++
			}
		}
		if want == 0 || want == len(all) || len(got) != want {
			t.Errorf("mode %s: %d rows, want %d of %d", mode, len(got), want, len(all))
		}
	}
}

func TestRowsOfABenchmarkAreLeftOutAndOthersComeInTheirPlace(t *testing.T) {
	f := newFixture(t, 13, 12, 1200)
	for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
		f.task.Retrieve.Mode, f.task.Retrieve.Rows, f.task.Retrieve.MaxPerDataset = mode, 100, 30
		before := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
		bench := decontaminate.New(6, 1<<20)
		bench.Begin("dev.jsonl")
		for i, c := range before.Candidates[:50] {
			var texts []string
			for _, cell := range c.Cells {
				texts = append(texts, cell.Text)
			}
			if err := bench.Add(i+1, texts); err != nil {
				t.Fatal(err)
			}
		}
		r, err := retrieve.New(retrieve.Config{Index: f.Index, Encoder: f.Encoder, Rows: f.Rows, Datasets: f.Datasets, Objects: f.Objects, Benchmarks: bench})
		if err != nil {
			t.Fatal(err)
		}
		ranking, err := r.Rank(t.Context(), f.task, f.corpus, f.record, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ranking.Read(t.Context(), 0, ranking.Len())
		if err != nil {
			t.Fatal(err)
		}
		leaks := 0
		for _, p := range ranking.Passed {
			if p.Leak != nil {
				leaks++
			}
		}
		if len(got) != 100 || ranking.Skipped[retrieve.SkippedLeaked] == 0 || leaks != ranking.Skipped[retrieve.SkippedLeaked] || leaks != ranking.Leaked["dev.jsonl"] {
			t.Errorf("mode %s: %d rows, %d leaks told, skipped %v", mode, len(got), leaks, ranking.Skipped)
		}
		for _, c := range got {
			for _, cell := range c.Cells {
				if leak, found := bench.Find([]string{cell.Text}); found {
					t.Fatalf("mode %s: row %s was taken, which leaks %+v", mode, c.ID, leak)
				}
			}
		}
		want := leakless(t, f, bench)
		for i, c := range got {
			if c.ID != want[i] {
				t.Fatalf("mode %s: rank %d is %s, a corpus without the leaks has %s there", mode, i, c.ID, want[i])
			}
		}
	}
}

// leakless ranks a corpus without the rows that leak.
func leakless(t *testing.T, f *fixture, bench *decontaminate.Set) (ids []rebased.RowID) {
	t.Helper()
	var splits []indextest.Split
	for _, s := range f.splits {
		s.Parts = slices.Clone(s.Parts)
		for i := range s.Parts {
			s.Parts[i] = slices.DeleteFunc(slices.Clone(s.Parts[i]), func(r rebased.Row) bool {
				var texts []string
				for _, c := range r.Cells {
					texts = append(texts, c.Text)
				}
				_, found := bench.Find(texts)
				return found
			})
		}
		splits = append(splits, s)
	}
	w := indextest.NewWorld()
	corpus := w.Import(t, "hub", "clean", splits...)
	for _, c := range rank(t, w, w.Index, f.task, corpus, w.Update(t, corpus)).Candidates {
		ids = append(ids, c.ID)
	}
	return ids
}
