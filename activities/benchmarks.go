package activities

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/ingest"
)

// benchmarkBytes is how much text the benchmarks of a task may have.
const benchmarkBytes = 128 << 20

// readBenchmarks reads the benchmark files of a task; nil when it names none. What cannot be read is an error, since it could hide a leak.
func readBenchmarks(ctx context.Context, objects rebased.Objects, parquet ingest.Format, d rebased.Decontaminate) (*decontaminate.Set, error) {
	if len(d.Files) == 0 {
		return nil, nil //nolint:nilnil // no benchmarks are no error
	}
	set := decontaminate.New(d.NGram, benchmarkBytes)
	for _, ref := range d.Files {
		key, name, ok := rebased.ParseBenchmarkRef(ref)
		if !ok {
			return nil, rebased.E(rebased.Invalid, "decontaminate.files: %q was not uploaded: start the task with the command line, which uploads it", ref)
		}
		body, _, err := objects.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read benchmark %s: %w", name, err)
		}
		if err := addBenchmark(ctx, set, name, body, parquet); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func addBenchmark(ctx context.Context, set *decontaminate.Set, name string, body []byte, parquet ingest.Format) error {
	before := set.Texts()
	if strings.HasSuffix(name, ".txt") {
		line := 0
		for text := range bytes.Lines(body) {
			line++
			if err := set.Add(name, line, []string{string(text)}); err != nil {
				return err
			}
		}
	} else if err := addRecords(ctx, set, name, body, parquet); err != nil {
		return err
	}
	if set.Texts() == before {
		return rebased.E(rebased.Invalid, "decontaminate.files: %s has no text that could be found again, or none that an earlier file has not: remove it", name)
	}
	return nil
}

func addRecords(ctx context.Context, set *decontaminate.Set, name string, body []byte, parquet ingest.Format) error {
	records, err := ingest.ReadFile(ctx, name, body, parquet, ingest.DefaultLimits())
	if err != nil {
		return fmt.Errorf("decontaminate.files: %w", err)
	}
	for record, err := range records {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return rebased.E(rebased.Invalid, "decontaminate.files: %s: %w", name, err)
		case record.Bad != "":
			return rebased.E(rebased.Invalid, "decontaminate.files: %s:%d: %s", name, record.Line, record.Bad)
		case record.Cells == nil:
			continue // a note
		}
		var texts []string
		for _, cell := range record.Cells.Cells() {
			texts = append(texts, strings.Clone(cell.Text)) // which is good for this record only
		}
		if err := set.Add(name, record.Line, texts); err != nil {
			return err
		}
	}
	return nil
}
