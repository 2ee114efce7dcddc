package gc

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

const (
	buildsPrefix = "builds/"
	taskName     = "task.yaml"   // the first that a build writes
	resultName   = "result.json" // the last
)

// folder is a build's folder.
type folder struct {
	task, name string
	newest     time.Time
	ended      bool // there is a result
	objects    int
	bytes      int64
}

func (f folder) path() string { return f.task + "/" + f.name }

// prefix is that of its keys.
func (f folder) prefix() string { return buildsPrefix + f.path() + "/" }

// draft tells a folder that no build has made: a preview's or an estimate's, which make no version and leave nothing for later.
func (f folder) draft() bool {
	return strings.HasPrefix(f.name, "preview-") || strings.HasPrefix(f.name, "estimate-")
}

// folders lists the folders of all builds.
func (c *Collector) folders(ctx context.Context) iter.Seq2[folder, error] {
	return func(yield func(folder, error) bool) {
		var f folder
		for object, err := range c.Objects.List(ctx, buildsPrefix) {
			if err != nil {
				yield(f, fmt.Errorf("list the builds: %w", err))
				return
			}
			parts := strings.SplitN(strings.TrimPrefix(object.Key, buildsPrefix), "/", 3)
			if len(parts) < 3 {
				continue
			}
			if parts[0] != f.task || parts[1] != f.name {
				if f.objects > 0 && !yield(f, nil) {
					return
				}
				f = folder{task: parts[0], name: parts[1]}
			}
			f.objects++
			f.bytes += object.Size
			f.ended = f.ended || parts[2] == resultName
			f.newest = later(f.newest, object.Modified)
		}
		if f.objects > 0 {
			yield(f, nil)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// open gives the build of a folder that is open.
func (c *Collector) open(f folder) (Build, bool) {
	i := slices.IndexFunc(c.running.Builds, func(b Build) bool { return b.Task == f.task && rebased.KeySegment(b.Build) == f.name })
	if i < 0 {
		return Build{}, false
	}
	return c.running.Builds[i], true
}

// underWay tells a build that may still do something: it is open, or has left no result and is so young that Temporal may not have told of it.
func (c *Collector) underWay(f folder) bool {
	if _, open := c.open(f); open {
		return true
	}
	return !f.ended && !f.draft() && f.newest.After(c.before(seconds(Grace)))
}

// keptBuild tells whether a folder stays. released are the folders of builds that made the latest versions.
func (c *Collector) keptBuild(f folder, released map[string]bool) bool {
	return c.underWay(f) || !f.newest.Before(c.before(c.Policy.Builds)) || released[f.path()]
}

// releasedBuilds gives the folders of the builds that made the latest versions: recalls and redrives need them.
func (c *Collector) releasedBuilds(ctx context.Context) (map[string]bool, error) {
	all, err := c.store().All(ctx)
	if err != nil {
		return nil, err
	}
	released := map[string]bool{}
	for _, task := range all {
		for _, v := range task.Versions {
			if v.Name != task.Latest || v.Record == nil {
				continue
			}
			for _, r := range v.Record.Releases {
				if r.Made() {
					released[folder{task: task.Task, name: rebased.KeySegment(r.Build)}.path()] = true
				}
			}
		}
	}
	return released, nil
}

// kept lists the folders that stay.
func (c *Collector) kept(ctx context.Context) ([]folder, error) {
	released, err := c.releasedBuilds(ctx)
	if err != nil {
		return nil, err
	}
	var kept []folder
	for f, err := range c.folders(ctx) {
		if err != nil {
			return nil, err
		}
		if c.keptBuild(f, released) {
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// after lists the folders that stay once builds were collected. Where something is removed that is all there are.
func (c *Collector) after(ctx context.Context) ([]folder, error) {
	if c.DryRun {
		return c.kept(ctx)
	}
	var all []folder
	for f, err := range c.folders(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// builds removes the folders of builds that ended long ago. A build's name is used once, so one that is not open and has written nothing for that long
// never goes on.
func (c *Collector) builds(ctx context.Context) error {
	released, err := c.releasedBuilds(ctx)
	if err != nil {
		return err
	}
	for f, err := range c.folders(ctx) {
		if err != nil {
			return err
		}
		if c.keptBuild(f, released) {
			if released[f.path()] && f.newest.Before(c.before(c.Policy.Builds)) {
				c.left(KindBuilds, "made the latest version of their tasks", f.path(), f.objects, f.bytes)
			}
			continue
		}
		why := "ended more than " + days(c.Policy.Builds) + " ago"
		if f.draft() {
			why = "previews and estimates of more than " + days(c.Policy.Builds) + " ago"
		}
		if err := c.removeFolder(ctx, KindBuilds, why, f); err != nil {
			return err
		}
	}
	return nil
}

// removeFolder removes a folder, the task first and the result last.
func (c *Collector) removeFolder(ctx context.Context, kind, why string, f folder) error {
	if c.DryRun {
		c.removed(kind, why, f.objects, f.bytes)
		c.done(kind, why, f.path())
		return ctx.Err()
	}
	first, last := rebased.BuildKey(f.task, f.name, taskName), rebased.BuildKey(f.task, f.name, resultName)
	var objects, ends []rebased.Object
	for object, err := range c.Objects.List(ctx, f.prefix()) {
		switch {
		case err != nil:
			return fmt.Errorf("list %s: %w", f.prefix(), err)
		case object.Key == first:
			if err := c.remove(ctx, kind, why, object); err != nil {
				return err
			}
		case object.Key == last:
			ends = append(ends, object)
		default:
			objects = append(objects, object)
		}
	}
	if err := c.remove(ctx, kind, why, objects...); err != nil {
		return err
	}
	if err := c.remove(ctx, kind, why, ends...); err != nil {
		return err
	}
	c.done(kind, why, f.path())
	return nil
}

// removesAtOnce is how many objects are removed side by side.
const removesAtOnce = 16

// remove removes objects, in no order, and counts them.
func (c *Collector) remove(ctx context.Context, kind, why string, objects ...rebased.Object) error {
	for part := range slices.Chunk(objects, 8*removesAtOnce) {
		if err := c.held(ctx); err != nil {
			return err
		}
		if c.DryRun {
			for _, object := range part {
				c.removed(kind, why, 1, object.Size)
			}
			continue
		}
		gone := make([]bool, len(part))
		group, within := errgroup.WithContext(ctx)
		group.SetLimit(removesAtOnce)
		for i, object := range part {
			group.Go(func() error {
				err := c.Objects.Delete(within, object.Key)
				gone[i] = err == nil
				return err
			})
		}
		err := group.Wait()
		for i, object := range part {
			if gone[i] {
				c.removed(kind, why, 1, object.Size)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
