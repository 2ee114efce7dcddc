package activities

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
)

// Dedupe removes rows that repeat others.
type Dedupe struct {
	*Build
}

// DedupeInput names the parts to read: those of the last step that made rows.
type DedupeInput struct {
	BuildRef
	Reasoned bool `json:"reasoned"`         // whether the reason step ran
	Judged   bool `json:"judged,omitempty"` // whether the judge's did
	Shards   int  `json:"shards"`

	Price      rebased.Price `json:"price"`
	JudgePrice rebased.Price `json:"judge_price,omitzero"`
	// Target is how many rows are wanted: what stays beyond it, in the order of ranks, is surplus. 0 = all that stay.
	Target int `json:"target,omitempty"`
}

// DedupeResult counts what was kept. The rows are in deduped/, in the order of their ranks.
type DedupeResult struct {
	Rows     int                    `json:"rows"`
	Rejected map[rebased.Reason]int `json:"rejected"`
	Parts    int                    `json:"parts"` // files in deduped/; 0 = 1, of a history recorded before there could be more
}

// DedupeRows goes through all rows of a build, a shard at a time, and writes those that stay.
func (a *Dedupe) DedupeRows(ctx context.Context, in DedupeInput) (DedupeResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	files := &dedupeFiles{Build: a.Build, in: in, progress: progress, folder: folderTransformed}
	switch {
	case in.Judged:
		files.folder = folderJudged
	case in.Reasoned:
		files.folder = folderReasoned
	}
	out, err := files.dedupe(work)
	return out, translate(ctx, err)
}

// dedupeFiles is where one deduplication reads and writes.
type dedupeFiles struct {
	*Build
	in       DedupeInput
	folder   string // of the rows
	progress func(int)

	read    int // rows
	rejects int // files
	scratch *os.File
	out     DedupeResult
}

var _ dedupe.Files = (*dedupeFiles)(nil)

func (f *dedupeFiles) dedupe(ctx context.Context) (DedupeResult, error) {
	task, _, err := f.task(ctx, f.in.BuildRef)
	if err != nil {
		return DedupeResult{}, err
	}
	f.out.Rejected = map[rebased.Reason]int{}
	err = dedupe.Rows(ctx, dedupe.Config{Dedupe: task.Dedupe, Parts: f.in.Shards}, f)
	if err == nil {
		err = f.sweep(ctx)
	}
	if f.scratch != nil {
		err = errors.Join(err, f.scratch.Close())
	}
	return f.out, err
}

// Read implements dedupe.Files.
func (f *dedupeFiles) Read(ctx context.Context, n int) ([]rebased.Example, error) {
	rows, err := f.Examples.Read(ctx, f.in.key(f.folder, n))
	if err != nil {
		return nil, fmt.Errorf("read the rows of shard %d: %w", n, err)
	}
	f.read += len(rows)
	f.progress(f.read)
	return rows, nil
}

// Keep implements dedupe.Files.
func (f *dedupeFiles) Keep(ctx context.Context, rows []rebased.Example) error {
	if left := f.in.Target - f.out.Rows; f.in.Target > 0 && len(rows) > left {
		var surplus []rebased.Reject
		for _, e := range rows[left:] {
			surplus = append(surplus, rebased.Reject{
				Lineage: e.Lineage, Step: dedupe.Step, Reason: rebased.ReasonSurplus, Detail: "the target is met by rows of a higher rank",
				Attempts: len(e.Responses), Input: e.Input, Output: e.Output, Usage: e.Usage, Judged: e.Judged,
			})
		}
		if err := f.Reject(ctx, surplus); err != nil {
			return err
		}
		if rows = rows[:left]; left == 0 && f.out.Parts > 0 {
			return nil
		}
	}
	if _, err := f.Examples.Write(ctx, f.in.key(folderDeduped, f.out.Parts), rows); err != nil {
		return fmt.Errorf("write the deduplicated rows: %w", err)
	}
	f.out.Parts++
	f.out.Rows += len(rows)
	return nil
}

// Reject implements dedupe.Files.
func (f *dedupeFiles) Reject(ctx context.Context, rejects []rebased.Reject) error {
	priced(rejects, f.in.Price, f.in.JudgePrice)
	if _, err := f.Rejects.Write(ctx, f.in.rejectsKey(dedupe.Step, f.rejects), rejects); err != nil {
		return fmt.Errorf("write the duplicates: %w", err)
	}
	f.rejects++
	for reason, n := range countReasons(rejects) {
		f.out.Rejected[reason] += n
	}
	return nil
}

// sweep removes the rejects of an earlier round, or attempt, that had more files of them.
func (f *dedupeFiles) sweep(ctx context.Context) error {
	for object, err := range f.Objects.List(ctx, rebased.BuildKey(f.in.Task, f.in.Build, folderRejects, dedupe.Step+"-")) {
		if err != nil {
			return fmt.Errorf("list the duplicates: %w", err)
		}
		if object.Key < f.in.rejectsKey(dedupe.Step, f.rejects) {
			continue
		}
		if err := f.Objects.Delete(ctx, object.Key); err != nil {
			return fmt.Errorf("remove the duplicates of an earlier round: %w", err)
		}
	}
	return nil
}

// Scratch implements dedupe.Files. The file has no name from the moment on that it is open, so that a worker that is killed leaves nothing.
func (f *dedupeFiles) Scratch() (dedupe.Scratch, error) {
	file, err := os.CreateTemp("", "rebased-dedupe-*")
	if err != nil {
		return nil, err
	}
	f.scratch = file
	return file, os.Remove(file.Name())
}
