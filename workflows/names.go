package workflows

import (
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// What users and scripts rely on: names of the task queue, workflows, query, updates and search attributes.
const (
	TaskQueue = "rebased"

	BuildDatasetName = "BuildDataset"
	IndexCorpusName  = "IndexCorpus"
	ImportCorpusName = "ImportCorpus"
	PreviewName      = "Preview"
	EstimateName     = "Estimate"
	CollectName      = "CollectGarbage"
	DeliverName      = "Deliver"

	QueryProgress = "progress" // rebased.Progress for builds, CorpusProgress for imports and indexes
	UpdateApprove = "approve"  // Decision -> rebased.Progress
	UpdateReject  = "reject"   // Decision -> rebased.Progress
	UpdateResume  = "resume"   // Decision -> rebased.Progress

	UpdateRaiseBudget = "raise-budget" // BudgetRaise -> rebased.Progress

	UpdateSupersede = activities.UpdateSupersede // activities.Supersede -> rebased.Progress; by a newer build

	AttributeTask  = "RebasedTask"  // keyword
	AttributeState = "RebasedState" // keyword
)

// BuildID is the workflow id of a build.
func BuildID(task, build string) string { return "build/" + task + "/" + build }

// ParseBuildID takes a workflow id apart; ok is false when it is not a build's.
func ParseBuildID(id string) (task, build string, ok bool) {
	rest, ok := strings.CutPrefix(id, "build/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// ScheduleID is the id of the schedule of a task; of a corpus's index it is that of "index/<corpus>".
func ScheduleID(task string) string { return "schedule/" + task }

// NightlyID is the workflow id of what a schedule starts, to which Temporal appends "-" and the time.
func NightlyID(task string) string {
	return BuildID(task, strings.TrimSuffix(activities.NightPrefix, "-"))
}

// IndexID is the workflow id of a corpus's index run.
func IndexID(corpus string) string { return "index/" + corpus }

// ImportID is the workflow id of a corpus's import.
func ImportID(corpus string) string { return "import/" + corpus }

// PreviewID is the workflow id of a preview.
func PreviewID(task, preview string) string { return "preview/" + task + "/" + preview }

// EstimateID is the workflow id of an estimate.
func EstimateID(task, estimate string) string { return "estimate/" + task + "/" + estimate }

// CollectID is the workflow id of a collection of garbage: one runs at a time, and beside it one that removes nothing.
func CollectID(dryRun bool) string {
	if dryRun {
		return "gc/dry-run"
	}
	return "gc"
}

// HandoffPrefix begins the ids that HandoffID gives.
const HandoffPrefix = "handoff/"

// CollectInput starts CollectGarbage, which ends in a CollectResult.
type CollectInput struct {
	Policy activities.CollectPolicy `json:"policy"`
	DryRun bool                     `json:"dry_run,omitempty"`
}

// CollectResult is what a collection has removed, or would remove, and what it has left.
type CollectResult struct {
	DryRun  bool                    `json:"dry_run"`
	Objects int                     `json:"objects"` // removed; segments that were written anew without some of their answers included
	Bytes   int64                   `json:"bytes"`
	Rows    []activities.CollectRow `json:"rows"`
}

// EstimateInput starts Estimate, which ends in a rebased.Estimate.
type EstimateInput struct {
	Task    string `json:"task"`     // name
	TaskKey string `json:"task_key"` // the task file in the bucket, rebased.TaskKey
}

// PreviewInput starts Preview, which ends in an activities.PreviewResult.
type PreviewInput struct {
	Task    string `json:"task"`     // name
	TaskKey string `json:"task_key"` // the task file in the bucket, rebased.TaskKey
	Rows    int    `json:"rows"`     // shown with their contents
	Answers bool   `json:"answers"`  // the teacher is asked about these
}

// BuildInput starts BuildDataset. The build's id is the last part of the workflow id, so that a schedule needs to make none.
type BuildInput struct {
	Task    string `json:"task"`     // name
	TaskKey string `json:"task_key"` // the task file in the bucket, rebased.TaskKey
	// Unattended builds, those of a schedule, wait for what is down instead of being refused at once.
	Unattended bool `json:"unattended,omitempty"`
	// PauseOnFailure pauses the schedule of the task when the build fails.
	PauseOnFailure bool `json:"pause_on_failure,omitempty"`

	// Redrive tries rows of an earlier build again instead of retrieving.
	Redrive *Redrive `json:"redrive,omitempty"`

	Continued *buildState `json:"continued,omitempty"` // set by the run before, when its history grew long
}

// Redrive names the rejects of an earlier build of the same task that are tried again, in a new build with the rows that were good, or a source whose rows are
// left out of it.
type Redrive struct {
	Build   string           `json:"build"`
	Reasons []rebased.Reason `json:"reasons"`
	Without string           `json:"without,omitempty"` // a dataset's name or a row's id, whose rows are left out; "" = none
}

// Decision is a person's word on a waiting build.
type Decision struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// BudgetRaise gives a build a higher budget, in all; 0 leaves a cap as it is.
type BudgetRaise struct {
	Decision
	USD    float64 `json:"usd"`
	Tokens int64   `json:"tokens"`
}

// ImportInput starts ImportCorpus, which ends in an ImportResult.
type ImportInput struct {
	Corpus           string `json:"corpus"`
	SourcesKey       string `json:"sources_key"`         // a JSON list of rebased.Source in the bucket; "" = none
	MaxRowsPerConfig int    `json:"max_rows_per_config"` // 0 = all
	Documents        string `json:"documents,omitempty"` // column of documents that are split into passages; "" = none
	Remotes          int    `json:"remotes,omitempty"`
	RemotesKey       string `json:"remotes_key,omitempty"`   // a JSON list of so many activities.Remote in the bucket; "" = none
	GraceSeconds     int64  `json:"grace_seconds,omitempty"` // how long an older revision stays whole; 0 = a week, less = not at all

	Continued *importState `json:"continued,omitempty"` // set by the run before, when its history grew long
}

// ImportResult is what an import did.
type ImportResult struct {
	Corpus   string `json:"corpus"`
	Revision string `json:"revision"`
	Datasets int    `json:"datasets"` // configs and splits
	Rows     int    `json:"rows"`
	Files    int    `json:"files"`   // read, those that had not changed included
	Reused   int    `json:"reused"`  // of those, taken over from the revision before
	Bad      int    `json:"bad"`     // malformed lines and files that were left out
	BadKey   string `json:"bad_key"` // where they, and what else was left out, are listed, JSONL of rebased.Malformed; "" = nothing was

	Failed     int    `json:"failed"`                // sources that could not be had, or not wholly
	FailedKey  string `json:"failed_key,omitempty"`  // a JSON list of why, and of what stays of them; "" when Failed is 0
	Removed    int    `json:"removed"`               // objects that no revision needs any more
	SweepError string `json:"sweep_error,omitempty"` // why some of them could not be removed
}

// IndexInput starts IndexCorpus, which ends in an IndexResult.
type IndexInput struct {
	Corpus  string `json:"corpus"`
	Encoder string `json:"encoder"` // as in the task file: static, openai:<model>
	Rebuild bool   `json:"rebuild,omitempty"`
	// Unattended runs, those of a schedule, wait for what is down instead of being refused at once.
	Unattended bool `json:"unattended,omitempty"`

	Continued *indexState `json:"continued,omitempty"` // set by the run before, when its history grew long
}

// IndexResult is what an index run did.
type IndexResult struct {
	Corpus   string `json:"corpus"`
	Revision string `json:"revision"`
	Encoder  string `json:"encoder"` // identity
	Parts    int    `json:"parts"`
	Reused   int    `json:"reused"` // parts of which nothing had to be written
	Rows     int    `json:"rows"`   // points now in the index
	Fresh    int    `json:"fresh"`  // of those, written by this run
	Gone     int    `json:"gone"`   // points removed by this run
	Cells    int    `json:"cells"`  // encoded by this run
}

// CorpusProgress answers the query "progress" of imports and indexes.
type CorpusProgress struct {
	Phase string        `json:"phase"`
	Done  int           `json:"done"`  // files or batches
	Total int           `json:"total"` // 0 = not known yet
	Rows  int           `json:"rows"`
	State rebased.State `json:"state"`
}

// HandoffInput starts the training pipeline's workflow, and is what every other target of a hand-off is told: where the released version is.
type HandoffInput = activities.Message

// DeliverInput starts Deliver, which hands one released version to one target and ends in an activities.Delivery.
type DeliverInput struct {
	Task    string `json:"task"`
	Version string `json:"version"`
	Target  string `json:"target"`          // rebased.TargetWorkflow, …
	Again   bool   `json:"again,omitempty"` // a person wants it, whatever came of an earlier one
}

// DeliverID is the workflow id of the hand-off of a version to a target.
func DeliverID(task, version, target string) string {
	return "deliver/" + task + "/" + version + "/" + target
}

// ParseDeliverID takes an id of DeliverID apart.
func ParseDeliverID(id string) (task, version string, ok bool) {
	rest, ok := strings.CutPrefix(id, "deliver/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// HandoffID is the workflow id of the training pipeline's workflow for a version: it starts once.
func HandoffID(task, version string) string { return HandoffPrefix + task + "/" + version }

// StateOf reads AttributeState. One that cannot be read is as one that is not there, "". Search attributes are never encrypted.
func StateOf(attributes *commonpb.SearchAttributes) (state rebased.State) {
	if payload, ok := attributes.GetIndexedFields()[AttributeState]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, &state)
	}
	return state
}
