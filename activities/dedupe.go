package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/balance"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/dedupe"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/activities/retrieve"
)

// Dedupe removes rows that repeat others.
type Dedupe struct {
	*Build
	Encoders Encoders         // of dedupe.semantic
	Vectors  retrieve.Vectors // its, kept over builds
	Parquet  ingest.Format    // reads files of dedupe.against
	InMemory int              // bytes of shingles and vectors in memory; 0 = dedupe.InMemory
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
	// Chunks is how many files of prints and Ranges how many of groups other workers have made of the rows; 0 = they are made here.
	Chunks int `json:"chunks,omitempty"`
	Ranges int `json:"ranges,omitempty"`
}

// DedupeResult counts what was kept. The rows are in deduped/, in the order of their ranks.
type DedupeResult struct {
	Rows     int                    `json:"rows"`
	Rejected map[rebased.Reason]int `json:"rejected"`
	Parts    int                    `json:"parts"` // files in deduped/; 0 = 1, of a history recorded before there could be more
	// Balance says what output.balance could not have, in one line; "" = nothing.
	Balance string                 `json:"balance,omitempty"`
	Given   map[rebased.Reason]int `json:"given,omitempty"` // of those rejected, the ones that repeat a row of dedupe.against
}

// DedupeRows goes through all rows of a build, a shard at a time, and writes those that stay. A row that shares text with a benchmark goes first, so
// that no good row is removed for repeating it; what is balanced is what is left.
func (a *Dedupe) DedupeRows(ctx context.Context, in DedupeInput) (DedupeResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.dedupe(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Dedupe) dedupe(ctx context.Context, in DedupeInput, progress func(int)) (DedupeResult, error) {
	config, err := a.config(ctx, in)
	if err != nil {
		return DedupeResult{}, err
	}
	files, err := a.files(ctx, in, progress)
	if err != nil {
		return DedupeResult{}, err
	}
	return files.dedupe(ctx, config)
}

func (a *Dedupe) files(ctx context.Context, in DedupeInput, progress func(int)) (*dedupeFiles, error) {
	files := &dedupeFiles{Build: a.Build, in: in, progress: progress, folder: folderTransformed, leaks: map[int][]leak{}}
	switch {
	case in.Judged:
		files.folder = folderJudged
	case in.Reasoned:
		files.folder = folderReasoned
	}
	var err error
	if files.spec, _, err = a.task(ctx, in.BuildRef); err != nil {
		return nil, err
	}
	files.benchmarks, err = a.Benchmarks.open(ctx, files.spec.Decontaminate)
	return files, err
}

// config says what counts as a repeat in a build.
func (a *Dedupe) config(ctx context.Context, in DedupeInput) (dedupe.Config, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return dedupe.Config{}, err
	}
	c := dedupe.Config{Dedupe: task.Dedupe, Parts: in.Shards, InMemory: a.InMemory}
	c.Verified = func(*rebased.Example) bool { return task.Reason.Mode == rebased.ReasonVerified } // those that were not are rejects
	if len(task.Dedupe.Against) > 0 {
		g := given{versions: handoff.Versions{Objects: a.Objects, Examples: a.Examples}, parquet: a.Parquet}
		c.Given = g.rows(ctx, task)
	}
	if semantic := task.Dedupe.Semantic; semantic != nil {
		encoder, err := a.Encoders.Open(ctx, semantic.Encoder)
		if err != nil {
			return c, fmt.Errorf("dedupe.semantic.encoder %s: %w", semantic.Encoder, err)
		}
		c.Encoder = retrieve.Keeping(encoder, a.Vectors)
	}
	if in.Chunks > 0 {
		c.Prints = &dedupe.Prints{Store: dedupeStore{a.Build, in.BuildRef}, Chunks: in.Chunks, Ranges: in.Ranges}
	}
	return c, nil
}

// dedupeFiles is where one deduplication reads and writes.
type dedupeFiles struct {
	*Build
	in       DedupeInput
	folder   string // of the rows
	progress func(int)

	read     int // rows
	rejects  int // files
	clusters int // files
	scratch  *os.File
	out      DedupeResult

	spec       rebased.Task
	benchmarks *decontaminate.Set // nil = none
	leaks      map[int][]leak     // by part, of those that were read
	leaked     []rebased.Reject   // to be written
	tally      *balance.Tally     // nil = nothing is balanced
	kept       int                // files of rows that wait to be balanced
}

var _ dedupe.Files = (*dedupeFiles)(nil)

func (f *dedupeFiles) dedupe(ctx context.Context, c dedupe.Config) (DedupeResult, error) {
	f.out.Rejected = map[rebased.Reason]int{}
	if f.spec.Output.Balance.Active() {
		f.tally = balance.New(f.spec)
	}
	err := dedupe.Rows(ctx, c, f)
	if err == nil {
		err = f.flushLeaked(ctx, 1)
	}
	if err == nil && f.tally != nil {
		err = f.balance(ctx)
	}
	if err == nil {
		err = f.sweep(ctx, rebased.BuildKey(f.in.Task, f.in.Build, folderRejects, dedupe.Step+"-"), f.in.rejectsKey(dedupe.Step, f.rejects))
	}
	if err == nil {
		err = f.sweep(ctx, rebased.BuildKey(f.in.Task, f.in.Build, folderClusters)+"/", f.clustersKey(f.clusters))
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
				over = append(over, rows[i].Reject(dedupe.Step, rebased.ReasonBalance, "rows of a higher rank have all that the version may have of this answer"))
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
			surplus = append(surplus, rows[left+i].Reject(dedupe.Step, rebased.ReasonSurplus, "the target is met by rows of a higher rank"))
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

// folderClusters holds what was removed for what, JSONL of dedupe.Removal.
const folderClusters = "clusters"

func (f *dedupeFiles) clustersKey(n int) string {
	return rebased.BuildKey(f.in.Task, f.in.Build, folderClusters, fmt.Sprintf("part-%05d.jsonl", n))
}

// Removed implements dedupe.Files.
func (f *dedupeFiles) Removed(ctx context.Context, removals []dedupe.Removal) error {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, r := range removals {
		if err := lines.Encode(r); err != nil {
			return fmt.Errorf("encode the clusters: %w", err)
		}
		if r.Given {
			if f.out.Given == nil {
				f.out.Given = map[rebased.Reason]int{}
			}
			f.out.Given[r.Rule]++
		}
	}
	if _, err := f.Objects.Put(ctx, f.clustersKey(f.clusters), body.Bytes()); err != nil {
		return fmt.Errorf("write the clusters: %w", err)
	}
	f.clusters++
	return nil
}

// sweep removes the files of an earlier round, or attempt, that had more of them: those under a prefix from a key on.
func (f *dedupeFiles) sweep(ctx context.Context, prefix, from string) error {
	for object, err := range f.Objects.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if object.Key < from {
			continue
		}
		if err := f.Objects.Delete(ctx, object.Key); err != nil {
			return fmt.Errorf("remove what an earlier round has left: %w", err)
		}
	}
	return nil
}

// Scratch implements dedupe.Files. The file has no name from the moment on that it is open, so that a worker that is killed leaves nothing.
func (f *dedupeFiles) Scratch() (dedupe.Scratch, error) {
	file, err := os.CreateTemp("", "rebased-dedupe-*")
	if err != nil {
		return nil, noRoom(err)
	}
	f.scratch = file
	return scratchFile{file}, noRoom(os.Remove(file.Name()))
}

// scratchFile says what to do when a disk is full.
type scratchFile struct{ *os.File }

// Write implements io.Writer.
func (s scratchFile) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	return n, noRoom(err)
}

// noRoom makes an error of a temporary file one that passes: by another worker, or by what somebody does about it.
func noRoom(err error) error {
	if err == nil {
		return nil
	}
	return rebased.E(rebased.Unavailable, "%w: there must be a folder with free space in TMPDIR of the worker (%s)", err, os.TempDir())
}
