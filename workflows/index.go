package workflows

import (
	"cmp"

	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// indexState is what one run of an index workflow hands to the next.
type indexState struct {
	Begun    activities.IndexBeginResult `json:"begun"`
	Next     int                         `json:"next"`
	Progress CorpusProgress              `json:"progress"`
	Result   IndexResult                 `json:"result"`
}

// units is how many batches the run has. Runs that began before there were plans have a batch a part.
func (s indexState) units() int {
	if s.Begun.Plan == "" {
		return s.Begun.Parts
	}
	return s.Begun.Batches
}

// IndexCorpus brings the vector index of a corpus up to its current revision: begin, every batch of the plan in a sliding window, finish.
func IndexCorpus(ctx workflow.Context, in IndexInput) (IndexResult, error) {
	var a *activities.Index
	state := indexState{Progress: CorpusProgress{Phase: "begin", State: rebased.StateRunning}}
	if in.Continued != nil {
		state = *in.Continued
	}
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (CorpusProgress, error) { return state.Progress, nil }); err != nil {
		return IndexResult{}, err
	}
	if in.Continued == nil {
		begin := activities.IndexBeginInput{Corpus: in.Corpus, Encoder: in.Encoder, Rebuild: in.Rebuild}
		options := indexPlanOptions
		if in.Unattended {
			options = unattendedIndexPlanOptions
		}
		err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), a.IndexBegin, begin).Get(ctx, &state.Begun)
		if err != nil {
			return IndexResult{}, refused(err)
		}
		b := state.Begun
		state.Result = IndexResult{Corpus: in.Corpus, Revision: b.Revision, Encoder: b.Index.Encoder, Parts: b.Parts, Reused: b.Reused, Rows: b.Rows, Fresh: b.Fresh, Gone: b.Gone}
		if b.Current {
			if state.Result.Cells = b.Cells; !b.Done {
				state.Result.Reused = b.Parts
			}
			return state.Result, nil
		}
		state.Progress.Phase, state.Progress.Total = "encode", state.units()
	}
	in.Encoder = cmp.Or(state.Begun.Encoder, in.Encoder) // fixed: all steps use one model
	ctx = workflow.WithActivityOptions(ctx, stepOptions)
	next, err := inWindow(ctx, state.Next, state.units(), partsAtOnce, func(ctx workflow.Context, n int) error {
		return indexPart(ctx, in, &state, n)
	})
	if err != nil {
		return IndexResult{}, plain(err)
	}
	if state.Next = next; next < state.units() {
		in.Continued = &state
		return IndexResult{}, workflow.NewContinueAsNewError(ctx, IndexCorpusName, in)
	}
	state.Progress.Phase = "finish"
	finish := activities.IndexFinishInput{Corpus: in.Corpus, Revision: state.Begun.Revision, Encoder: in.Encoder, Plan: state.Begun.Plan, Rebuild: in.Rebuild}
	return state.Result, plain(workflow.ExecuteActivity(ctx, a.IndexFinish, finish).Get(ctx, nil))
}

func indexPart(ctx workflow.Context, in IndexInput, state *indexState, n int) error {
	var a *activities.Index
	var done activities.IndexPartResult
	part := activities.IndexPartInput{Corpus: in.Corpus, Revision: state.Begun.Revision, Encoder: in.Encoder, Index: state.Begun.Index, Plan: state.Begun.Plan, Part: n}
	if err := workflow.ExecuteActivity(ctx, a.IndexPart, part).Get(ctx, &done); err != nil {
		return err
	}
	state.Progress.Done++
	state.Progress.Rows += done.Rows
	state.Result.Cells += done.Cells
	if state.Begun.Plan == "" && done.Reused {
		state.Result.Reused++
	}
	return nil
}
