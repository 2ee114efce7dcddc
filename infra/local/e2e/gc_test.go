package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/s3"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

// TestGarbageIsCollectedAndTheNextBuildPaysNothing has two versions of different answers and a night that changed nothing, all of them old.
func TestGarbageIsCollectedAndTheNextBuildPaysNothing(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 60, nil)
	earlier := demoTask(t, 40, map[string]any{"instruction": "Answer the question in one word."})
	b := bucketOf(t, s)
	sizes := b.sizes()
	grown := func(what string) {
		now := b.sizes()
		for _, prefix := range slices.Sorted(maps.Keys(now)) {
			if more := now[prefix] - sizes[prefix]; more != 0 {
				t.Logf("%s: %-10s %8d bytes more", what, prefix, more)
			}
		}
		sizes = now
	}
	old := result(t, must(t, s, "build", "-f", earlier, "--json"))
	grown(fmt.Sprintf("a version of %d rows", old.Rows))
	kept := result(t, must(t, s, "build", "-f", task, "--json"))
	grown(fmt.Sprintf("a version of %d rows", kept.Rows))
	same := result(t, must(t, s, "build", "-f", task, "--json"))
	grown("a night without a change")
	if old.State != rebased.StateReleased || kept.State != rebased.StateReleased || same.State != rebased.StateUnchanged {
		t.Fatalf("%+v, %+v, %+v", old, kept, same)
	}
	must(t, s, "schedule", "create", "--every", "24h", "-f", task)
	must(t, s, "schedule", "pause", "demo")
	b.age(s, 60*24*time.Hour)

	if out, errs, code := s.Run("gc", "--keep-builds", "1h"); code != 2 || !strings.Contains(errs, "--keep-builds must be 48h") {
		t.Errorf("exit status %d: %s%s", code, out, errs)
	}
	policy := []string{"gc", "--keep-versions", "1", "--keep-answers", "720h", "--json"}
	before := b.files("")
	dry := collected(t, must(t, s, append(policy, "--dry-run")...))
	if after := b.files(""); !maps.Equal(before, after) {
		t.Error("a dry run changes the bucket")
	}
	done := collected(t, must(t, s, policy...))
	t.Logf("%+v", done)
	if dry.DryRun = false; !dryAs(dry, done) || done.Objects == 0 {
		t.Errorf("the dry run said %+v", dry)
	}
	for prefix, stays := range map[string]bool{
		"datasets/demo/" + old.Version + "/": false, "datasets/demo/" + kept.Version + "/manifest.json": true,
		"builds/demo/" + old.Build + "/": false, "builds/demo/" + same.Build + "/": false, "builds/demo/" + kept.Build + "/result.json": true,
		"datasets/demo/releases/" + old.Version + ".json": true, "gc/": false,
	} {
		if there := len(b.files(prefix)) > 0; there != stays {
			t.Errorf("%s: is there = %v", prefix, there)
		}
	}
	if out, errs, code := s.Run("versions", "show", "demo@"+old.Version); code == 0 || !strings.Contains(errs, "it was collected on") {
		t.Errorf("exit status %d: %s%s", code, out, errs)
	}
	if again := collected(t, must(t, s, policy...)); again.Objects != 0 {
		t.Errorf("a second run removes %+v", again)
	}

	s.KillWorker() // nothing of before is in its memory
	s.StartWorker()
	paid := statsOf(t, s).number(t, "answered")
	must(t, s, "schedule", "resume", "demo")
	must(t, s, "schedule", "trigger", "demo")
	waitUntil(t, "the night has ended", func() bool { return !slices.Contains(buildStates(t, s), "running") && len(buildStates(t, s)) == 4 })
	next := result(t, must(t, s, "build", "-f", task, "--json"))
	if next.State != rebased.StateUnchanged || next.Version != kept.Version || next.Calls.Made != 0 {
		t.Errorf("the next build: %+v", next)
	}
	if now := statsOf(t, s).number(t, "answered"); now != paid {
		t.Errorf("the builds after the collection paid for %d answers", now-paid)
	}
	if lines := countLines(t, must(t, s, "export", "demo", "--format", rebased.FormatMessages)); lines != kept.Rows {
		t.Errorf("%d lines, the version has %d rows", lines, kept.Rows)
	}
	back := result(t, must(t, s, "build", "-f", earlier, "--json"))
	if back.Version != old.Version || back.State != rebased.StateReleased || back.Calls.Made == 0 {
		t.Errorf("the collected version is made again: %+v", back)
	}
	record(t, "collect.json", historyOf(t, s, workflows.CollectID(false)))
}

func collected(t *testing.T, out string) (r workflows.CollectResult) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("no result in %q: %v", out, err)
	}
	return r
}

func dryAs(dry, done workflows.CollectResult) bool {
	return fmt.Sprint(dry) == fmt.Sprint(done)
}

// sizes gives the bytes under each of the first segments of keys.
func (b bucket) sizes() map[string]int {
	sizes := map[string]int{}
	for key, body := range b.files("") {
		prefix, _, _ := strings.Cut(key, "/")
		sizes[prefix] += len(body)
	}
	return sizes
}

var (
	releasedAt = regexp.MustCompile(`"released_at": "[^"]*"`)
	answeredAt = regexp.MustCompile(`"at":[0-9]+`)
)

// age makes the bucket as if all of it had been written so much earlier: what its objects say of when, and the times of their files.
func (b bucket) age(s *stacktest.Stack, by time.Duration) {
	b.t.Helper()
	for key, body := range b.files("") {
		aged := body
		switch {
		case strings.Contains(key, "/releases/"):
			aged = releasedAt.ReplaceAllStringFunc(body, func(text string) string {
				at, err := time.Parse(time.RFC3339, strings.Trim(strings.TrimPrefix(text, `"released_at": `), `"`))
				if err != nil {
					b.t.Fatal(err)
				}
				return fmt.Sprintf(`"released_at": %q`, at.Add(-by).Format(time.RFC3339Nano))
			})
		case strings.HasPrefix(key, "responses/"):
			aged = answeredAt.ReplaceAllStringFunc(body, func(text string) string {
				at, err := strconv.ParseInt(strings.TrimPrefix(text, `"at":`), 10, 64)
				if err != nil {
					b.t.Fatal(err)
				}
				return fmt.Sprintf(`"at":%d`, at-by.Milliseconds())
			})
		}
		if aged != body {
			b.put(key, aged)
		}
	}
	then := time.Now().Add(-by)
	root := s3.BucketDir(s.Folder().Path("s3"), folder.Bucket)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}
