package e2e

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// pointer tells what changes in place, as docs/operations.md lists it: it is copied first, while all that it names is there, and restored last.
var pointer = regexp.MustCompile(`^(corpora/[^/]+/(manifest|index-[^/]*)\.json|datasets/[^/]+/(latest|releases/[^/]+|[0-9a-f]{12}/manifest)\.json|responses/batches/.*)$`)

// ofRuns is what runs have left for themselves alone.
var ofRuns = regexp.MustCompile(`^(gc|imports|nights)/`)

// TestACopyOfTheBucketIsAllThatARestoreNeeds copies the bucket, object by object, to a place with an empty Temporal and an empty index.
func TestACopyOfTheBucketIsAllThatARestoreNeeds(t *testing.T) {
	t.Parallel()
	lost, task := demoStack(t, stacktest.Options{}, 60, nil)
	first := result(t, must(t, lost, "build", "-f", task, "--json"))
	must(t, lost, "schedule", "create", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "-f", task)
	schedules := must(t, lost, "schedule", "ls", "--json")
	exported := must(t, lost, "export", "demo", "--format", rebased.FormatMessages)
	saved := bucketOf(t, lost)

	var teacher []string // the same server: an answer belongs to its address
	for _, entry := range lost.Env() {
		if strings.HasPrefix(entry, "OPENAI_") {
			teacher = append(teacher, entry)
		}
	}
	s := stacktest.Start(t, stacktest.Options{Env: teacher})
	b := bucketOf(t, s)
	pointers := saved.files("")
	maps.DeleteFunc(pointers, func(key, _ string) bool { return !pointer.MatchString(key) })
	small := demoTask(t, 40, nil)
	later := result(t, must(t, lost, "build", "-f", small, "--json")) // while it is copied
	rest := saved.files("")
	maps.DeleteFunc(rest, func(key, _ string) bool { return pointer.MatchString(key) || ofRuns.MatchString(key) })
	for key, body := range rest {
		b.put(key, body)
	}
	for key, body := range pointers {
		b.put(key, body)
	}
	t.Logf("%d pointers and %d other objects", len(pointers), len(rest))
	if later.State != rebased.StateReleased || later.Version == first.Version || len(pointers) != 5 {
		t.Fatalf("%+v; %v", later, slices.Sorted(maps.Keys(pointers)))
	}

	if out := must(t, s, "versions", "ls", "demo", "--json"); !strings.Contains(out, `"version":"`+first.Version+`","latest":true`) || strings.Contains(out, later.Version) {
		t.Errorf("versions: %s", out)
	}
	if got := must(t, s, "export", "demo", "--format", rebased.FormatMessages); got != exported {
		t.Error("the version is exported as something else")
	}
	if out, errs, code := s.Run("build", "-f", task, "--json"); code == 0 {
		t.Errorf("a build on an index that is not there: %s%s", out, errs)
	}
	must(t, s, "index", "hub", "--rebuild")
	paid := statsOf(t, lost).number(t, "answered")
	next := result(t, must(t, s, "build", "-f", task, "--json"))
	if next.State != rebased.StateUnchanged || next.Version != first.Version || next.Calls.Made != 0 {
		t.Errorf("the next build: %+v", next)
	}
	if now := statsOf(t, lost).number(t, "answered"); now != paid {
		t.Errorf("it paid for %d answers", now-paid)
	}
	if out := must(t, s, "schedule", "ls", "--json"); strings.TrimSpace(out) != "" || !strings.Contains(schedules, `"spec":"0 2 * * *"`) {
		t.Errorf("schedules before: %s, after: %s", schedules, out)
	}
	if again := result(t, must(t, s, "build", "-f", small, "--json")); again.Version != later.Version || again.State != rebased.StateReleased || again.Calls.Made != 0 {
		t.Errorf("the version of which the copy has a part: %+v", again)
	}
	for _, version := range []string{first.Version, later.Version} {
		sameFiles(t, saved.files("datasets/demo/"+version+"/"), b.files("datasets/demo/"+version+"/"))
	}
}
