package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
	"github.com/rebased/rebased/activities/judge"
	"github.com/rebased/rebased/activities/reason"
	"github.com/rebased/rebased/activities/transform"
)

// Redrive takes the rows of an earlier build into a new one: those rejected for some reasons to be tried again, all others as they are.
type Redrive struct{ *Build }

// RedriveInput names the build whose rejects are tried again.
type RedriveInput struct {
	BuildRef
	Of        string           `json:"of"` // the earlier build, of the same task
	Reasons   []rebased.Reason `json:"reasons"`
	ShardRows int              `json:"shard_rows"` // the most rows of one shard
	Lanes     int              `json:"lanes"`      // shards that run side by side
}

// Select writes the rows to try again as the new build's retrieved shards, and after them the rows and rejects that stay, each in the folder of
// its step. The result is that of a retrieval; Rows counts all.
func (a *Redrive) Select(ctx context.Context, in RedriveInput) (RankResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.selectRows(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Redrive) selectRows(ctx context.Context, in RedriveInput, progress func(int)) (RankResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return RankResult{}, err
	}
	before, err := a.earlier(ctx, in, task)
	if err != nil {
		return RankResult{}, err
	}
	progress(len(before.candidates))
	stay, again, rest := before.split(in.Reasons)
	if len(again) == 0 {
		return RankResult{}, rebased.E(rebased.Invalid, "build %s has no row that was rejected as %s: rebased builds show %s lists its rejects",
			in.Of, words(in.Reasons), in.Of)
	}
	out := RankResult{Rows: len(before.candidates), Skipped: before.skipped, Shards: shardsOf(len(again), in.ShardRows, in.Lanes)}
	for n, part := range append(evenly(again, out.Shards), rest) { // the last, of rows that stay, is no shard
		if _, err := a.Candidates.Write(ctx, in.key(folderRetrieved, n), part); err != nil {
			return out, fmt.Errorf("write shard %d: %w", n, err)
		}
	}
	return out, a.keep(ctx, in, &out, madeIn(task), before.examples, stay)
}

// keptRows is the most rows of a file of rows that stay.
const keptRows = dedupe.PartRows

// keep writes what stays behind the shards, rows in the order of their ranks, and counts it.
func (a *Redrive) keep(
	ctx context.Context, in RedriveInput, out *RankResult, folder string, examples []rebased.Example, stay map[string][]rebased.Reject,
) error {
	slices.SortFunc(examples, func(a, b rebased.Example) int { return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Row, b.Row)) })
	out.Kept, out.KeptRows, out.Rejected = max(1, (len(examples)+keptRows-1)/keptRows), len(examples), map[string]map[rebased.Reason]int{}
	for n, part := range evenly(examples, out.Kept) {
		if _, err := a.Examples.Write(ctx, in.key(folder, out.Shards+n), part); err != nil {
			return fmt.Errorf("write the rows that stay: %w", err)
		}
	}
	for _, e := range examples {
		out.Tokens = out.Tokens.Add(e.Usage).Add(e.Judged.Usage)
	}
	for step, rejects := range stay {
		if len(rejects) == 0 {
			continue
		}
		if _, err := a.Rejects.Write(ctx, in.rejectsKey(step, out.Shards), rejects); err != nil {
			return fmt.Errorf("write the rejects that stay: %w", err)
		}
		out.Rejected[step] = countReasons(rejects)
		for _, r := range rejects {
			out.Tokens = out.Tokens.Add(r.Usage).Add(r.Judged.Usage)
		}
	}
	return nil
}

// madeIn is the folder of the last step that makes rows.
func madeIn(task rebased.Task) string {
	if task.Judge != nil {
		return folderJudged
	}
	if task.Reason.Mode != rebased.ReasonNone {
		return folderReasoned
	}
	return folderTransformed
}

// earlier is what a build has made before it removed duplicates.
type earlier struct {
	candidates []rebased.Candidate
	examples   []rebased.Example
	rejects    map[string][]rebased.Reject // by step
	skipped    map[string]int
}

// earlier reads a build that went through all its rows.
func (a *Redrive) earlier(ctx context.Context, in RedriveInput, task rebased.Task) (earlier, error) {
	of := BuildRef{Task: in.Task, Build: in.Of, TaskKey: rebased.BuildKey(in.Task, in.Of, "task.yaml")}
	was, _, err := a.task(ctx, of)
	if rebased.KindOf(err) == rebased.NotFound {
		return earlier{}, rebased.E(rebased.NotFound, "build %s of task %s does not exist: rebased builds ls lists them", in.Of, in.Task)
	}
	if err != nil {
		return earlier{}, err
	}
	if err := sameChecks(was, task, in.Of); err != nil {
		return earlier{}, err
	}
	out := earlier{rejects: map[string][]rebased.Reject{}}
	if out.candidates, err = readParts(ctx, a.Objects, a.Candidates, of, folderRetrieved, ""); err != nil {
		return earlier{}, err
	}
	if out.examples, err = readParts(ctx, a.Objects, a.Examples, of, madeIn(was), ""); err != nil {
		return earlier{}, err
	}
	sum := len(out.examples)
	for _, step := range []string{transform.Step, reason.Step, judge.Step} {
		if out.rejects[step], err = readParts(ctx, a.Objects, a.Rejects, of, folderRejects, step+"-"); err != nil {
			return earlier{}, err
		}
		sum += len(out.rejects[step])
	}
	if sum != len(out.candidates) || len(out.candidates) == 0 {
		return earlier{}, rebased.E(rebased.Invalid, "build %s has gone through %d of its %d rows: only a build that has gone through all can be redriven",
			in.Of, sum, len(out.candidates))
	}
	out.skipped, err = a.skipped(ctx, of)
	return out, err
}

// sameChecks refuses a build whose good rows were made or checked in another way than the task says now: they are taken as they are.
func sameChecks(was, task rebased.Task, build string) error {
	if was.Reason.Mode != task.Reason.Mode {
		return rebased.E(rebased.Invalid, "reason.mode is %s, build %s had %s: its good rows are taken as they are, so the modes must be equal",
			task.Reason.Mode, build, was.Reason.Mode)
	}
	judges := func(t rebased.Task) string {
		if t.Judge == nil {
			return ""
		}
		return fmt.Sprintf("%g %s", t.Judge.MinScore, t.Judge.Rubric)
	}
	if judges(was) != judges(task) {
		return rebased.E(rebased.Invalid, "judge has another rubric or min_score than in build %s: its good rows are taken as they are, so they must be equal", build)
	}
	if paired := rebased.FormatPreference; slices.Contains(was.Output.Formats, paired) != slices.Contains(task.Output.Formats, paired) {
		return rebased.E(rebased.Invalid, "output.formats has %s now or in build %s alone: its good rows are taken as they are, so both must have it or none", paired, build)
	}
	return nil
}

// skipped reads what a build kept out before it had candidates, as far as it has ended.
func (a *Redrive) skipped(ctx context.Context, of BuildRef) (map[string]int, error) {
	data, _, err := a.Objects.Get(ctx, rebased.BuildKey(of.Task, of.Build, "result.json"))
	if rebased.KindOf(err) == rebased.NotFound {
		return map[string]int{}, nil
	}
	if err != nil {
		return nil, err
	}
	var result rebased.BuildResult
	if err := json.Unmarshal(data, &result); err != nil {
		return nil, rebased.E(rebased.Invalid, "read the result of build %s: %w", of.Build, err)
	}
	return result.Skipped, nil
}

// split tells the rejects that stay, by step, from the candidates to try again; rest are all other candidates.
func (e earlier) split(reasons []rebased.Reason) (stay map[string][]rebased.Reject, again, rest []rebased.Candidate) {
	stay = map[string][]rebased.Reject{}
	wanted := map[rebased.RowID]bool{}
	for step, rejects := range e.rejects {
		for _, r := range rejects {
			if slices.Contains(reasons, r.Reason) {
				wanted[r.Row] = true
			} else {
				stay[step] = append(stay[step], r)
			}
		}
	}
	for _, c := range e.candidates {
		if wanted[c.ID] {
			again = append(again, c)
		} else {
			rest = append(rest, c)
		}
	}
	return stay, again, rest
}

// readParts reads all files of one folder of a build whose names begin so, in order.
func readParts[T any](ctx context.Context, objects rebased.Objects, table rebased.Table[T], of BuildRef, folder, begin string) (rows []T, err error) {
	err = eachPart(ctx, objects, table, of, folder, begin, func(part []T) bool {
		rows = append(rows, part...)
		return true
	})
	return rows, err
}

// eachPart reads these files one at a time, until visit has enough.
func eachPart[T any](
	ctx context.Context, objects rebased.Objects, table rebased.Table[T], of BuildRef, folder, begin string, visit func(rows []T) (more bool),
) error {
	for object, err := range objects.List(ctx, rebased.BuildKey(of.Task, of.Build, folder)+"/"+begin) {
		if err != nil {
			return err
		}
		part, err := table.Read(ctx, object.Key)
		if err != nil {
			return fmt.Errorf("read %s: %w", object.Key, err)
		}
		if !visit(part) {
			return nil
		}
	}
	return nil
}

func words(reasons []rebased.Reason) string {
	out := make([]string, len(reasons))
	for i, r := range reasons {
		out[i] = string(r)
	}
	return strings.Join(out, " or ")
}
