package activities

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/balance"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/dedupe"
)

// Dedupe removes rows that repeat others.
type Dedupe struct {
	*Build
}

// DedupeInput names the parts to read: those of the last step that made rows.
type DedupeInput struct {
	BuildRef
	Reasoned bool `json:"reasoned"` // whether the reason step ran
	Shards   int  `json:"shards"`

	Price rebased.Price `json:"price"`
	// Target is how many rows are wanted: what stays beyond it, in the order of ranks, is surplus. 0 = all that stay.
	Target int `json:"target,omitempty"`
}

// DedupeResult counts what was kept. The rows are in deduped/, in the order of their ranks.
type DedupeResult struct {
	Rows     int                    `json:"rows"`
	Rejected map[rebased.Reason]int `json:"rejected"`
	Parts    int                    `json:"parts"` // files in deduped/; 0 = 1, of a history recorded before there could be more
	// Balance says what output.balance could not have, in one line; "" = nothing.
	Balance string `json:"balance,omitempty"`
}

// DedupeRows goes through all rows of a build, a shard at a time, and writes those that stay. A row that shares text with a benchmark goes first, so
// that no good row is removed for repeating it; what is balanced is what is left.
func (a *Dedupe) DedupeRows(ctx context.Context, in DedupeInput) (DedupeResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	files := &dedupeFiles{Build: a.Build, in: in, progress: progress, folder: folderTransformed}
	if in.Reasoned {
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

	spec       rebased.Task
	benchmarks *decontaminate.Set // nil = none
	leaks      map[int][]leak     // by part, of those that were read
	leaked     []rebased.Reject   // to be written
	tally      *balance.Tally     // nil = nothing is balanced
	kept       int                // files of rows that wait to be balanced
}

var _ dedupe.Files = (*dedupeFiles)(nil)

func (f *dedupeFiles) dedupe(ctx context.Context) (DedupeResult, error) {
	task, _, err := f.task(ctx, f.in.BuildRef)
	if err != nil {
		return DedupeResult{}, err
	}
	if f.benchmarks, err = f.Benchmarks.open(ctx, task.Decontaminate); err != nil {
		return DedupeResult{}, err
	}
	f.spec = task
	f.out.Rejected, f.leaks = map[rebased.Reason]int{}, map[int][]leak{}
	if task.Output.Balance.Active() {
		f.tally = balance.New(task)
	}
	err = dedupe.Rows(ctx, dedupe.Config{Dedupe: task.Dedupe, Parts: f.in.Shards}, f)
	if err == nil {
		err = f.flushLeaked(ctx, 1)
	}
	if err == nil && f.tally != nil {
		err = f.balance(ctx)
	}
	if err == nil {
		err = f.sweep(ctx)
	}
	if f.scratch != nil {
		err = errors.Join(err, f.scratch.Close())
	}
	return f.out, err
}

// Read implements dedupe.Files. The first time it rejects the rows of the part that leak.
func (f *dedupeFiles) Read(ctx context.Context, n int) ([]rebased.Example, error) {
	_, known := f.leaks[n]
	clean, leaked, err := f.clean(ctx, n)
	if err != nil || known {
		return clean, err
	}
	f.leaked = append(f.leaked, leaked...)
	return clean, f.flushLeaked(ctx, dedupe.PartRows)
}

// clean reads a part and parts the rows that leak from the others.
func (f *dedupeFiles) clean(ctx context.Context, n int) (clean []rebased.Example, leaked []rebased.Reject, err error) {
	rows, err := f.Examples.Read(ctx, f.in.key(f.folder, n))
	if err != nil {
		return nil, nil, fmt.Errorf("read the rows of shard %d: %w", n, err)
	}
	f.read += len(rows)
	f.progress(f.read)
	if _, known := f.leaks[n]; !known {
		f.leaks[n] = findLeaks(f.benchmarks, f.spec, rows)
	}
	clean, leaked = withoutLeaks(dedupe.Step, rows, f.leaks[n])
	return clean, leaked, nil
}

// flushLeaked writes the rows that leak once they have come to so many.
func (f *dedupeFiles) flushLeaked(ctx context.Context, rows int) error {
	if len(f.leaked) < rows {
		return nil
	}
	leaked := f.leaked
	f.leaked = nil
	return f.Reject(ctx, leaked)
}

// Keep implements dedupe.Files.
func (f *dedupeFiles) Keep(ctx context.Context, rows []rebased.Example) error {
	if f.tally == nil {
		return f.take(ctx, rows)
	}
	for i := range rows {
		f.tally.Add(rows[i].Answer)
	}
	if _, err := f.Examples.Write(ctx, f.in.key(folderKept, f.kept), rows); err != nil {
		return fmt.Errorf("write the rows to balance: %w", err)
	}
	f.kept++
	return nil
}

// balance goes through the rows that were kept, now that all answers are counted, and takes those that the version may have.
func (f *dedupeFiles) balance(ctx context.Context) error {
	f.tally.Close()
	n := 0
	for part := range f.kept {
		key := f.in.key(folderKept, part)
		rows, err := f.Examples.Read(ctx, key)
		if err != nil {
			return fmt.Errorf("read the rows to balance: %w", err)
		}
		fit := make([]rebased.Example, 0, len(rows))
		var over []rebased.Reject
		for i := range rows {
			met := f.in.Target > 0 && f.out.Rows+len(fit) >= f.in.Target // what is left then is surplus, whatever its answer
			if met || f.tally.Take(n) {
				fit = append(fit, rows[i])
			} else {
				over = append(over, rejectOf(&rows[i], dedupe.Step, rebased.ReasonBalance, "rows of a higher rank have all that the version may have of this answer"))
			}
			n++
		}
		if len(over) > 0 {
			if err := f.Reject(ctx, over); err != nil {
				return err
			}
		}
		if err := f.take(ctx, fit); err != nil {
			return err
		}
	}
	for part := range f.kept {
		if err := f.Objects.Delete(ctx, f.in.key(folderKept, part)); err != nil {
			return fmt.Errorf("remove the rows that were balanced: %w", err)
		}
	}
	f.out.Balance = f.tally.Short()
	return nil
}

// take writes the next rows of the version, as many as are wanted.
func (f *dedupeFiles) take(ctx context.Context, rows []rebased.Example) error {
	if left := f.in.Target - f.out.Rows; f.in.Target > 0 && len(rows) > left {
		var surplus []rebased.Reject
		for i := range rows[left:] {
			surplus = append(surplus, rejectOf(&rows[left+i], dedupe.Step, rebased.ReasonSurplus, "the target is met by rows of a higher rank"))
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
	priced(rejects, f.in.Price)
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
