package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/rebased/rebased"
)

var _ rebased.Table[rebased.Row] = Table[rebased.Row]{}

// Table stores rows as lines of JSON. Keys still end in .parquet: they belong to the layout, not to the format.
type Table[T any] struct {
	objects rebased.Objects
}

// NewTable makes a table over a bucket.
func NewTable[T any](objects rebased.Objects) Table[T] { return Table[T]{objects: objects} }

// Read implements rebased.Table.
func (t Table[T]) Read(ctx context.Context, key string) ([]T, error) {
	body, _, err := t.objects.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	var rows []T
	lines := json.NewDecoder(bytes.NewReader(body))
	for {
		var row T
		err := lines.Decode(&row)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "read %s: row %d: %w", key, len(rows), err)
		}
		rows = append(rows, row)
	}
}

// Pick implements rebased.Table.
func (t Table[T]) Pick(ctx context.Context, key string, places []int32) ([]T, error) {
	rows, err := t.Read(ctx, key)
	if err != nil {
		return nil, err
	}
	picked := make([]T, len(places))
	for i, place := range places {
		if place < 0 || int(place) >= len(rows) || i > 0 && place <= places[i-1] {
			return nil, rebased.E(rebased.Invalid, "read %s: row %d of %d was asked for", key, place, len(rows))
		}
		picked[i] = rows[place]
	}
	return picked, nil
}

// Write implements rebased.Table.
func (t Table[T]) Write(ctx context.Context, key string, rows []T) (rebased.File, error) {
	body, sum, err := encode(rows)
	if err != nil {
		return rebased.File{}, rebased.E(rebased.Invalid, "write %s: %w", key, err)
	}
	if _, err := t.objects.Put(ctx, key, body); err != nil {
		return rebased.File{}, err
	}
	return rebased.File{Key: key, SHA256: sum, Size: int64(len(body)), Rows: len(rows)}, nil
}

// WriteHashed implements rebased.Table.
func (t Table[T]) WriteHashed(ctx context.Context, prefix string, rows []T) (rebased.File, error) {
	body, sum, err := encode(rows)
	if err != nil {
		return rebased.File{}, rebased.E(rebased.Invalid, "write %s*: %w", prefix, err)
	}
	key := prefix + sum + ".parquet"
	if _, err := t.objects.PutIfAbsent(ctx, key, body); err != nil && rebased.KindOf(err) != rebased.Conflict {
		return rebased.File{}, err
	}
	return rebased.File{Key: key, SHA256: sum, Size: int64(len(body)), Rows: len(rows)}, nil
}

// Encode implements rebased.Table.
func (t Table[T]) Encode(w io.Writer, parts iter.Seq2[[]T, error]) error {
	for rows, err := range parts {
		if err != nil {
			return err
		}
		if err := writeLines(w, rows); err != nil {
			return rebased.E(rebased.Invalid, "encode: %w", err)
		}
	}
	return nil
}

func encode[T any](rows []T) (body []byte, sum string, err error) {
	var lines bytes.Buffer
	if err := writeLines(&lines, rows); err != nil {
		return nil, "", err
	}
	digest := sha256.Sum256(lines.Bytes())
	return lines.Bytes(), hex.EncodeToString(digest[:]), nil
}

func writeLines[T any](w io.Writer, rows []T) error {
	encoder := json.NewEncoder(w)
	for i := range rows {
		if err := encoder.Encode(rows[i]); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}
