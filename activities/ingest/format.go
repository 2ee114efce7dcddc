package ingest

import (
	"context"
	"io"
	"iter"
	"path"
	"strings"
)

// Record is one record of a file, as it was read.
type Record struct {
	Line  int       // 1-based; of Parquet the number of the row
	Cells *RowCells // the row, good until the next record is read; nil when Bad or Note says why
	Bad   string    // why this record is left out; "" for a good one
	Note  string    // something that is left out of the rows, said once a file, for instance a column of images
}

// Format reads the records of one file format. Line is 0 for a note.
//
// An error ends the sequence: the file cannot be read on from there, and what was read before stands. A record that alone cannot be read has Bad
// set and the sequence goes on. The same bytes give the same sequence.
type Format interface {
	Records(ctx context.Context, file *io.SectionReader, limits Limits) iter.Seq2[Record, error]
}

// Extensions lists the file names that can be imported.
func Extensions() []string {
	return []string{".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst"}
}

// cutExtension splits a path's last element into its stem and one of Extensions; ok is false when it has none of them.
func cutExtension(name string) (stem, ext string, ok bool) {
	name = path.Base(name)
	for _, ext := range Extensions() {
		if stem, ok := strings.CutSuffix(name, ext); ok && stem != "" {
			return stem, ext, true
		}
	}
	return name, "", false
}

// CanRead says whether a file's name ends in a format that can be imported.
func CanRead(name string) bool {
	_, _, ok := cutExtension(name)
	return ok
}
