package ingest

import (
	"context"
	"io"
	"iter"
	"path"
	"slices"
	"strings"
)

// Record is one record of a file, as it was read.
type Record struct {
	Line  int       // 1-based; of Parquet the number of the row
	Cells *RowCells // the row, good with its texts until the next record is read; nil when Bad or Note says why
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

// tableExtensions are the files of records; documentExtensions those that are split into passages. All but Parquet may be compressed.
var (
	tableExtensions    = []string{".parquet", ".jsonl", ".csv", ".tsv"}
	documentExtensions = []string{".txt", ".md", ".html", ".htm"}
	compressions       = []string{".gz", ".zst"}
)

// Extensions lists the file names that can be imported; all but the first may have .gz or .zst behind them.
func Extensions() []string { return slices.Concat(tableExtensions, documentExtensions) }

// cutExtension splits a path's last element into its stem and its extension, that of a compression included; ok is false when it has none that can
// be imported.
func cutExtension(name string) (stem, ext string, ok bool) {
	name = path.Base(name)
	plain, compression := name, ""
	for _, c := range compressions {
		if inner, ok := strings.CutSuffix(name, c); ok {
			plain, compression = inner, c
		}
	}
	for _, ext := range Extensions() {
		if stem, ok := strings.CutSuffix(plain, ext); ok && stem != "" && (compression == "" || ext != ".parquet") {
			return stem, ext + compression, true
		}
	}
	return name, "", false
}

// CanRead says whether a file's name ends in a format that can be imported.
func CanRead(name string) bool {
	_, _, ok := cutExtension(name)
	return ok
}

// isDocument says whether a path is that of a document.
func isDocument(name string) bool {
	_, ext, _ := cutExtension(name)
	return slices.Contains(documentExtensions, plainExtension(ext))
}

// plainExtension is an extension without that of a compression.
func plainExtension(ext string) string {
	for _, c := range compressions {
		ext = strings.TrimSuffix(ext, c)
	}
	return ext
}
