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
	Benchmarks *Benchmarks
}

// Folders of a build, under builds/<task>/<build>/.
const (
	folderRetrieved   = "retrieved"
	folderTransformed = "transformed"
	folderReasoned    = "reasoned"
	folderKept        = "kept" // rows that wait to be balanced
	folderJudged      = "judged"
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

// Share is a shard's part of what its build may do at once.
type Share = llm.Share

// ShardInput names one shard of a build: the n-th part of the step before.
type ShardInput struct {
	BuildRef
	Shard int `json:"shard"`
	Share
	Price rebased.Price `json:"price"` // of the step's model
	// Of the judge's step: whether its rows come from the reason step, and the price of the model that was asked before.
	Reasoned bool           `json:"reasoned,omitempty"`
	Before   *rebased.Price `json:"before,omitempty"`
	// Grant is the most that this step of this shard may have spent when it ends, its earlier attempts included; nil = no budget.
	Grant *rebased.Amount `json:"grant,omitempty"`
	// Settled is what the build counts already of what this step of this shard has spent.
	Settled rebased.Amount `json:"settled,omitzero"`
}

// charge says for whom a step asks.
func (in ShardInput) charge(step string) llm.Charge {
	return llm.Charge{
		Task: in.Task, Step: step, Build: buildName(in.BuildRef), Account: fmt.Sprintf("%s/%s/%s/%d", in.Task, in.Build, step, in.Shard),
		Share: in.Share, Price: in.Price, Grant: in.Grant, Settled: in.Settled,
	}
}

// buildName is what a build is called where teachers are asked.
func buildName(b BuildRef) string { return b.Task + "/" + b.Build }

// ShardResult counts what became of a shard. The rows are in the step's folder, the rejects in rejects/.
type ShardResult struct {
	Rows     int                    `json:"rows"`
	Rejected map[rebased.Reason]int `json:"rejected"`
	Calls    rebased.Calls          `json:"calls"`
	Tokens   rebased.Usage          `json:"tokens"` // of rows and rejects
	Spent    rebased.Amount         `json:"spent"`  // by this step of this shard so far, in all attempts
	// Short is what the next call may come to, when the grant was spent before all was asked: there are no rows then. What was answered is kept.
	Short *rebased.Amount `json:"short,omitempty"`
}
