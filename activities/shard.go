package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Build is where the steps of a build find their ports: what several of them share.
type Build struct {
	Objects    rebased.Objects
	Tasks      Tasks
	Candidates rebased.Table[rebased.Candidate]
	Examples   rebased.Table[rebased.Example]
	Rejects    rebased.Table[rebased.Reject]
}

// Folders of a build, under builds/<task>/<build>/.
const (
	folderRetrieved   = "retrieved"
	folderTransformed = "transformed"
	folderReasoned    = "reasoned"
	folderDeduped     = "deduped"
	folderRejects     = "rejects"
)

// BuildRef names a build and its frozen task.
type BuildRef struct {
	Task    string `json:"task"`
	Build   string `json:"build"`
	TaskKey string `json:"task_key"`
}

func (b BuildRef) key(folder string, n int) string {
	return rebased.BuildKey(b.Task, b.Build, folder, rebased.PartName(n))
}

// rejectsKey names the rejects of one step's n-th file.
func (b BuildRef) rejectsKey(step string, n int) string {
	return rebased.BuildKey(b.Task, b.Build, folderRejects, step+"-"+rebased.PartName(n))
}

// task reads the frozen task.
func (b *Build) task(ctx context.Context, ref BuildRef) (rebased.Task, []byte, error) {
	data, _, err := b.Objects.Get(ctx, ref.TaskKey)
	if err != nil {
		return rebased.Task{}, nil, fmt.Errorf("read the frozen task: %w", err)
	}
	task, err := b.Tasks.Decode(ref.TaskKey, data)
	return task, data, err
}

// ShardInput names one shard of a build: the n-th part of the step before.
type ShardInput struct {
	BuildRef
	Shard    int `json:"shard"`
	InFlight int `json:"in_flight"` // this shard's share of the build's calls under way
}

// ShardResult counts what became of a shard. The rows are in the step's folder, the rejects in rejects/.
type ShardResult struct {
	Rows     int                    `json:"rows"`
	Rejected map[rebased.Reason]int `json:"rejected"`
	Calls    rebased.Calls          `json:"calls"`
	Tokens   rebased.Usage          `json:"tokens"` // of rows and rejects
}

// write stores the outcome of a shard.
func (b *Build) write(
	ctx context.Context, in ShardInput, folder, step string, examples []rebased.Example, rejects []rebased.Reject, calls rebased.Calls,
) (ShardResult, error) {
	out := ShardResult{Rows: len(examples), Rejected: countReasons(rejects), Calls: calls}
	if _, err := b.Examples.Write(ctx, in.key(folder, in.Shard), examples); err != nil {
		return out, fmt.Errorf("write the rows of shard %d: %w", in.Shard, err)
	}
	if len(rejects) > 0 {
		if _, err := b.Rejects.Write(ctx, in.rejectsKey(step, in.Shard), rejects); err != nil {
			return out, fmt.Errorf("write the rejects of shard %d: %w", in.Shard, err)
		}
	}
	return out, nil
}

func countReasons(rejects []rebased.Reject) map[rebased.Reason]int {
	counts := map[rebased.Reason]int{}
	for _, r := range rejects {
		counts[r.Reason]++
	}
	return counts
}

// runner opens the teacher of a task for the steps that ask it.
func runner(teachers Teachers, store *llm.Store, task rebased.Task) (*llm.Runner, error) {
	teacher, err := teachers.Open(task.Transform.Teacher)
	if err != nil {
		return nil, err
	}
	return &llm.Runner{Teacher: teacher, Store: store}, nil
}
