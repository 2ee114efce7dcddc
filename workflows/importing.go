package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// importState is what one run of an import workflow hands to the next.
type importState struct {
	Ref      activities.ImportRef         `json:"ref"`
	Begun    activities.ImportBeginResult `json:"begun"`
	Next     int                          `json:"next"`
	Progress CorpusProgress               `json:"progress"`
}

// ImportCorpus turns uploaded files into a revision of a corpus: begin, every batch in a sliding window, commit.
func ImportCorpus(ctx workflow.Context, in ImportInput) (ImportResult, error) {
	var a *activities.Ingest
	state := importState{Progress: CorpusProgress{Phase: "begin", State: rebased.StateRunning}}
	if in.Continued != nil {
		state = *in.Continued
	}
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (CorpusProgress, error) { return state.Progress, nil }); err != nil {
		return ImportResult{}, err
	}
	if in.Continued == nil {
		state.Ref = activities.ImportRef{
			Corpus: in.Corpus, SourcesKey: in.SourcesKey, MaxRowsPerConfig: in.MaxRowsPerConfig, Documents: in.Documents,
			Run: workflow.GetInfo(ctx).FirstRunID,
		}
		err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, planOptions), a.ImportBegin, state.Ref).Get(ctx, &state.Begun)
		if err != nil {
			return ImportResult{}, refused(err)
		}
		state.Ref.Base = state.Begun.Base
		state.Progress.Phase, state.Progress.Total = "convert", state.Begun.Files
	}
	ctx = workflow.WithActivityOptions(ctx, stepOptions)
	next, err := inWindow(ctx, state.Next, len(state.Begun.Batches), partsAtOnce, func(ctx workflow.Context, n int) error {
		var done activities.ImportBatchResult
		batch := activities.ImportBatchInput{ImportRef: state.Ref, N: n, Batch: state.Begun.Batches[n]}
		if err := workflow.ExecuteActivity(ctx, a.ImportBatch, batch).Get(ctx, &done); err != nil {
			return err
		}
		state.Progress.Done += done.Files
		state.Progress.Rows += done.Rows
		return nil
	})
	if err != nil {
		return ImportResult{}, plain(err)
	}
	if state.Next = next; next < len(state.Begun.Batches) {
		in.Continued = &state
		return ImportResult{}, workflow.NewContinueAsNewError(ctx, ImportCorpusName, in)
	}
	state.Progress.Phase = "commit"
	var done activities.ImportCommitResult
	commit := activities.ImportCommitInput{ImportRef: state.Ref, Batches: len(state.Begun.Batches)}
	if err := workflow.ExecuteActivity(ctx, a.ImportCommit, commit).Get(ctx, &done); err != nil {
		return ImportResult{}, plain(err)
	}
	return ImportResult{
		Corpus: in.Corpus, Revision: done.Revision, Datasets: done.Datasets, Rows: done.Rows, Files: done.Files, Reused: done.Reused,
		Bad: done.Bad, BadKey: done.BadKey,
	}, nil
}
