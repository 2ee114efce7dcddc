package gc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
)

// version is a version that the bucket holds, and whether it stays.
type version struct {
	handoff.KeptVersion
	task string
	why  string // it goes; "" = it stays
	left string // it would go by the policy, and why it stays all the same
}

func (v version) ref() string { return rebased.VersionRef(v.task, v.Name) }

// decided says of all versions whether they stay. These do, whatever the number of the policy: the latest; those that were among the newest, or written, within Grace,
// so that who trains on one has the time to read it; those that a training pipeline's workflow has; those of a task with a build under way; and those that
// a kept version, a kept build or a kept task file names, to be a delta to or to repeat nothing of.
func (c *Collector) decided(ctx context.Context) (map[string]*version, error) {
	all, err := c.store().All(ctx)
	if err != nil {
		return nil, err
	}
	busy := map[string]bool{}
	for f, err := range c.folders(ctx) {
		if err != nil {
			return nil, err
		}
		busy[f.task] = busy[f.task] || c.underWay(f)
	}
	versions := map[string]*version{}
	for _, task := range all {
		newest := c.newest(task)
		for _, v := range task.Versions {
			d := &version{KeptVersion: v, task: task.Task}
			versions[d.ref()] = d
			switch {
			case c.Policy.Versions == 0 || v.Name == task.Latest || newest[v.Name] || v.Newest.After(c.before(seconds(Grace))):
			case v.Record != nil && v.Record.Collected != nil:
				d.why = "collected before" // and left half-way; else there is nothing of it
			case !v.LastReleased().IsZero():
				d.why = fmt.Sprintf("not among the %d newest of their tasks", c.Policy.Versions)
			case v.Objects > 0 && v.Newest.Before(c.before(c.Policy.Builds)):
				d.why = "made more than " + days(c.Policy.Builds) + " ago and never released"
			}
			if d.why != "" && busy[task.Task] {
				d.why, d.left = "", "a build of their task is under way"
			}
		}
	}
	if c.Policy.Versions == 0 {
		return versions, nil
	}
	return versions, c.spare(ctx, versions)
}

// newest gives the versions of a task that were among those released last at some time within Grace: those released since it began, and the newest then.
func (c *Collector) newest(task handoff.Kept) map[string]bool {
	type released struct {
		name string
		last time.Time
	}
	newest, then := map[string]bool{}, []released{}
	began := c.before(seconds(Grace))
	for _, v := range task.Versions {
		if v.Record == nil || v.Record.Collected != nil {
			continue
		}
		var last time.Time
		for _, r := range v.Record.Releases {
			if r.ReleasedAt.After(began) {
				newest[v.Name] = true
			} else {
				last = later(last, r.ReleasedAt)
			}
		}
		if !last.IsZero() {
			then = append(then, released{v.Name, last})
		}
	}
	slices.SortFunc(then, func(a, b released) int { return cmp.Or(b.last.Compare(a.last), strings.Compare(a.name, b.name)) })
	for _, r := range then[:min(len(then), c.Policy.Versions)] {
		newest[r.name] = true
	}
	return newest
}

// spare takes the versions that are named by what stays from those that go.
func (c *Collector) spare(ctx context.Context, versions map[string]*version) error {
	named := set(c.running.Handoffs)
	for _, text := range c.running.Schedules {
		named = union(named, mentionsIn([]byte(text)).versions)
	}
	folders, err := c.kept(ctx)
	if err != nil {
		return err
	}
	for _, f := range folders {
		m, err := c.read(ctx, rebased.BuildKey(f.task, f.name, taskName))
		if err != nil {
			return err
		}
		named = union(named, m.versions)
	}
	files, err := c.taskFiles(ctx)
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.why != "" {
			continue
		}
		m, err := c.read(ctx, file.Key)
		if err != nil {
			return err
		}
		named = union(named, m.versions)
	}
	for ref := range named {
		if v := versions[ref]; v != nil {
			v.why = ""
		}
	}
	return c.spareNamed(ctx, versions)
}

// spareNamed goes on from the kept versions to those that they name, until there are no more.
func (c *Collector) spareNamed(ctx context.Context, versions map[string]*version) error {
	var open []*version
	for _, v := range versions {
		if v.why == "" && v.Whole {
			open = append(open, v)
		}
	}
	for len(open) > 0 {
		v := open[len(open)-1]
		open = open[:len(open)-1]
		manifest, err := c.store().Manifest(ctx, v.task, v.Name)
		if err != nil {
			return fmt.Errorf("read what %s is a delta to: %w", v.ref(), err) // else what it needs is not known
		}
		m, err := c.read(ctx, rebased.VersionKey(v.task, v.Name, taskName))
		if err != nil {
			return err
		}
		named := m.versions
		for _, earlier := range manifest.DeltaTo {
			named = append(named, rebased.VersionRef(v.task, earlier))
		}
		for _, ref := range named {
			if of := versions[ref]; of != nil && of.why != "" {
				if of.why = ""; of.Whole {
					open = append(open, of)
				}
			}
		}
	}
	return nil
}

func union(all map[string]bool, list []string) map[string]bool {
	for _, s := range list {
		all[s] = true
	}
	return all
}

// keptVersions lists the whole versions that stay. Where something is removed that is all there are: what goes has gone before.
func (c *Collector) keptVersions(ctx context.Context) (kept []*version, err error) {
	versions, err := c.decided(ctx)
	for _, v := range versions {
		if v.Whole && (v.why == "" || !c.DryRun) {
			kept = append(kept, v)
		}
	}
	return kept, err
}

// versions removes the versions that go. Builds that begin wait meanwhile, and those of a task that has a build under way are left, since it may make
// one of them again.
func (c *Collector) versions(ctx context.Context) error {
	if c.Policy.Versions == 0 {
		return nil
	}
	versions, err := c.decided(ctx)
	if err != nil {
		return err
	}
	list := make([]*version, 0, len(versions))
	for _, v := range versions {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b *version) int { return strings.Compare(a.ref(), b.ref()) })
	for _, v := range list {
		switch {
		case v.Objects == 0:
		case v.left != "":
			c.left(KindVersions, v.left, v.ref(), v.Objects, v.Bytes)
		case v.why == "" && v.Whole && v.Record != nil && v.Record.Collected != nil && !c.DryRun:
			if err := c.store().Uncollect(ctx, v.task, v.Name); err != nil {
				return err
			}
		case v.why == "":
		default:
			if err := c.removeVersion(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Collector) removeVersion(ctx context.Context, v *version) error {
	if err := c.held(ctx); err != nil {
		return err
	}
	if c.DryRun {
		c.removed(KindVersions, v.why, v.Objects, v.Bytes)
		c.done(KindVersions, v.why, v.ref())
		return nil
	}
	in := handoff.CollectInput{Task: v.task, Version: v.Name, Collected: handoff.Collected{At: c.Now.UTC(), Why: v.why}}
	if v.Record != nil {
		in.Releases = len(v.Record.Releases)
	}
	err := c.store().Collect(ctx, in, func(object rebased.Object) { c.removed(KindVersions, v.why, 1, object.Size) })
	switch {
	case rebased.KindOf(err) == rebased.Conflict:
		c.left(KindVersions, "released again meanwhile", v.ref(), v.Objects, v.Bytes)
		return nil
	case err != nil:
		return err
	}
	c.done(KindVersions, v.why, v.ref())
	return nil
}
