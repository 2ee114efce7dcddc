package ingest

import (
	"bytes"
	"context"
	"io"
	"iter"

	"github.com/rebased/rebased"
)

// ReadFile gives the records of one file that is held in memory, by the format that its name tells; parquet reads the files that end so. Invalid: there
// is no such format.
func ReadFile(ctx context.Context, name string, body []byte, parquet Format, limits Limits) (iter.Seq2[Record, error], error) {
	formats := textFormats()
	formats[".parquet"] = parquet
	_, ext, ok := cutExtension(name)
	if !ok {
		return nil, rebased.E(rebased.Invalid, "%s: a file of this name cannot be read: use .jsonl, .csv or .parquet", name)
	}
	return formats[ext].Records(ctx, io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))), limits), nil
}
