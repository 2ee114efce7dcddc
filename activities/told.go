package activities

import (
	"strconv"

	"github.com/rebased/rebased"
)

// Subject is what a step is about, for logs and metrics. What is empty does not apply.
type Subject struct {
	Task, Build, Corpus string
	Shard               string // its number
}

// Subject tells what a step of a build is about.
func (b BuildRef) Subject() Subject { return Subject{Task: b.Task, Build: b.Build} }

// Subject tells what a step on a shard is about.
func (in ShardInput) Subject() Subject {
	return Subject{Task: in.Task, Build: in.Build, Shard: strconv.Itoa(in.Shard)}
}

// Subject tells what a plan is about.
func (in PlanInput) Subject() Subject { return Subject{Task: in.Task, Build: in.Build} }

// Subject tells what a release is about.
func (in ReleaseInput) Subject() Subject { return Subject{Task: in.Task, Build: in.Build} }

// Subject tells what a rejection is about.
func (in RejectInput) Subject() Subject { return Subject{Task: in.Task, Build: in.Build} }

// Subject tells which task's schedule is paused.
func (in PauseScheduleInput) Subject() Subject { return Subject{Task: in.Task} }

// Subject tells what a step of a hand-off is about.
func (in OrderInput) Subject() Subject { return Subject{Task: in.Task} }

// Subject tells what is delivered.
func (in DeliverInput) Subject() Subject {
	return Subject{Task: in.Message.Task, Build: in.Message.Build}
}

// Subject tells what a hand-off is about.
func (in HandedOffInput) Subject() Subject { return Subject{Task: in.Task, Build: in.Build} }

// Subject tells what a step of an import is about.
func (r ImportRef) Subject() Subject { return Subject{Corpus: r.Corpus} }

// Subject tells what a step of an index run is about.
func (in IndexBeginInput) Subject() Subject { return Subject{Corpus: in.Corpus} }

// Subject tells what a step of an index run is about.
func (in IndexPartInput) Subject() Subject { return Subject{Corpus: in.Corpus} }

// Subject tells what a step of an index run is about.
func (in IndexFinishInput) Subject() Subject { return Subject{Corpus: in.Corpus} }

// Tally is what a step has done, for logs and metrics.
type Tally struct {
	Rows     int
	Rejected map[rebased.Reason]int
}

// Tally counts what became of a shard.
func (r ShardResult) Tally() Tally { return Tally{Rows: r.Rows, Rejected: r.Rejected} }

// Tally counts the rows that were found.
func (r RankResult) Tally() Tally { return Tally{Rows: r.Rows} }

// Tally counts what is left and what was removed.
func (r DedupeResult) Tally() Tally { return Tally{Rows: r.Rows, Rejected: r.Rejected} }

// Tally counts the rows that were read.
func (r ImportBatchResult) Tally() Tally { return Tally{Rows: r.Rows} }

// Tally counts the rows that were encoded.
func (r IndexPartResult) Tally() Tally { return Tally{Rows: r.Rows} }
