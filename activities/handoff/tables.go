package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/rebased/rebased"
)

// limits end a Parquet file with the row that reaches one of them: a table is made and checked whole, in memory.
type limits struct{ rows, text int }

// limitsOf are those of a split of so many rows. Up to 20,000 rows and 32 MiB of text are one file. Where more are to come the files are half as large,
// so that a split of any size needs no more memory than the largest that is one file.
func limitsOf(rows int) limits {
	if rows > fileRows {
		return limits{rows: fileRows / 2, text: fileText / 2}
	}
	return limits{rows: fileRows, text: fileText}
}

const (
	fileRows = 20_000
	fileText = 32 << 20 // bytes
)

// parquetName is the n-th Parquet file of a split.
func parquetName(split string, n int) string { return fmt.Sprintf("%s-%05d.parquet", split, n) }

// isParquet reports whether a file is a Parquet file of a split.
func isParquet(name, split string) bool {
	number, found := strings.CutPrefix(name, split+"-")
	return found && strings.HasSuffix(number, ".parquet")
}

// tables makes the Parquet files of one split, one after the other.
type tables struct {
	versions Versions
	limits   limits
	staging  string // folder
	split    string
	rows     []rebased.Example // of the next file
	text     int               // of these, in bytes
	files    []file
}

func (v Versions) newTables(staging, split string, rows int) *tables {
	t := &tables{versions: v, limits: v.limits, staging: staging, split: split}
	if t.limits == (limits{}) {
		t.limits = limitsOf(rows)
	}
	t.rows = make([]rebased.Example, 0, min(rows, t.limits.rows))
	return t
}

func (t *tables) add(ctx context.Context, e *rebased.Example) error {
	t.rows = append(t.rows, *e)
	t.text += len(e.Input) + len(e.Output) + len(e.Answer)
	if len(t.rows) >= t.limits.rows || t.text >= t.limits.text {
		return t.write(ctx)
	}
	return nil
}

// end gives the files of all rows that were added.
func (t *tables) end(ctx context.Context) ([]file, error) {
	if len(t.rows) > 0 {
		if err := t.write(ctx); err != nil {
			return nil, err
		}
	}
	return t.files, nil
}

func (t *tables) write(ctx context.Context) error {
	name := parquetName(t.split, len(t.files))
	staged, err := t.versions.Examples.Write(ctx, path.Join(t.staging, name), t.rows)
	if err != nil {
		return fmt.Errorf("stage %s: %w", name, err)
	}
	entry := Entry{Name: name, SHA256: staged.SHA256, Size: staged.Size, Rows: len(t.rows)}
	t.files = append(t.files, file{entry, func(ctx context.Context, key string) error { return t.versions.copyOf(ctx, staged.Key, key, entry) }})
	clear(t.rows) // their texts go
	t.rows, t.text = t.rows[:0], 0
	return nil
}

// copyOf puts a staged file to its key.
func (v Versions) copyOf(ctx context.Context, staged, key string, entry Entry) error {
	body, _, err := v.Objects.Get(ctx, staged)
	if err != nil {
		return fmt.Errorf("read %s: %w", staged, err)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != entry.SHA256 {
		return rebased.E(rebased.Invalid, "%s was changed after it was made", staged)
	}
	_, err = v.Objects.PutIfAbsent(ctx, key, body)
	return err
}
