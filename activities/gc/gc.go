// Package gc removes from the bucket what a retention policy lets go: folders of ended builds, old versions, task files, uploads and what imports have
// left, stored answers. It stands beside the flow of a build, over all that builds have written. What a corpus holds is swept by imports.
//
// Nothing is removed that a kept version or a build under way needs, and why that is so, whatever runs meanwhile, is said with each kind. Four things
// carry it:
//
//   - Age. Nothing that the bucket dates to the time within Grace goes, whatever the policy says. So what a build, an import or a command has written or
//     used in the last two days stays before anything else is asked. What is used again without being written counts as new (rebased.KeepUpload).
//   - Temporal. A build that is open there keeps its folder, and its task its versions. Its lists may lag by seconds, far less than Grace.
//   - The mark. While versions or answers go, rebased.CollectingKey is there. A build writes its frozen task and then looks for the mark; a collection
//     writes the mark and then lists the builds. So one sees the other: the build waits, or the collection leaves what the build may use.
//   - Order. A version loses its manifest first, so that it is whole or none. A build's folder loses its task first and its result last, so that nobody takes
//     a half-removed one for a build, and an interrupted collection still finds that it had ended.
//
// Every kind is decided anew from the bucket, by the policy and a fixed time, so a collection that was interrupted is run again, and a second one finds
// nothing to do.
package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/llm"
)

// Grace is the least age of what may be removed.
const Grace = 48 * time.Hour

// Policy says what stays.
type Policy struct {
	// Versions is how many of a task's released versions stay, the newest; 0 = all, and those that were never released too.
	Versions int `json:"versions"`
	// Builds and Uploads are how long what was left by an ended build, or an upload that nothing names, stays; Answers how long an answer stays that no
	// kept version or build has used, 0 = for ever. Seconds.
	Builds  int64 `json:"builds_seconds"`
	Uploads int64 `json:"uploads_seconds"`
	Answers int64 `json:"answers_seconds"`
}

// DefaultPolicy keeps all that was paid for or released.
func DefaultPolicy() Policy {
	return Policy{Builds: seconds(30 * 24 * time.Hour), Uploads: seconds(7 * 24 * time.Hour)}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// Check reports what is out of bounds, as Invalid.
func (p Policy) Check() error {
	least := seconds(Grace)
	switch {
	case p.Versions < 0:
		return rebased.E(rebased.Invalid, "--keep-versions must be 0 (all) or more, got %d", p.Versions)
	case p.Builds < least:
		return tooShort("--keep-builds", p.Builds)
	case p.Uploads < least:
		return tooShort("--keep-uploads", p.Uploads)
	case p.Answers != 0 && p.Answers < least:
		return tooShort("--keep-answers", p.Answers)
	}
	return nil
}

func tooShort(flag string, got int64) error {
	return rebased.E(rebased.Invalid, "%s must be %s or more: what is younger may be in use, got %s", flag, Grace, time.Duration(got)*time.Second)
}

// Kinds are what is collected, in this order: what names others goes before what it names.
const (
	KindVersions = "versions"
	KindBuilds   = "builds"
	KindTasks    = "tasks"
	KindUploads  = "uploads"
	KindImports  = "imports"
	KindAnswers  = "answers"
)

// Running is what is under way, as Temporal knows it.
type Running struct {
	Builds    []Build
	Imports   []string // corpora
	Handoffs  []string // versions that a training pipeline's workflow has, task@version
	Schedules []string // inputs of what schedules start, as JSON
}

// Build is an open build.
type Build struct {
	Task, Build string
	Approval    bool // it waits for approval: it asks a teacher nothing more
}

// Row is what was removed of one kind for one reason, or what was left for one.
type Row struct {
	Kind    string   `json:"kind"`
	Why     string   `json:"why"`
	Left    bool     `json:"left,omitempty"` // it would go by the policy and was left: Why says what is in the way
	Things  int      `json:"things"`         // versions, builds, files, answers
	Objects int      `json:"objects"`        // removed from the bucket; of answers, segments that were written anew
	Bytes   int64    `json:"bytes"`
	Names   []string `json:"names,omitempty"` // the first of the things
}

// maxNames is how many things a row names.
const maxNames = 100

// Collector is one collection. Its fields stay as they are while it runs.
type Collector struct {
	Objects  rebased.Objects
	Examples rebased.Table[rebased.Example]
	Rejects  rebased.Table[rebased.Reject]
	Answers  *llm.Store
	Policy   Policy
	DryRun   bool
	Now      time.Time // from which ages count
	// Running asks what is under way.
	Running func(ctx context.Context) (Running, error)
	// Progress is told after each removal; nil = nobody. It is never called twice at once.
	Progress func([]Row)

	rows    []Row
	running Running
	texts   map[string]mentions // of task files, by key
	lease   *lease
}

// Collect collects one kind and says what was removed, or would be. Rows that an earlier attempt has told can be given in before.
func (c *Collector) Collect(ctx context.Context, kind string, before []Row) (_ []Row, err error) {
	if err := c.Policy.Check(); err != nil {
		return nil, err
	}
	c.rows, c.texts, c.lease = slices.Clone(before), map[string]mentions{}, nil
	defer func() { err = errors.Join(err, c.release(context.WithoutCancel(ctx))) }()
	if marked(kind) && !c.DryRun {
		if err := c.mark(ctx); err != nil {
			return c.rows, err
		}
	}
	if c.running, err = c.Running(ctx); err != nil {
		return c.rows, fmt.Errorf("ask what is under way: %w", err)
	}
	switch kind {
	case KindVersions:
		err = c.versions(ctx)
	case KindBuilds:
		err = c.builds(ctx)
	case KindTasks:
		err = c.tasks(ctx)
	case KindUploads:
		err = c.uploads(ctx)
	case KindImports:
		err = c.imports(ctx)
	case KindAnswers:
		err = c.answers(ctx)
	default:
		err = rebased.E(rebased.Invalid, "%q is nothing that is collected", kind)
	}
	return c.rows, err
}

// marked tells the kinds that a build which begins might still use.
func marked(kind string) bool { return kind == KindVersions || kind == KindAnswers }

func (c *Collector) row(kind, why string, left bool) *Row {
	for i := range c.rows {
		if r := &c.rows[i]; r.Kind == kind && r.Why == why && r.Left == left {
			return r
		}
	}
	c.rows = append(c.rows, Row{Kind: kind, Why: why, Left: left})
	return &c.rows[len(c.rows)-1]
}

// removed counts objects.
func (c *Collector) removed(kind, why string, objects int, bytes int64) {
	r := c.row(kind, why, false)
	r.Objects += objects
	r.Bytes += bytes
	c.told()
}

// done counts a thing that is wholly removed.
func (c *Collector) done(kind, why, name string) {
	c.row(kind, why, false).name(name)
	c.told()
}

// left counts a thing that is left though it would go.
func (c *Collector) left(kind, why, name string, objects int, bytes int64) {
	r := c.row(kind, why, true)
	r.name(name)
	r.Objects += objects
	r.Bytes += bytes
}

func (r *Row) name(name string) {
	r.Things++
	if name != "" && len(r.Names) < maxNames && !slices.Contains(r.Names, name) {
		r.Names = append(r.Names, name)
	}
}

func (c *Collector) told() {
	if c.Progress != nil {
		c.Progress(slices.Clone(c.rows))
	}
}

// before is the time so many seconds ago.
func (c *Collector) before(seconds int64) time.Time {
	return c.Now.Add(-time.Duration(seconds) * time.Second)
}

func (c *Collector) store() handoff.Versions {
	return handoff.Versions{Objects: c.Objects, Examples: c.Examples}
}

// days says a time in words.
func days(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	if n := int(d / (24 * time.Hour)); n > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", n)
	}
	return d.String()
}
