package app

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/starter/cluster"
)

// Bounds of what a shell is told while a person types.
const (
	completeWait = time.Second // then what was found by then is all
	mostOffered  = 100
)

// complete gives the commands of a tree what a shell completes their arguments and flags with. What cannot be had in a second, or at all, is left out
// without a word: an error would stand in the middle of a line that somebody types.
func (a *app) complete(root *cobra.Command) {
	whichever := func(rebased.State) bool { return true }
	open := func(s rebased.State) bool { return !s.Final() }
	is := func(want rebased.State) func(rebased.State) bool {
		return func(s rebased.State) bool { return s == want }
	}
	corpora := first(a.completeCorpora)
	versions := first(a.completeVersions)
	both := func(ctx context.Context, typed []string, prefix string) []string {
		if len(typed) > 1 {
			return nil
		}
		return a.completeVersions(ctx, typed, prefix)
	}
	schedules := first(a.completeSchedules)
	for path, offer := range map[string]offers{
		"builds ls": first(a.completeTasks), "builds show": a.completeBuilds(whichever), "builds watch": a.completeBuilds(open), "builds cancel": a.completeBuilds(open),
		"builds approve": a.completeBuilds(is(rebased.StateAwaitingApproval)), "builds reject": a.completeBuilds(is(rebased.StateAwaitingApproval)),
		"builds resume": a.completeBuilds(is(rebased.StatePaused)), "builds raise-budget": a.completeBuilds(open),
		"builds redrive": a.completeBuilds(func(s rebased.State) bool { return s != rebased.StateRunning }),
		"versions ls":    first(a.completeTasks), "versions show": versions, "versions diff": both, "versions rollback": a.completeRollback,
		"versions handoff": versions, "export": versions, "push": versions,
		"corpus show": corpora, "index": corpora,
		"schedule show": schedules, "schedule pause": schedules, "schedule resume": schedules, "schedule trigger": schedules,
		"schedule backfill": schedules, "schedule delete": schedules,
	} {
		if cmd, _, err := root.Find(strings.Fields(path)); err == nil && cmd != root {
			cmd.ValidArgsFunction = a.offer(offer)
		}
	}
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd.Flags().Lookup("file") != nil {
			_ = cmd.MarkFlagFilename("file", "yaml", "yml") // the flag is there
		}
		for name, values := range map[string][]string{"format": append(rebased.Formats(), handoff.FormatParquet), "state": states()} {
			if cmd.Flags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	})
}

// offers are the words that may stand where a person types; typed are the arguments before.
type offers func(ctx context.Context, typed []string, prefix string) []string

// first offers words for the first argument alone.
func first(offer offers) offers {
	return func(ctx context.Context, typed []string, prefix string) []string {
		if len(typed) > 0 {
			return nil
		}
		return offer(ctx, typed, prefix)
	}
}

func (a *app) offer(offer offers) cobra.CompletionFunc {
	return func(cmd *cobra.Command, typed []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWait)
		defer cancel()
		found := make(chan []string, 1)
		go func() { found <- offer(ctx, typed, prefix) }() // what does not end with ctx is not waited for
		select {
		case words := <-found:
			words = slices.DeleteFunc(words, func(word string) bool { return !strings.HasPrefix(word, prefix) || !plainWord(word) })
			return words[:min(len(words), mostOffered)], cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		case <-ctx.Done():
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// plainWord refuses what a shell or a terminal would take for more than a name: names come from whoever may write to the namespace or the bucket.
func plainWord(word string) bool {
	return strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@-") == ""
}

func (a *app) completeBuilds(fits func(rebased.State) bool) offers {
	return first(func(ctx context.Context, _ []string, _ string) []string {
		var names []string
		for _, b := range a.recent(ctx, func(b cluster.Build) bool { return fits(b.State) }) {
			names = append(names, b.Name())
		}
		return names
	})
}

// completeTasks offers the tasks of recent builds, the youngest first.
func (a *app) completeTasks(ctx context.Context, _ []string, _ string) []string {
	var names []string
	for _, b := range a.recent(ctx, func(cluster.Build) bool { return true }) {
		if !slices.Contains(names, b.Task) {
			names = append(names, b.Task)
		}
	}
	return names
}

func (a *app) recent(ctx context.Context, keep func(cluster.Build) bool) []cluster.Build {
	temporal, err := a.connect(ctx)
	if err != nil {
		return nil
	}
	defer temporal.Close()
	builds, err := temporal.Builds(ctx, "", mostOffered, keep)
	if err != nil {
		return nil
	}
	return builds
}

// completeVersions offers tasks, and behind TASK@ the versions that were released.
func (a *app) completeVersions(ctx context.Context, typed []string, prefix string) []string {
	task, _, named := strings.Cut(prefix, "@")
	if !named {
		return a.completeTasks(ctx, typed, prefix)
	}
	var refs []string
	for _, version := range a.released(ctx, task) {
		refs = append(refs, task+"@"+version)
	}
	return refs
}

// completeRollback offers tasks and TASK@VERSION, and the versions behind TASK alone.
func (a *app) completeRollback(ctx context.Context, typed []string, prefix string) []string {
	switch len(typed) {
	case 0:
		return a.completeVersions(ctx, typed, prefix)
	case 1:
		return a.released(ctx, typed[0])
	}
	return nil
}

// released are the versions of a task that have a release record.
func (a *app) released(ctx context.Context, task string) (versions []string) {
	if checkName(task) != nil {
		return nil
	}
	bucket, err := a.bucket(ctx)
	if err != nil {
		return nil
	}
	for object, err := range bucket.List(ctx, path.Dir(rebased.ReleaseKey(task, "version"))+"/") {
		if err != nil || len(versions) == mostOffered {
			break
		}
		name := object.Key[strings.LastIndexByte(object.Key, '/')+1:]
		versions = append(versions, strings.TrimSuffix(name, ".json"))
	}
	return versions
}

func (a *app) completeCorpora(ctx context.Context, _ []string, _ string) (names []string) {
	bucket, err := a.bucket(ctx)
	if err != nil {
		return nil
	}
	for object, err := range bucket.List(ctx, "corpora/") {
		if err != nil {
			break
		}
		if name, ok := strings.CutSuffix(strings.TrimPrefix(object.Key, "corpora/"), "/manifest.json"); ok && rebased.ValidCorpusName(name) {
			names = append(names, name)
		}
	}
	return names
}

func (a *app) completeSchedules(ctx context.Context, _ []string, _ string) (names []string) {
	temporal, err := a.connect(ctx)
	if err != nil {
		return nil
	}
	defer temporal.Close()
	schedules, err := temporal.Schedules(ctx)
	if err != nil {
		return nil
	}
	for _, s := range schedules {
		names = append(names, s.Task)
	}
	return names
}

// eachCommand visits a tree of commands, a command before those under it.
func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range cmd.Commands() {
		eachCommand(child, visit)
	}
}
