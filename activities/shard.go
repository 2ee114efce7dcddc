package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
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
