package e2e

import (
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// restoreOrder is that of docs/operations.md: what others name, then what names it.
var restoreOrder = []string{"uploads/", "tasks/", "corpora/", "responses/", "builds/", "datasets/"}

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
	copied := 0
	for _, prefix := range restoreOrder {
		files := saved.files(prefix)
		for pointers := range 2 { // pointers last
			for name, body := range files {
				if pointer := strings.HasSuffix(name, "manifest.json") || strings.HasSuffix(name, "latest.json"); pointer == (pointers == 1) {
					b.put(prefix+name, body)
					copied++
				}
			}
		}
	}
	t.Logf("%d of %d objects copied", copied, len(saved.files("")))

	if out := must(t, s, "versions", "ls", "demo", "--json"); !strings.Contains(out, first.Version) || !strings.Contains(out, `"latest":true`) {
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
	sameFiles(t, saved.files("datasets/demo/"+first.Version+"/"), b.files("datasets/demo/"+first.Version+"/"))
}
