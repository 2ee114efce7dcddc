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
	Listed   int                          `json:"listed,omitempty"` // remote sources
	Merged   bool                         `json:"merged,omitempty"`
	Next     int                          `json:"next"`
	Progress CorpusProgress               `json:"progress"`
}

// sweepVersion marks the runs that remove what no revision needs any more. The branch without can go when no import from before is under way.
const sweepVersion = "import-sweep"

// ImportCorpus turns files, uploaded or of remote sources, into a revision of a corpus: begin, list every remote source, convert every batch in a
// sliding window, commit, sweep.
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
			Run:     workflow.GetInfo(ctx).FirstRunID,
			Remotes: in.Remotes, RemotesKey: in.RemotesKey,
		}
		err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, planOptions), a.ImportBegin, state.Ref).Get(ctx, &state.Begun)
		if err != nil {
			return ImportResult{}, refused(err)
		}
		state.Ref.Base = state.Begun.Base
	}
	ctx = workflow.WithActivityOptions(ctx, stepOptions)
	if in.RemotesKey != "" {
		ctx = workflow.WithActivityOptions(ctx, remoteOptions)
	}
	if in.RemotesKey != "" && !state.Merged {
		if err := listRemotes(ctx, &state); err != nil {
			return ImportResult{}, plain(err)
		}
		if !state.Merged {
			in.Continued = &state
			return ImportResult{}, workflow.NewContinueAsNewError(ctx, ImportCorpusName, in)
		}
	}
	state.Progress.Phase, state.Progress.Total = "convert", state.Begun.Files
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
	return commitImport(ctx, in, &state)
}

// listRemotes finds the files of every remote source and cuts the work of all. It leaves Merged unset when the run should continue as new.
func listRemotes(ctx workflow.Context, state *importState) error {
	var a *activities.Ingest
	state.Progress.Phase, state.Progress.Done, state.Progress.Total = "list", state.Listed, state.Ref.Remotes
	next, err := inWindow(ctx, state.Listed, state.Ref.Remotes, partsAtOnce, func(ctx workflow.Context, n int) error {
		err := workflow.ExecuteActivity(ctx, a.ImportList, activities.ImportListInput{ImportRef: state.Ref, N: n}).Get(ctx, nil)
		state.Progress.Done++
		return err
	})
	if state.Listed = next; err != nil || next < state.Ref.Remotes {
		return err
	}
	var merged activities.ImportMergeResult
	if err := workflow.ExecuteActivity(ctx, a.ImportMerge, state.Ref).Get(ctx, &merged); err != nil {
		return err
	}
	state.Merged, state.Progress.Done = true, 0
	state.Ref.SourcesKey, state.Begun.Batches, state.Begun.Files = merged.SourcesKey, merged.Batches, merged.Files
	return nil
}

// commitImport switches the corpus and removes what is needed no more. An import that cannot remove it is done all the same, and says so.
func commitImport(ctx workflow.Context, in ImportInput, state *importState) (ImportResult, error) {
	var a *activities.Ingest
	state.Progress.Phase = "commit"
	var done activities.ImportCommitResult
	commit := activities.ImportCommitInput{ImportRef: state.Ref, Batches: len(state.Begun.Batches)}
	if err := workflow.ExecuteActivity(ctx, a.ImportCommit, commit).Get(ctx, &done); err != nil {
		return ImportResult{}, plain(err)
	}
	out := ImportResult{
		Corpus: in.Corpus, Revision: done.Revision, Datasets: done.Datasets, Rows: done.Rows, Files: done.Files, Reused: done.Reused,
		Bad: done.Bad, BadKey: done.BadKey, Failed: done.Failed, FailedKey: done.FailedKey,
	}
	if workflow.GetVersion(ctx, sweepVersion, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return out, nil
	}
	state.Progress.Phase = "sweep"
	var swept activities.ImportSweepResult
	sweep := activities.ImportSweepInput{ImportRef: state.Ref, GraceSeconds: in.GraceSeconds}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, sweepOptions), a.ImportSweep, sweep).Get(ctx, &swept)
	if err != nil {
		out.SweepError = messageOf(err)
	}
	out.Removed = swept.Objects
	return out, nil
}
