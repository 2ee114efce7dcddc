package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/activities/transform"
)

// Preview is what `rebased preview` shows of a task: an object in the bucket, in the folder of a build that makes no version.
type Preview struct {
	Task     string            `json:"task"`
	Corpus   string            `json:"corpus"`
	Revision string            `json:"revision"`
	Encoder  string            `json:"encoder"` // identity
	Mode     string            `json:"mode"`
	Answer   PreviewAnswer     `json:"answer"`
	Rows     int               `json:"rows"`    // found
	Skipped  map[string]int    `json:"skipped"` // rows kept out, by reason
	Datasets []PreviewDataset  `json:"datasets"`
	Curve    []float32         `json:"curve"` // scores at even places of the ranking, the first and the last row's included
	Top      []PreviewRow      `json:"top"`
	Passed   []retrieve.Passed `json:"passed"` // over, as good as the rows of Top
}

// PreviewAnswer is how final answers are compared, and what those of the examples are then.
type PreviewAnswer struct {
	Type     rebased.AnswerType `json:"type"`
	Why      string             `json:"why"`
	Examples []string           `json:"examples"`
}

func previewAnswer(task rebased.Task) PreviewAnswer {
	form := task.AnswerForm()
	out := PreviewAnswer{Type: form.Type, Why: form.Why}
	for _, e := range task.Examples {
		out.Examples = append(out.Examples, form.Normal(rebased.ShortAnswer(e.Target())))
	}
	return out
}

// PreviewDataset is what one dataset gives, all its configurations and splits together.
type PreviewDataset struct {
	Name string `json:"dataset"`
	Rows int    `json:"rows"`
}

// PreviewRow is a row as a build would take it, and what the teacher is asked about it.
type PreviewRow struct {
	rebased.Candidate
	Prompt string `json:"prompt"`

	// With answers: what became of it.
	Input    string         `json:"input,omitempty"`
	Output   string         `json:"output,omitempty"`
	Rejected rebased.Reason `json:"rejected,omitempty"`
	Detail   string         `json:"detail,omitempty"`
}

// PreviewInput says what is shown.
type PreviewInput struct {
	BuildRef
	Rows int `json:"rows"` // with their contents
}

// PreviewResult names what was written.
type PreviewResult struct {
	Key  string `json:"key"` // of a Preview as JSON
	Rows int    `json:"rows"`
}

const (
	previewPoints = 200 // of the curve
	previewPassed = 50
)

// PreviewRows ranks as a build would and writes what is to be shown. The rows with their contents are written as the build's first shard.
func (a *Retrieve) PreviewRows(ctx context.Context, in PreviewInput) (PreviewResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.previewRows(work, in, progress)
	if rebased.KindOf(err) == rebased.Conflict {
		err = rebased.E(rebased.Unavailable, "%w", err) // the next attempt takes what the index holds then
	}
	return out, translate(ctx, err)
}

func (a *Retrieve) previewRows(ctx context.Context, in PreviewInput, progress func(int)) (PreviewResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return PreviewResult{}, err
	}
	encoder, err := a.Encoders.Open(ctx, task.Retrieve.Encoder)
	if err != nil {
		return PreviewResult{}, err
	}
	record, err := findIndex(ctx, a.Objects, task.Corpus, encoder.Identity())
	if err != nil {
		return PreviewResult{}, err
	}
	ranking, err := a.ranking(ctx, task, task.Corpus, record.Revision, progress)
	if err != nil {
		return PreviewResult{}, err
	}
	top, err := ranking.Read(ctx, 0, min(in.Rows, ranking.Len()))
	if err != nil {
		return PreviewResult{}, err
	}
	if _, err := a.Candidates.Write(ctx, in.key(folderRetrieved, 0), top); err != nil {
		return PreviewResult{}, fmt.Errorf("write the rows to show: %w", err)
	}
	shown := Preview{
		Task: task.Name, Corpus: task.Corpus, Revision: record.Revision, Encoder: record.Encoder, Mode: task.Retrieve.Mode,
		Rows: ranking.Len(), Skipped: ranking.Skipped, Curve: ranking.Curve(previewPoints), Top: make([]PreviewRow, len(top)),
		Answer: previewAnswer(task), Datasets: previewDatasets(ranking), Passed: previewPassedOver(ranking.Passed, top),
	}
	for i, c := range top {
		shown.Top[i] = PreviewRow{Candidate: c, Prompt: transform.Prompt(task, c)}
	}
	return a.writePreview(ctx, in.BuildRef, shown)
}

// previewDatasets lists the datasets of a ranking, those that give most first.
func previewDatasets(ranking retrieve.Ranking) []PreviewDataset {
	datasets := []PreviewDataset{}
	for name, rows := range ranking.Datasets() {
		datasets = append(datasets, PreviewDataset{Name: name, Rows: rows})
	}
	slices.SortFunc(datasets, func(a, b PreviewDataset) int { return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Name, b.Name)) })
	return datasets
}

// previewPassedOver gives the rows that were passed over on the way to the rows shown.
func previewPassedOver(passed []retrieve.Passed, top []rebased.Candidate) []retrieve.Passed {
	shown := []retrieve.Passed{}
	for _, p := range passed {
		if len(top) > 0 && p.Score >= top[len(top)-1].Total && len(shown) < previewPassed {
			shown = append(shown, p)
		}
	}
	return shown
}

// PreviewAnswers adds what a transform of the first shard has made to what is to be shown.
func (a *Transform) PreviewAnswers(ctx context.Context, in PreviewInput) (PreviewResult, error) {
	out, err := a.previewAnswers(ctx, in)
	return out, translate(ctx, err)
}

func (a *Transform) previewAnswers(ctx context.Context, in PreviewInput) (PreviewResult, error) {
	body, _, err := a.Objects.Get(ctx, previewKey(in.BuildRef))
	if err != nil {
		return PreviewResult{}, fmt.Errorf("read the preview: %w", err)
	}
	var shown Preview
	if err := json.Unmarshal(body, &shown); err != nil {
		return PreviewResult{}, fmt.Errorf("read the preview: %w", err)
	}
	examples, err := a.Examples.Read(ctx, in.key(folderTransformed, 0))
	if err != nil {
		return PreviewResult{}, fmt.Errorf("read the answers: %w", err)
	}
	rejects, err := a.Rejects.Read(ctx, in.rejectsKey(transform.Step, 0))
	if err != nil && rebased.KindOf(err) != rebased.NotFound {
		return PreviewResult{}, fmt.Errorf("read the rejects: %w", err)
	}
	byRow := map[rebased.RowID]*PreviewRow{}
	for i := range shown.Top {
		byRow[shown.Top[i].ID] = &shown.Top[i]
	}
	for _, e := range examples {
		if row := byRow[e.Row]; row != nil {
			row.Input, row.Output = e.Input, e.Output
		}
	}
	for _, r := range rejects {
		if row := byRow[r.Row]; row != nil {
			row.Rejected, row.Detail = r.Reason, r.Detail
		}
	}
	return a.writePreview(ctx, in.BuildRef, shown)
}

func previewKey(b BuildRef) string { return rebased.BuildKey(b.Task, b.Build, "preview.json") }

func (b *Build) writePreview(ctx context.Context, ref BuildRef, shown Preview) (PreviewResult, error) {
	body, err := json.Marshal(shown)
	if err != nil {
		return PreviewResult{}, fmt.Errorf("encode the preview: %w", err)
	}
	out := PreviewResult{Key: previewKey(ref), Rows: len(shown.Top)}
	if _, err := b.Objects.Put(ctx, out.Key, body); err != nil {
		return PreviewResult{}, fmt.Errorf("write the preview: %w", err)
	}
	return out, nil
}
