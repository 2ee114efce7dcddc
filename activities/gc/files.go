package gc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

const (
	tasksPrefix   = "tasks/"
	uploadsPrefix = "uploads/"
	importsPrefix = "imports/"
)

// taskFile is a task file as it was started, and whether it stays.
type taskFile struct {
	rebased.Object
	why string // it goes; "" = it stays
}

// taskFiles lists the task files. These stay: those used lately (each start writes its file anew), the last one of each task, those that a schedule names,
// and all of a task that has an open build.
func (c *Collector) taskFiles(ctx context.Context) (files []taskFile, err error) {
	named := map[string]bool{}
	for _, text := range c.running.Schedules {
		named = union(named, mentionsIn([]byte(text)).tasks)
	}
	last := map[string]int{} // place of a task's newest
	for object, err := range c.Objects.List(ctx, tasksPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list the task files: %w", err)
		}
		if taskMention.FindString(object.Key) != object.Key {
			continue // not of the starter
		}
		task, _, _ := strings.Cut(strings.TrimPrefix(object.Key, tasksPrefix), "/")
		f := taskFile{Object: object}
		open := slices.ContainsFunc(c.running.Builds, func(b Build) bool { return b.Task == task })
		if !open && !named[object.Key] && object.Modified.Before(c.before(c.Policy.Builds)) {
			f.why = "not started for " + days(c.Policy.Builds)
		}
		files = append(files, f)
		if n, ok := last[task]; !ok || files[n].Modified.Before(object.Modified) {
			last[task] = len(files) - 1
		}
	}
	for _, n := range last {
		files[n].why = ""
	}
	return files, nil
}

// tasks removes task files.
func (c *Collector) tasks(ctx context.Context) error {
	files, err := c.taskFiles(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.why == "" {
			continue
		}
		if err := c.removeOld(ctx, KindTasks, f.why, c.before(c.Policy.Builds), f.Object); err != nil {
			return err
		}
	}
	return nil
}

// removeOld removes an object, and what else is given, unless somebody has used it since it was listed.
func (c *Collector) removeOld(ctx context.Context, kind, why string, old time.Time, object rebased.Object, beside ...rebased.Object) error {
	for now, err := range c.Objects.List(ctx, object.Key) {
		if err != nil {
			return fmt.Errorf("look at %s again: %w", object.Key, err)
		}
		if (now.Key == object.Key || now.Key == rebased.UploadUseKey(object.Key)) && !now.Modified.Before(old) {
			return nil
		}
	}
	if err := c.remove(ctx, kind, why, append(beside, object)...); err != nil {
		return err
	}
	c.done(kind, why, object.Key)
	return nil
}

// upload is an upload with its note of use.
type upload struct {
	rebased.Object
	use  []rebased.Object
	used time.Time
}

// uploads removes uploads that were not used lately and that nothing names which stays: task files, frozen tasks of builds and versions, inputs of schedules,
// and kept uploads that are lists, of a model's files. While an import is open none goes.
func (c *Collector) uploads(ctx context.Context) error {
	named, err := c.namedUploads(ctx)
	if err != nil {
		return err
	}
	all, err := c.listUploads(ctx)
	if err != nil {
		return err
	}
	old := c.before(c.Policy.Uploads)
	if err := c.nameListed(ctx, all, named, old); err != nil {
		return err
	}
	why := "not used for " + days(c.Policy.Uploads)
	for _, u := range all {
		switch {
		case !u.used.Before(old) || named[u.Key]:
		case len(c.running.Imports) > 0:
			c.left(KindUploads, "an import is under way", u.Key, 1+len(u.use), u.Size)
		default:
			if err := c.removeOld(ctx, KindUploads, why, old, u.Object, u.use...); err != nil {
				return err
			}
		}
	}
	return nil
}

// namedUploads gives the uploads that are named by what stays.
func (c *Collector) namedUploads(ctx context.Context) (map[string]bool, error) {
	var keys []string
	folders, err := c.after(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		keys = append(keys, rebased.BuildKey(f.task, f.name, taskName))
	}
	files, err := c.taskFiles(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.why == "" {
			keys = append(keys, f.Key)
		}
	}
	versions, err := c.keptVersions(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		keys = append(keys, rebased.VersionKey(v.task, v.Name, taskName))
	}
	named := map[string]bool{}
	for _, text := range c.running.Schedules {
		named = union(named, mentionsIn([]byte(text)).uploads)
	}
	for _, key := range keys {
		m, err := c.read(ctx, key)
		if err != nil {
			return nil, err
		}
		named = union(named, m.uploads)
	}
	return named, nil
}

// listUploads lists the uploads; a note of use stands behind its upload.
func (c *Collector) listUploads(ctx context.Context) (all []upload, err error) {
	for object, err := range c.Objects.List(ctx, uploadsPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list the uploads: %w", err)
		}
		if n := len(all); n > 0 && object.Key == rebased.UploadUseKey(all[n-1].Key) {
			all[n-1].use = append(all[n-1].use, object)
			all[n-1].used = later(all[n-1].used, object.Modified)
			continue
		}
		if uploadMention.FindString(object.Key) == object.Key { // else not of ours
			all = append(all, upload{Object: object, used: object.Modified})
		}
	}
	return all, nil
}

// maxList is the size of an upload that may be a list of others, bytes.
const maxList = 64 << 10

// nameListed adds what is listed by small uploads that stay.
func (c *Collector) nameListed(ctx context.Context, all []upload, named map[string]bool, old time.Time) error {
	for _, u := range all {
		if u.Size > maxList || (!named[u.Key] && u.used.Before(old)) {
			continue
		}
		m, err := c.read(ctx, u.Key)
		if err != nil {
			return err
		}
		for _, key := range m.uploads {
			named[key] = true
		}
	}
	return nil
}

// imports removes what imports have left that ended long ago.
func (c *Collector) imports(ctx context.Context) error {
	old := c.before(c.Policy.Uploads)
	why := "of imports that ended more than " + days(c.Policy.Uploads) + " ago"
	flush := func(run string, objects []rebased.Object) error {
		corpus, _, _ := strings.Cut(run, "/")
		young := slices.ContainsFunc(objects, func(o rebased.Object) bool { return !o.Modified.Before(old) })
		if len(objects) == 0 || young || slices.Contains(c.running.Imports, corpus) {
			return nil
		}
		if err := c.remove(ctx, KindImports, why, objects...); err != nil {
			return err
		}
		c.done(KindImports, why, run)
		return nil
	}
	run, objects := "", []rebased.Object(nil)
	for object, err := range c.Objects.List(ctx, importsPrefix) {
		if err != nil {
			return fmt.Errorf("list what imports have left: %w", err)
		}
		parts := strings.SplitN(strings.TrimPrefix(object.Key, importsPrefix), "/", 3)
		if len(parts) < 3 {
			continue
		}
		if of := parts[0] + "/" + parts[1]; of != run {
			if err := flush(run, objects); err != nil {
				return err
			}
			run, objects = of, nil
		}
		objects = append(objects, object)
	}
	return flush(run, objects)
}
