package source_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/source"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// read writes down what a Parquet file holds, a line a cell.
func read(body []byte) string {
	var out strings.Builder
	section := io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
	for record, err := range (source.Parquet{}).Records(context.Background(), section, ingest.DefaultLimits()) {
		switch {
		case err != nil:
			fmt.Fprintf(&out, "BREAKS OFF: %v\n", err)
		case record.Note != "":
			fmt.Fprintf(&out, "note: %s\n", record.Note)
		case record.Bad != "":
			fmt.Fprintf(&out, "row %d bad: %s\n", record.Line, record.Bad)
		default:
			fmt.Fprintf(&out, "row %d\n", record.Line)
			for _, cell := range record.Cells.Cells() {
				fmt.Fprintf(&out, "\t%s = %q\n", cell.Column, cell.Text)
			}
		}
	}
	return out.String()
}

func TestRowsOfOtherWritersFiles(t *testing.T) {
	for _, name := range []string{"types", "nested", "nested-old-lists", "labels", "old", "deep"} {
		t.Run(name, func(t *testing.T) {
			got := read(load(t, name))
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs from %s:\n%s", name, golden, got)
			}
		})
	}
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestBatchesPagesAndRowGroupsDoNotShowInTheRows(t *testing.T) {
	var want strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&want, "row %d\n\tn = \"%d\"\n", i+1, i)
		if i%7 != 0 {
			fmt.Fprintf(&want, "\tword = \"word %d\"\n", i%50)
		}
		if list := []string{"", "0", `0\n1`, `0\n1\n2`, `0\n1\n2\n3`}[i%5]; list != "" {
			fmt.Fprintf(&want, "\tlist = \"%s\"\n", list)
		}
	}
	if got := read(load(t, "many")); got != want.String() {
		t.Errorf("the rows differ: %d bytes, want %d", len(got), want.Len())
	}
}

func TestDamagedFilesEndInAnError(t *testing.T) {
	whole := load(t, "many")
	for _, length := range []int{0, 3, 8, 100, len(whole) / 2, len(whole) - 1} {
		if got := read(whole[:length]); !strings.HasPrefix(got, "BREAKS OFF") || strings.Count(got, "BREAKS OFF") != 1 {
			t.Errorf("cut to %d bytes: %.200s", length, got)
		}
	}
}

func TestAnyByteMayBeWrong(t *testing.T) {
	for _, name := range []string{"types", "nested", "labels"} {
		whole := load(t, name)
		for at := 0; at < len(whole); at += 11 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 0xff
			if got := read(damaged); strings.Count(got, "BREAKS OFF") > 1 {
				t.Fatalf("%s with another byte %d: %.200s", name, at, got)
			}
		}
	}
}

func TestLimitsOfColumnsAndSize(t *testing.T) {
	body := load(t, "types")
	for name, c := range map[string]struct {
		change func(*ingest.Limits)
		want   string
	}{
		"columns":  {func(l *ingest.Limits) { l.Columns = 18 }, "has 19 columns, at most 18 can be read"},
		"bytes":    {func(l *ingest.Limits) { l.Bytes = 100 }, "decompresses to more than 100 bytes"},
		"row size": {func(l *ingest.Limits) { l.RowBytes = 150 }, "the row is larger than 150 bytes"},
	} {
		limits := ingest.DefaultLimits()
		c.change(&limits)
		section := io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
		var said []string
		for record, err := range (source.Parquet{}).Records(context.Background(), section, limits) {
			if err != nil {
				said = append(said, err.Error())
			}
			if record.Bad != "" {
				said = append(said, record.Bad)
			}
		}
		if len(said) == 0 || said[0] != c.want {
			t.Errorf("%s: got %q, want %q", name, said, c.want)
		}
	}
}

func FuzzParquet(f *testing.F) {
	for _, name := range []string{"types", "nested", "labels", "old"} {
		f.Add(load(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if got := read(body); strings.Count(got, "BREAKS OFF") > 1 {
			t.Errorf("goes on after an error: %s", got)
		}
	})
}
