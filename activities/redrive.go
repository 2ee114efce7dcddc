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

// Redrive takes the rows of an earlier build into a new one: those rejected for some reasons to be tried again, those of a recalled source not at
// all, all others as they are.
type Redrive struct{ *Build }

// RedriveInput names the build whose rejects are tried again.
type RedriveInput struct {
	BuildRef
	Of        string           `json:"of"` // the earlier build, of the same task
	Reasons   []rebased.Reason `json:"reasons"`
	Without   string           `json:"without,omitempty"` // a dataset's name or a row's id: rows of it are left out; "" = none
	ShardRows int              `json:"shard_rows"`        // the most rows of one shard
	Lanes     int              `json:"lanes"`             // shards that run side by side
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
	if err := before.recall(in); err != nil {
		return RankResult{}, err
	}
	leaked, err := a.readLeaked(ctx, BuildRef{Task: in.Task, Build: in.Of})
	if err != nil {
		return RankResult{}, err
	}
	if err := a.writeLeaked(ctx, in.BuildRef, leaked); err != nil {
		return RankResult{}, err
	}
	stay, again, rest := before.split(in.Reasons)
	if len(again) == 0 && len(in.Reasons) > 0 {
		return RankResult{}, rebased.E(rebased.Invalid, "build %s has no row that was rejected as %s: rebased builds show %s lists its rejects",
			in.Of, words(in.Reasons), in.Of)
	}
	out := RankResult{Rows: len(before.candidates), Skipped: before.skipped, Shards: shardsOf(len(again), in.ShardRows, in.Lanes)}
	for n, part := range append(evenly(again, out.Shards), rest) { // the last, of rows that stay, is no shard
		if _, err := a.Candidates.Write(ctx, in.key(folderRetrieved, n), part); err != nil {
			return out, fmt.Errorf("write shard %d: %w", n, err)
		}
	}
	if from := before.from; from != nil {
		record := retrieved{Revision: from.Revision, Encoder: from.Encoder, Skipped: out.Skipped, Rows: out.Rows}
		if err := writeRetrieved(ctx, a.Objects, in.BuildRef, record); err != nil {
			return out, err
		}
	}
	if err := a.keep(ctx, in, &out, madeIn(task), before.examples, stay); err != nil {
		return out, err
	}
	judged := judgedUsage(before.examples, stay)
	out.StepTokens = map[string]rebased.Usage{}
	if task.Judge != nil {
		out.StepTokens[judge.Step] = judged
	}
	asked := rebased.Usage{InputTokens: out.Tokens.InputTokens - judged.InputTokens, OutputTokens: out.Tokens.OutputTokens - judged.OutputTokens}
	if task.Reason.Mode != rebased.ReasonNone {
		return out, a.keepTransformed(ctx, in, &out, before, again, asked)
	}
	out.StepTokens[transform.Step] = asked
	return out, nil
}

// judgedUsage is what a judge took for the rows and the rejects that stay.
func judgedUsage(examples []rebased.Example, stay map[string][]rebased.Reject) (sum rebased.Usage) {
	for _, e := range examples {
		sum = sum.Add(e.Judged.Usage)
	}
	for _, rejects := range stay {
		for _, r := range rejects {
			sum = sum.Add(r.Judged.Usage)
		}
	}
	return sum
}

// keepTransformed writes the transformed form of the rows that stay too, which tells what of the tokens of transform and reason each step took.
func (a *Redrive) keepTransformed(
	ctx context.Context, in RedriveInput, out *RankResult, before earlier, again []rebased.Candidate, asked rebased.Usage,
) error {
	left := make(map[rebased.RowID]bool, len(again))
	for _, c := range again {
		left[c.ID] = true
	}
	stay := slices.DeleteFunc(before.transformed, func(e rebased.Example) bool { return left[e.Row] })
	for n, part := range evenly(stay, out.Kept) {
		if _, err := a.Examples.Write(ctx, in.key(folderTransformed, out.Shards+n), part); err != nil {
			return fmt.Errorf("write the rows that stay: %w", err)
		}
	}
	var transformed rebased.Usage
	for _, e := range stay {
		transformed = transformed.Add(e.Usage)
	}
	for _, r := range before.rejects[transform.Step] {
		if !left[r.Row] {
			transformed = transformed.Add(r.Usage)
		}
	}
	out.StepTokens[transform.Step] = transformed
	out.StepTokens[reason.Step] = rebased.Usage{
		InputTokens: asked.InputTokens - transformed.InputTokens, OutputTokens: asked.OutputTokens - transformed.OutputTokens,
	}
	return nil
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
	candidates  []rebased.Candidate
	transformed []rebased.Example // of a build that reasoned
	examples    []rebased.Example
	rejects     map[string][]rebased.Reject // by step
	skipped     map[string]int
	from        *retrieved // nil of a build that has no record of it
}

// SkippedRecalled counts the rows that a redrive leaves out since their source was recalled.
const SkippedRecalled = "recalled"

// FromSource tells whether a row is of a source: a dataset, by its name in any case, or the row itself, by its id.
func FromSource(source string, dataset rebased.DatasetID, id rebased.RowID) bool {
	return strings.EqualFold(source, dataset.Name) || strings.EqualFold(source, string(id))
}

// recall takes the rows of a recalled source out.
func (e *earlier) recall(in RedriveInput) error {
	if in.Without == "" {
		return nil
	}
	before := len(e.candidates)
	e.candidates = slices.DeleteFunc(e.candidates, func(c rebased.Candidate) bool { return FromSource(in.Without, c.Dataset, c.ID) })
	e.examples = slices.DeleteFunc(e.examples, func(x rebased.Example) bool { return FromSource(in.Without, x.DatasetID, x.Row) })
	for step, rejects := range e.rejects {
		e.rejects[step] = slices.DeleteFunc(rejects, func(r rebased.Reject) bool { return FromSource(in.Without, r.DatasetID, r.Row) })
	}
	recalled := before - len(e.candidates)
	if recalled == 0 {
		return rebased.E(rebased.Invalid, "build %s has no row of %s", in.Of, in.Without)
	}
	if e.skipped == nil {
		e.skipped = map[string]int{}
	}
	e.skipped[SkippedRecalled] += recalled
	return nil
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
	if err := sameRules(in.Of, was, task); err != nil {
		return earlier{}, err
	}
	out := earlier{rejects: map[string][]rebased.Reject{}}
	if out.candidates, err = readParts(ctx, a.Objects, a.Candidates, of, folderRetrieved, ""); err != nil {
		return earlier{}, err
	}
	if out.examples, err = readParts(ctx, a.Objects, a.Examples, of, madeIn(was), ""); err != nil {
		return earlier{}, err
	}
	if was.Reason.Mode != rebased.ReasonNone {
		if out.transformed, err = readParts(ctx, a.Objects, a.Examples, of, folderTransformed, ""); err != nil {
			return earlier{}, err
		}
	}
	sum := len(out.examples)
	for _, step := range []string{transform.Step, reason.Step, judge.Step} {
		if out.rejects[step], err = readParts(ctx, a.Objects, a.Rejects, of, folderRejects, step+"-"); err != nil {
			return earlier{}, err
		}
		sum += len(out.rejects[step])
	}
	if was.Transform.TargetRows > 0 { // the candidates that it did not need
		out.reached()
	}
	if sum != len(out.candidates) || len(out.candidates) == 0 {
		return earlier{}, rebased.E(rebased.Invalid, "build %s has gone through %d of its %d rows: only a build that has gone through all can be redriven",
			in.Of, sum, len(out.candidates))
	}
	record, found, err := readRetrieved(ctx, a.Objects, of)
	if err != nil {
		return earlier{}, err
	}
	if found {
		out.from, out.skipped = &record, record.Skipped
		return out, nil
	}
	out.skipped, err = a.skipped(ctx, of)
	return out, err
}

// reached leaves the candidates of which there is an example or a reject.
func (e *earlier) reached() {
	known := make(map[rebased.RowID]bool, len(e.examples))
	for _, x := range e.examples {
		known[x.Row] = true
	}
	for _, rejects := range e.rejects {
		for _, r := range rejects {
			known[r.Row] = true
		}
	}
	e.candidates = slices.DeleteFunc(e.candidates, func(c rebased.Candidate) bool { return !known[c.ID] })
}

// skipped reads what a build without a record of its retrieval kept out before it had candidates, as far as it has ended.
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
func (e *earlier) split(reasons []rebased.Reason) (stay map[string][]rebased.Reject, again, rest []rebased.Candidate) {
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
