package ingest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

func TestAFolderOfDocumentsIsOneSplit(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string
		skip  string
	}{
		"the imported folder":      {[]string{"a.md", "b/c.txt", "b/d/e/f/g/h.html.gz"}, "a.md = data | default | train\nb/c.txt = data | default | train\nb/d/e/f/g/h.html.gz = data | default | train\n", ""},
		"a folder each":            {[]string{"x--wiki/a.md", "x--wiki/b/c.md", "faq/train.txt", "README.md"}, "faq/train.txt = faq | default | train\nx--wiki/a.md = x/wiki | default | train\nx--wiki/b/c.md = x/wiki | default | train\n", "README.md"},
		"owner and name":           {[]string{"o/n/a.md", "o/m/a.md", "o/m/deep/er/a.md"}, "o/m/a.md = o/m | default | train\no/m/deep/er/a.md = o/m | default | train\no/n/a.md = o/n | default | train\n", ""},
		"deeper folders":           {[]string{"o/n/c/a.md", "o/n/d/e/a.md", "x--y/c/a.htm"}, "o/n/c/a.md = o/n | c | train\no/n/d/e/a.md = o/n | d-e | train\nx--y/c/a.htm = x/y | c | train\n", ""},
		"beside files of records":  {[]string{"notes.md", "hub/a.jsonl", "hub/notes.md", "wiki/a.md"}, "hub/a.jsonl = hub | a | train\nwiki/a.md = wiki | default | train\n", "hub/notes.md notes.md"},
		"a README belongs to more": {[]string{"wiki/a.md", "wiki/README.md", "other/LICENSE.txt"}, "wiki/README.md = wiki | default | train\nwiki/a.md = wiki | default | train\n", "other/LICENSE.txt"},
	} {
		files := map[string]string{}
		for _, file := range c.files {
			files[file] = "x"
		}
		folder := discover(t, tree(t, files))
		if got := places(folder); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
		var skipped []string
		for _, s := range folder.Skipped {
			skipped = append(skipped, s.Path)
		}
		if got := strings.Join(skipped, " "); got != c.skip {
			t.Errorf("%s: skipped %s, want %s", name, got, c.skip)
		}
	}
	root := tree(t, map[string]string{"a.jsonl": "", "README.md": "x"})
	if got := places(discover(t, filepath.Join(root, "README.md"))); got != "README.md = README | default | train\n" {
		t.Errorf("a document that is named: %s", got)
	}
}

func TestDocumentsBecomeRows(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, converted := b.load(t, discover(t, tree(t, map[string]string{
		"wiki/a.md": "# Ada\nFirst.\n## Life\nLondon.", "wiki/b.txt": "plain", "wiki/c.html": "<p>page", "wiki/d.md": "",
		"datasets.jsonl": `{"dataset":"wiki","description":"People.","license":"cc0-1.0"}`,
	})), 0)
	var got []string
	for _, row := range b.rows(t, corpus) {
		got = append(got, fmt.Sprint(row.Cells))
	}
	if want := "[{title Ada} {text First.}] [{title Ada} {section Life} {text London.}] [{title b} {text plain}] [{title c} {text page}]"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
	if d := converted[0].Dataset; len(converted) != 1 || d.Description != "People." || d.License != "cc0-1.0" || converted[0].Bad != 1 || converted[0].Malformed[0].Path != "wiki/d.md" {
		t.Errorf("%+v", converted)
	}
}

func TestAColumnOfDocumentsBecomesPassages(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	ctx := context.Background()
	long := strings.Repeat("word ", 400)
	sources, err := ingest.Upload(ctx, b.objects, discover(t, tree(t, map[string]string{
		"wiki.jsonl": `{"id":1,"title":"Ada","body":"# Life\nLondon.","url":"u"}
{"id":2,"body":"<html><title>Page</title><p>Text"}
{"id":3,"body":"` + long + `"}
{"id":4}
{"id":5,"body":"# alone"}
`,
		"other.csv": "q\nx\n",
	})), b.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	imp := ingest.Import{Corpus: "test", Options: ingest.Options{Documents: "body"}}
	run, err := b.Start(ctx, imp)
	if err != nil {
		t.Fatal(err)
	}
	var converted []ingest.Converted
	var notes []string
	for _, split := range ingest.Splits(sources) {
		out, err := run.Convert(ctx, split, nil)
		if err != nil {
			t.Fatal(err)
		}
		converted = append(converted, out)
		for _, note := range out.Notes {
			notes = append(notes, note.Path+": "+note.Error)
		}
	}
	corpus, _, err := b.Commit(ctx, imp, converted)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range b.rows(t, corpus) {
		got = append(got, fmt.Sprintf("%.60s", fmt.Sprint(row.Cells)))
	}
	want := []string{"[{q x}]", "[{title Ada} {section Life} {text London.}]", "[{title Page} {text Text}]", "[{text word word", "[{text word word", "[{id 4}]"}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(converted[1].Malformed) != 1 || converted[1].Malformed[0] != (rebased.Malformed{Path: "wiki.jsonl", Line: 5, Error: "its document says nothing"}) {
		t.Errorf("malformed %v", converted[1].Malformed)
	}
	if want := []string{"other.csv: has no column body of documents: its rows are taken as they are", "wiki.jsonl: column body is split into passages; columns that are left out: id, url"}; !slices.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
	if fmt.Sprint(corpus.Options) != "[max_rows_per_config=0 reader=3 documents=body]" {
		t.Errorf("options %v", corpus.Options)
	}
}
