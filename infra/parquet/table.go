package parquet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"

	"github.com/rebased/rebased"
)

// Rows is the table of corpus parts.
func Rows(o rebased.Objects) rebased.Table[rebased.Row] { return table[rebased.Row]{o, RowSchema()} }

// Candidates is the table of retrieved rows.
func Candidates(o rebased.Objects) rebased.Table[rebased.Candidate] {
	return table[rebased.Candidate]{o, CandidateSchema()}
}

// Examples is the table of training rows.
func Examples(o rebased.Objects) rebased.Table[rebased.Example] {
	return table[rebased.Example]{o, ExampleSchema()}
}

// Rejects is the table of rows that are not used.
func Rejects(o rebased.Objects) rebased.Table[rebased.Reject] {
	return table[rebased.Reject]{o, RejectSchema()}
}

// Datasets is the table of a corpus's datasets.
func Datasets(o rebased.Objects) rebased.Table[rebased.Dataset] {
	return table[rebased.Dataset]{o, DatasetSchema()}
}

type table[T any] struct {
	objects rebased.Objects
	schema  *Schema[T]
}

// Read implements rebased.Table. A file that is damaged or of another schema is Invalid.
func (t table[T]) Read(ctx context.Context, key string) ([]T, error) {
	data, _, err := t.objects.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return Decode(t.schema, key, data)
}

// Pick implements rebased.Table.
func (t table[T]) Pick(ctx context.Context, key string, places []int32) ([]T, error) {
	data, _, err := t.objects.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return DecodeSome(t.schema, key, data, places)
}

// Write implements rebased.Table.
func (t table[T]) Write(ctx context.Context, key string, rows []T) (rebased.File, error) {
	data, sum, err := t.encode(key, rows)
	if err != nil {
		return rebased.File{}, err
	}
	if _, err := t.objects.Put(ctx, key, data); err != nil {
		return rebased.File{}, err
	}
	return rebased.File{Key: key, SHA256: sum, Size: int64(len(data)), Rows: len(rows)}, nil
}

// WriteHashed implements rebased.Table.
func (t table[T]) WriteHashed(ctx context.Context, prefix string, rows []T) (rebased.File, error) {
	data, sum, err := t.encode(prefix+"*", rows)
	if err != nil {
		return rebased.File{}, err
	}
	key := prefix + sum + ".parquet"
	if err := rebased.PutOnce(ctx, t.objects, key, data); err != nil {
		return rebased.File{}, err
	}
	return rebased.File{Key: key, SHA256: sum, Size: int64(len(data)), Rows: len(rows)}, nil
}

// Encode implements rebased.Table.
func (t table[T]) Encode(w io.Writer, parts iter.Seq2[[]T, error]) error {
	return EncodeTo(w, t.schema, parts)
}

func (t table[T]) encode(key string, rows []T) (data []byte, sum string, err error) {
	if data, err = Encode(t.schema, rows); err != nil {
		return nil, "", fmt.Errorf("write %s: %w", key, err)
	}
	digest := sha256.Sum256(data)
	return data, hex.EncodeToString(digest[:]), nil
}
