package ingest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// bucket is an importer and what it works on.

// convert runs all of an import but the last step.

// load runs an import.

// rows reads all rows of a corpus, by the order of its parts.

// keys lists the bucket with its ETags.

func TestTheSameFilesGiveTheSameBytes(t *testing.T) {
	files := map[string]string{"a.jsonl": numbered(0, 5000), "b/x.csv": "n\n1\n1\n2\n", "c/test.jsonl": numbered(0, 10)}
	one, two := newBucket(t, ingest.DefaultLimits()), newBucket(t, ingest.DefaultLimits())
	one.load(t, discover(t, tree(t, files)), 1000)
	two.load(t, discover(t, tree(t, files)), 1000)
	if a, b := one.keys(t, "corpora/"), two.keys(t, "corpora/"); !maps.Equal(a, b) || len(a) != 9 {
		t.Errorf("the buckets differ:\n%v\n%v", a, b)
	}
}

func TestTheStrideIsEven(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	for _, c := range []struct {
		n, max int
		want   string
	}{
		{10, 4, "0 2 5 7"}, {10, 3, "0 3 6"}, {10, 9, "0 1 2 3 4 5 6 7 8"}, {3, 10, "0 1 2"}, {3, 3, "0 1 2"}, {3, 0, "0 1 2"}, {7, 1, "0"},
	} {
		corpus, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, c.n)})), c.max)
		if got := texts(b.rows(t, corpus)); got != c.want {
			t.Errorf("%d of %d: took %s, want %s", c.max, c.n, got, c.want)
		}
	}
}

func TestARowTakenAtTheStrideHasTheIDOfAFirstOne(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 10)})), 5)
	for _, row := range b.rows(t, corpus) {
		if want := rebased.NewRowID(row.Dataset, row.Cells, 0); row.ID != want {
			t.Errorf("row %v has id %s, want %s", row.Cells, row.ID, want)
		}
	}
}

func TestFilesOfOneSplitShareStrideAndRowNumbers(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, converted := b.load(t, discover(t, tree(t, map[string]string{
		"d/train-00000-of-00002.jsonl": numbered(0, 5), "d/train-00001-of-00002.jsonl": numbered(5, 8) + numbered(0, 2),
	})), 5)
	if got := texts(b.rows(t, corpus)); got != "0 2 4 6 0" || len(converted) != 1 {
		t.Errorf("took %s in %d splits", got, len(converted))
	}
}

func TestEqualRowsHaveIDsOfTheirOwn(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, _ := b.load(t, discover(t, tree(t, map[string]string{
		"d/train-00000-of-00002.jsonl": numbered(0, 1) + numbered(0, 1), "d/train-00001-of-00002.jsonl": numbered(0, 1) + numbered(0, 1),
	})), 0)
	ids := map[rebased.RowID]bool{}
	for _, row := range b.rows(t, corpus) {
		ids[row.ID] = true
	}
	if len(ids) != 4 {
		t.Errorf("4 equal rows have %d ids", len(ids))
	}
}

func TestRowsKeepTheirIDsWhenOthersCome(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	before, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": "{\"n\":1}\n{\"n\":1}\n{\"n\":2}\n"})), 0)
	after, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": "{\"n\":0}\n{\"n\":1}\n{\"n\":3}\n{\"n\":1}\n{\"n\":2}\n"})), 0)
	var ids []rebased.RowID
	for _, row := range b.rows(t, after) {
		ids = append(ids, row.ID)
	}
	for _, row := range b.rows(t, before) {
		if !slices.Contains(ids, row.ID) {
			t.Errorf("row %v has another id now", row)
		}
	}
}

func TestPartsAreBounded(t *testing.T) {
	limits := ingest.DefaultLimits()
	limits.PartRows = 4
	byRows := newBucket(t, limits)
	corpus, _ := byRows.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 10)})), 0)
	if len(corpus.Parts) != 3 || len(byRows.rows(t, corpus)) != 10 {
		t.Errorf("%d parts", len(corpus.Parts))
	}
	if !slices.IsSortedFunc(corpus.Parts, func(a, b rebased.Part) int { return strings.Compare(a.Key, b.Key) }) {
		t.Error("the parts are not in order")
	}
	limits.PartRows, limits.PartBytes = 100, 6
	byBytes := newBucket(t, limits)
	if corpus, _ := byBytes.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 10)})), 0); len(corpus.Parts) != 4 {
		t.Errorf("%d parts", len(corpus.Parts))
	}
}

func TestWhatCannotBeReadIsToldAndTheRestGoesIn(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, converted := b.load(t, discover(t, tree(t, map[string]string{
		"a.jsonl":    "{\"n\":1}\nbroken\n{\"n\":2}\n",
		"b.jsonl.gz": "no gzip",
		"c.parquet":  "PAR1 no parquet PAR1",
		"d.csv":      "a,b\n1\n3,4\n",
		"e.jsonl":    "",
	})), 0)
	if got := texts(b.rows(t, corpus)); got != "1 2 3 4" {
		t.Errorf("rows %s", got)
	}
	if datasets, err := b.Datasets.Read(context.Background(), corpus.Datasets.Key); err != nil || len(datasets) != 2 {
		t.Errorf("datasets without a row are part of the corpus: %v: %v", datasets, err)
	}
	var told []string
	for _, c := range converted {
		for _, m := range c.Malformed {
			told = append(told, fmt.Sprintf("%s:%d", m.Path, m.Line))
		}
		if c.Bad != 1 {
			t.Errorf("%s: %d bad", c.Dataset, c.Bad)
		}
	}
	if want := "[a.jsonl:2 b.jsonl.gz:0 c.parquet:0 d.csv:2 e.jsonl:0]"; fmt.Sprint(told) != want {
		t.Errorf("told %v, want %s", told, want)
	}
}

func TestTheStrideRunsOverTheRowsThatCanBeRead(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": "x\n" + numbered(0, 2) + "x\ny\n" + numbered(2, 4)})), 2)
	if got := texts(b.rows(t, corpus)); got != "0 2" {
		t.Errorf("took %s", got)
	}
}

func TestASecondReadingIsForTheStrideAndStopsBehindTheLastGoodRow(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	sources, err := ingest.Upload(context.Background(), b.objects, discover(t, tree(t, map[string]string{
		"a.jsonl": numbered(0, 1000) + strings.Repeat("x\n", 9000),
	})), b.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]int{0: 10_000, 1000: 10_000, 500: 11_000} {
		run, err := b.Start(context.Background(), ingest.Import{Corpus: "test", Options: ingest.Options{MaxRowsPerConfig: most}})
		if err != nil {
			t.Fatal(err)
		}
		last, rows := 0, cmp.Or(most, 1000)
		if out, err := run.Convert(context.Background(), sources, func(read int) { last = read }); err != nil || out.Dataset.Rows != rows || last != want {
			t.Errorf("%d records read for %d rows, want %d for %d: %v", last, out.Dataset.Rows, want, rows, err)
		}
	}
}

func TestMalformedLinesAreCountedBeyondTheList(t *testing.T) {
	limits := ingest.DefaultLimits()
	limits.Malformed = 2
	_, converted := newBucket(t, limits).load(t, discover(t, tree(t, map[string]string{"a.jsonl": "{\"n\":1}\nv\nx\ny\nz\n"})), 0)
	if c := converted[0]; c.Bad != 4 || len(c.Malformed) != 2 {
		t.Errorf("%d bad, %d listed", c.Bad, len(c.Malformed))
	}
}

func TestASplitOverTheRowLimitIsCutAndTold(t *testing.T) {
	limits := ingest.DefaultLimits()
	limits.Rows = 3
	b := newBucket(t, limits)
	corpus, converted := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 4), "b.jsonl": numbered(0, 3)})), 0)
	if got := texts(b.rows(t, corpus)); got != "0 1 2 0 1 2" || converted[0].Bad != 1 || converted[1].Bad != 0 {
		t.Errorf("rows %s, %d and %d bad", got, converted[0].Bad, converted[1].Bad)
	}
}

func TestAnUploadThatChangedIsNotRead(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	ctx := context.Background()
	sources, err := ingest.Upload(ctx, b.objects, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 1)})), b.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.objects.Put(ctx, sources[0].Key, []byte(numbered(1, 2))); err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(ctx, ingest.Import{Corpus: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Convert(ctx, sources, nil); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
	if err := b.objects.Delete(ctx, sources[0].Key); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Convert(ctx, sources, nil); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("got %v, want NotFound", err)
	}
}

func TestAConversionTellsOfItsProgressAndStopsWithItsContext(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	sources, err := ingest.Upload(context.Background(), b.objects, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 50_000)})), b.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(context.Background(), ingest.Import{Corpus: "test"})
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	if _, err := run.Convert(context.Background(), sources, func(read int) { last = read }); err != nil || last != 50_000 {
		t.Errorf("progress ended at %d: %v", last, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = run.Convert(ctx, sources, func(read int) {
		cancel()
		last = read
	})
	if !errors.Is(err, context.Canceled) || last > 25_000 {
		t.Errorf("got %v after %d records", err, last)
	}
}

func TestBatchesCoverAllSplitsOnce(t *testing.T) {
	var sources []rebased.Source
	for i := range 250 {
		sources = append(sources, rebased.Source{Path: fmt.Sprint(i), Size: int64(i%7) << 20, DatasetID: rebased.DatasetID{Name: fmt.Sprintf("%03d", i/2)}})
	}
	sources = append(sources, sources[7])
	splits := ingest.Splits(sources)
	if len(splits) != 125 || len(splits[3]) != 2 {
		t.Fatalf("%d splits, one of %d files", len(splits), len(splits[3]))
	}
	next := 0
	for _, batch := range ingest.Batches(splits) {
		if batch.From != next || batch.To <= batch.From {
			t.Errorf("batch %+v after %d", batch, next)
		}
		next = batch.To
	}
	if next != 125 {
		t.Errorf("the batches end at %d", next)
	}
}

func TestAnImporterWithoutItsPartsIsRefused(t *testing.T) {
	for want, change := range map[string]func(*ingest.Config){
		"Parquet is required":                    func(c *ingest.Config) { c.Parquet = nil },
		"Columns must be at least 1, is 0":       func(c *ingest.Config) { c.Limits.Columns = 0 },
		"ingest limits: SourceBytes must be at ": func(c *ingest.Config) { c.Limits.SourceBytes = -1 },
	} {
		cfg := newBucket(t, ingest.DefaultLimits()).Config
		change(&cfg)
		if _, err := ingest.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := newBucket(t, ingest.DefaultLimits()).Start(context.Background(), ingest.Import{Options: ingest.Options{MaxRowsPerConfig: -1}}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}
