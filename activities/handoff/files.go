package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"github.com/rebased/rebased"
)

// file is one file of a version: what the manifest says of it, and how it comes to a key. put gives Conflict when the key exists.
type file struct {
	Entry
	put func(ctx context.Context, key string) error
}

func (v Versions) fixed(name string, body []byte) file {
	sum := newDigest()
	_, _ = sum.Write(body)
	return file{sum.entry(name, 0), func(ctx context.Context, key string) error {
		_, err := v.Objects.PutIfAbsent(ctx, key, body)
		return err
	}}
}

// files lists the files of a version but for the manifest, and enters them there. Those that hold rows are made here: Parquet beside the build,
// since the version's name is not known yet, the lines of JSONL for their sums alone.
func (v Versions) files(ctx context.Context, in Input, rows splitRows, manifest *Manifest, page []byte) ([]file, error) {
	files := []file{v.fixed(taskName, in.TaskFile), v.fixed(cardName, card(in.Task, *manifest)), v.fixed(reportName, page)}
	ready := configs(in.Task, manifest.Counts)
	for _, name := range slices.Sorted(maps.Keys(ready)) {
		files = append(files, v.fixed(name, ready[name]))
	}
	for _, split := range []string{SplitTrain, SplitValidation} {
		if rows.splits.size(split) == 0 {
			continue
		}
		made, err := v.splitFiles(ctx, in, rows, split)
		if err != nil {
			return nil, fmt.Errorf("make the files of split %s: %w", split, err)
		}
		files = append(files, made...)
	}
	for _, f := range files {
		manifest.add(f.Entry)
	}
	return files, nil
}

// splitFiles makes all files of one split in one pass over the rows.
func (v Versions) splitFiles(ctx context.Context, in Input, rows splitRows, split string) ([]file, error) {
	size := rows.splits.size(split)
	tables := v.newTables(in.Staging, split, size)
	formats := in.Task.Output.Formats
	sums, all := make([]*digest, len(formats)), make([]*lines, len(formats))
	for i, format := range formats {
		sums[i] = newDigest()
		all[i] = newLines(sums[i], format, frameOf(in.Task))
	}
	err := rows.each(ctx, split, func(e *rebased.Example) error {
		for _, l := range all {
			if err := l.add(e); err != nil {
				return err
			}
		}
		return tables.add(ctx, e)
	})
	if err != nil {
		return nil, err
	}
	files, err := tables.end(ctx)
	if err != nil {
		return nil, err
	}
	for i, format := range formats {
		if err := all[i].flush(); err != nil {
			return nil, err
		}
		if all[i].count == 0 { // of preference pairs there can be none, and no loader takes a file without a line
			continue
		}
		entry := sums[i].entry(split+"."+format+".jsonl", all[i].count)
		files = append(files, file{entry, func(ctx context.Context, key string) error {
			return v.putLines(ctx, key, entry, format, frameOf(in.Task), func(visit func(*rebased.Example) error) error {
				return rows.each(ctx, split, visit)
			})
		}})
	}
	return files, nil
}

// putLines makes a JSONL file at its key. Other lines than those that the manifest is to list become no object.
func (v Versions) putLines(
	ctx context.Context, key string, entry Entry, format string, frame frame, each func(visit func(*rebased.Example) error) error,
) error {
	return v.Objects.CreateIfAbsent(ctx, key, func(w io.Writer) error {
		sum := newDigest()
		lines := newLines(io.MultiWriter(w, sum), format, frame)
		if err := each(lines.add); err != nil {
			return err
		}
		if err := lines.flush(); err != nil {
			return err
		}
		return sum.check(entry)
	})
}

// digest sums what is written to it.
type digest struct {
	hash.Hash
	size int64
}

func newDigest() *digest { return &digest{Hash: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.Hash.Write(p)
}

func (d *digest) entry(name string, rows int) Entry {
	return Entry{Name: name, SHA256: hex.EncodeToString(d.Sum(nil)), Size: d.size, Rows: rows}
}

func (d *digest) check(want Entry) error {
	if d.entry(want.Name, want.Rows) != want {
		return rebased.E(rebased.Invalid, "%s has other bytes than before: the rows of the build were changed meanwhile", want.Name)
	}
	return nil
}
