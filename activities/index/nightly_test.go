package index_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/source"
)

// reads is a bucket that remembers what was read of it.
type reads struct {
	*mem.Objects
	keys []string
}

func (r *reads) Get(ctx context.Context, key string) ([]byte, string, error) {
	r.keys = append(r.keys, key)
	return r.Objects.Get(ctx, key)
}

// nights is a folder that is imported and indexed as it changes.
type nights struct {
	*world
	bucket *reads
	files  map[string][]string // rows by file
	parts  int                 // rows of a part; 0 = the default
}

func newNights() *nights {
	n := &nights{world: newWorld(), bucket: &reads{Objects: mem.NewObjects()}, files: map[string][]string{}}
	n.Objects = n.bucket
	n.Rows, n.Datasets = mem.NewTable[rebased.Row](n.bucket), mem.NewTable[rebased.Dataset](n.bucket)
	return n
}

// fill gives a file so many rows.
func (n *nights) fill(file string, rows int) {
	n.files[file] = nil
	for i := range rows {
		n.files[file] = append(n.files[file], fmt.Sprintf("%s row %d", strings.TrimSuffix(file, ".jsonl"), i))
	}
}

// importAll brings the corpus to what the files say, all in one batch.
func (n *nights) importAll(t *testing.T) rebased.Corpus {
	t.Helper()
	dir := t.TempDir()
	for file, rows := range n.files {
		var body strings.Builder
		for _, row := range rows {
			fmt.Fprintf(&body, "{\"text\":%q,\"answer\":\"True\"}\n", row)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(body.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	limits := ingest.DefaultLimits()
	if n.parts > 0 {
		limits.PartRows = n.parts
	}
	importer, err := ingest.New(ingest.Config{Objects: n.bucket, Rows: n.Rows, Datasets: n.Datasets, Parquet: source.Parquet{}, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	folder, err := ingest.Discover(dir)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := ingest.Upload(t.Context(), n.bucket, folder, limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	imp := ingest.Import{Corpus: "hub"}
	if imp.Base, err = importer.Base(t.Context(), imp.Corpus); err != nil {
		t.Fatal(err)
	}
	run, err := importer.Start(t.Context(), imp)
	if err != nil {
		t.Fatal(err)
	}
	var converted []ingest.Converted
	for _, split := range ingest.Splits(sources) {
		done, err := run.Convert(t.Context(), split, nil)
		if err != nil {
			t.Fatal(err)
		}
		converted = append(converted, done)
	}
	if err := run.WriteCopies(t.Context(), converted); err != nil {
		t.Fatal(err)
	}
	corpus, _, err := importer.Commit(t.Context(), imp, converted)
	if err != nil {
		t.Fatal(err)
	}
	return corpus
}

// index brings the index to a corpus and checks that it has what it should; read are the keys that were read for that.
func (n *nights) index(t *testing.T, corpus rebased.Corpus) (plan index.Plan, read []string) {
	t.Helper()
	n.bucket.keys, n.encoder.texts, n.writer.listed = nil, nil, 0
	record, plan := n.begin(t, corpus)
	n.batches(t, record, corpus, plan)
	if record.Updating != "" {
		record = n.finish(t, corpus, plan)
	}
	read = slices.Clone(n.bucket.keys)
	n.holds(t, record, corpus)
	return plan, read
}

// of gives the keys that end in one of some ways.
func of(keys []string, ends ...string) (some []string) {
	for _, key := range keys {
		for _, end := range ends {
			if strings.HasSuffix(key, end) && !strings.Contains(key, "/datasets-") {
				some = append(some, key)
			}
		}
	}
	return some
}

func TestRowsScatteredOverAllPartsAreReadAtOnce(t *testing.T) {
	n := newNights()
	for i := range 12 {
		n.fill(fmt.Sprintf("d%02d.jsonl", i), 40)
	}
	n.index(t, n.importAll(t))
	for i := range 12 {
		n.files[fmt.Sprintf("d%02d.jsonl", i)][3*i] = fmt.Sprint("new ", i)
	}
	plan, read := n.index(t, n.importAll(t))
	if got := of(read, ".parquet", ".ids"); len(got) != 1 || !strings.Contains(got[0], "/differences/") {
		t.Errorf("%q were read, want one table of the rows that came", got)
	}
	fresh := slices.DeleteFunc(n.encoder.texts, func(text string) bool { return !strings.HasPrefix(text, "new ") })
	if plan.Rows != 12 || plan.Removes() != 12 || len(plan.Batches) != 1 || len(fresh) != 12 {
		t.Errorf("%d rows to write and %d to remove in %d batches, want 12, 12 and 1; encoded %q", plan.Rows, plan.Removes(), len(plan.Batches), fresh)
	}
}

func TestADatasetThatChangedWhollyIsReadInItsPart(t *testing.T) {
	n := newNights()
	n.fill("a.jsonl", 40)
	n.fill("b.jsonl", 40)
	n.index(t, n.importAll(t))
	for i := range n.files["a.jsonl"] {
		n.files["a.jsonl"][i] += " again"
	}
	plan, read := n.index(t, n.importAll(t))
	if got := of(read, ".parquet", ".ids"); len(got) != 1 || strings.Contains(got[0], "/differences/") {
		t.Errorf("%q were read, want the one part", got)
	}
	if plan.Rows != 40 || plan.Removes() != 40 {
		t.Errorf("%d rows to write and %d to remove, want 40 and 40", plan.Rows, plan.Removes())
	}
}

func TestDescriptionsAreEncodedWhenTheyChange(t *testing.T) {
	n := newNights()
	n.fill("a.jsonl", 40)
	n.index(t, n.importAll(t))
	n.files["a.jsonl"][3] = "new"
	n.index(t, n.importAll(t))
	if want := []string{"new", "True"}; !slices.Equal(n.encoder.texts, want) {
		t.Errorf("%q were encoded, want %q: the descriptions have not changed", n.encoder.texts, want)
	}
	n.fill("b.jsonl", 2)
	n.index(t, n.importAll(t))
	if len(n.encoder.texts) != 3+2 {
		t.Errorf("%q were encoded, want the rows of a new dataset, and two descriptions", n.encoder.texts)
	}
}

func TestAnIndexThatLostItsServersDataIsDescribedAnew(t *testing.T) {
	n := newNights()
	n.fill("a.jsonl", 40)
	corpus := n.importAll(t)
	n.index(t, corpus)
	n.writer.Index = new(mem.Index)
	n.Index = n.writer.Index
	n.index(t, corpus)
	all, err := n.Index.Descriptions(t.Context(), index.Alias("hub", n.encoder.Identity()), []rebased.DatasetID{corpus.Parts[0].Dataset})
	if err != nil || len(all) != 1 {
		t.Errorf("%d descriptions, %v; want 1", len(all), err)
	}
}

func TestWithoutWhatTheImportToldTheRevisionsAreCompared(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *nights, rebased.Corpus){
		"no difference": func(t *testing.T, n *nights, c rebased.Corpus) {
			n.drop(t, rebased.CorpusDifferenceKey("hub", c.Revision))
		},
		"a damaged one": func(t *testing.T, n *nights, c rebased.Corpus) {
			if _, err := n.bucket.Put(t.Context(), rebased.CorpusDifferenceKey("hub", c.Revision), []byte("{")); err != nil {
				t.Fatal(err)
			}
		},
		"no copies": func(t *testing.T, n *nights, _ rebased.Corpus) { n.drop(t, rebased.CorpusCopiesPrefix("hub")) },
		"one of other parts": func(t *testing.T, n *nights, c rebased.Corpus) {
			n.alter(t, c, func(d *rebased.Difference) { d.Splits[0].Came[0].Key += "x" })
		},
		"one from other parts": func(t *testing.T, n *nights, c rebased.Corpus) {
			n.alter(t, c, func(d *rebased.Difference) { d.Splits[0].Went[0] += "x" })
		},
		"copies that end early": func(t *testing.T, n *nights, c rebased.Corpus) {
			n.alter(t, c, func(d *rebased.Difference) { d.Splits[1].Came[0].At = 100 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNights()
			n.fill("a.jsonl", 40)
			n.fill("b.jsonl", 40)
			n.index(t, n.importAll(t))
			n.files["a.jsonl"][7], n.files["b.jsonl"][9] = "new a", "new b"
			corpus := n.importAll(t)
			damage(t, n, corpus)
			if plan, _ := n.index(t, corpus); plan.Rows != 2 || plan.Removes() != 2 || n.writer.listed > 0 {
				t.Errorf("%d rows to write, %d to remove, %d ids of the index listed; want 2, 2 and none", plan.Rows, plan.Removes(), n.writer.listed)
			}
		})
	}
}

// drop removes all under a prefix.
func (n *nights) drop(t *testing.T, prefix string) {
	t.Helper()
	dropped := 0
	for object, err := range n.bucket.List(t.Context(), prefix) {
		if err == nil {
			err = n.bucket.Delete(t.Context(), object.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
		dropped++
	}
	if dropped == 0 {
		t.Fatalf("nothing is at %s", prefix)
	}
}

// alter changes what an import has told.
func (n *nights) alter(t *testing.T, corpus rebased.Corpus, change func(*rebased.Difference)) {
	t.Helper()
	d, err := rebased.ReadDifference(t.Context(), n.bucket, "hub", corpus.Revision)
	if err != nil {
		t.Fatal(err)
	}
	change(&d)
	if err := rebased.PutDifference(t.Context(), n.bucket, "hub", d); err != nil {
		t.Fatal(err)
	}
}

func TestImportsBetweenTwoIndexesAreTakenTogether(t *testing.T) {
	n := newNights()
	n.fill("a.jsonl", 40)
	n.fill("b.jsonl", 40)
	n.index(t, n.importAll(t))
	n.files["a.jsonl"][7] = "new a"
	n.importAll(t)
	n.files["b.jsonl"][9] = "new b"
	corpus := n.importAll(t)
	plan, read := n.index(t, corpus)
	if got := of(read, ".ids"); plan.Rows != 2 || plan.Removes() != 2 || len(got) != 0 {
		t.Errorf("%d rows to write, %d to remove, %q read; want 2, 2 and no list of ids", plan.Rows, plan.Removes(), got)
	}
	n.files["a.jsonl"][7] = "newer a"
	n.importAll(t)
	n.files["a.jsonl"][7], n.files["a.jsonl"][8] = "a row 7", "newest a" // the first is as it was once
	corpus = n.importAll(t)
	if plan, _ := n.index(t, corpus); plan.Rows != 2 || plan.Removes() != 2 || n.writer.listed > 0 {
		t.Errorf("%d rows to write, %d to remove, %d ids of the index listed; want 2, 2 and none", plan.Rows, plan.Removes(), n.writer.listed)
	}
	n.files["a.jsonl"][8] = "x"
	n.importAll(t)
	n.files["a.jsonl"][8] = "newest a" // a revision that was there before
	if plan, _ := n.index(t, n.importAll(t)); plan.Rows != 0 || plan.Removes() != 0 {
		t.Errorf("%d rows to write and %d to remove, want none: all is as it was", plan.Rows, plan.Removes())
	}
}

func TestWhateverChangesTheIndexFollows(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	n := newNights()
	n.parts = 15
	texts := 0
	for range 120 {
		file := fmt.Sprintf("d%d.jsonl", random.IntN(5))
		rows := n.files[file]
		switch at := random.IntN(len(rows) + 1); random.IntN(6) {
		case 0:
			n.fill(file, 60)
		case 1:
			if len(n.files) > 1 {
				delete(n.files, file)
			}
		case 2: // rows leave
			n.files[file] = slices.Concat(rows[:at], rows[min(len(rows), at+random.IntN(9)):])
		case 3: // a row comes, perhaps one that is there
			text := fmt.Sprint("text ", texts-random.IntN(3))
			texts++
			n.files[file] = slices.Insert(slices.Clone(rows), at, text)
		default: // one changes
			if at < len(rows) {
				rows[at] = fmt.Sprint("text ", texts)
				texts++
			}
		}
		if len(n.files[file]) == 0 {
			delete(n.files, file)
		}
		if len(n.files) == 0 || random.IntN(2) == 0 {
			continue
		}
		corpus := n.importAll(t)
		if random.IntN(3) > 0 {
			n.index(t, corpus)
		}
		if random.IntN(10) == 0 { // an update that was killed
			record, plan := n.begin(t, corpus)
			n.batches(t, record, corpus, plan)
		}
	}
	corpus := n.importAll(t)
	n.index(t, corpus)
	n.holds(t, indextest.Update(t, n.indexer(t), corpus, true), corpus)
}

func TestAnIndexThatLostItsDescriptionsAloneIsDescribedAnew(t *testing.T) {
	n := newNights()
	n.fill("a.jsonl", 40)
	corpus := n.importAll(t)
	n.index(t, corpus)
	alias := index.Alias("hub", n.encoder.Identity())
	if err := n.Index.ReplaceDescriptions(t.Context(), alias, nil); err != nil { // as a server restored from a snapshot of the rows alone
		t.Fatal(err)
	}
	if plan, _ := n.index(t, corpus); plan.Rows != 0 {
		t.Errorf("%d rows were written again", plan.Rows)
	}
	if count, err := n.Index.CountDescriptions(t.Context(), alias); err != nil || count != 1 {
		t.Errorf("%d descriptions, %v; want 1", count, err)
	}
}
