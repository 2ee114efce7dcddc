package gc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/activities/handoff"
)

// strict lets go as much as a policy can.
func strict() gc.Policy {
	two := int64(gc.Grace.Seconds())
	return gc.Policy{Versions: 1, Builds: two, Uploads: two, Answers: two}
}

func TestAPolicyThatReachesIntoTheGraceIsRefused(t *testing.T) {
	for flag, change := range map[string]func(*gc.Policy){
		"--keep-versions": func(p *gc.Policy) { p.Versions = -1 },
		"--keep-builds":   func(p *gc.Policy) { p.Builds = 3600 },
		"--keep-uploads":  func(p *gc.Policy) { p.Uploads = 0 },
		"--keep-answers":  func(p *gc.Policy) { p.Answers = 1 },
	} {
		policy := strict()
		change(&policy)
		if err := policy.Check(); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
	if err := gc.DefaultPolicy().Check(); err != nil {
		t.Error(err)
	}
}

func TestByDefaultVersionsAndAnswersStay(t *testing.T) {
	w := newWorld(t)
	w.ago(400 * day)
	for _, build := range []string{"b1", "b2"} {
		w.answer("scope", "", build+"-unused", build+"-used")
		w.build("squad", build, true, "", []string{build + "-used"}, nil)
		w.release("squad", w.stage("squad", "", nil, []string{build + "-used"}), build)
	}
	w.stage("squad", "", nil, []string{"x"}) // never released
	before := w.snapshot()
	rows := w.collect(gc.DefaultPolicy(), false)
	for key := range before {
		if _, there := w.snapshot()[key]; !there && !strings.HasPrefix(key, "builds/squad/b1/") {
			t.Errorf("%s was removed", key)
		}
	}
	if w.has("builds/squad/b1/") || !w.has("builds/squad/b2/result.json") {
		t.Errorf("the folder of an old build stays, or that of the build of the latest version went: %s", text(rows))
	}
}

func TestABuildUnderWayAndAYoungOneStayWhateverTheirAge(t *testing.T) {
	w := newWorld(t)
	w.ago(90 * day)
	w.build("squad", "nightly-2026-01-01T02:00:00Z", false, "", nil, nil) // waits for approval since
	w.build("squad", "killed", false, "", nil, nil)
	w.build("squad", "preview-1", false, "", nil, nil)
	w.ago(day)
	w.build("squad", "young", false, "", nil, nil)
	w.running.Builds = []gc.Build{{Task: "squad", Build: "nightly-2026-01-01T02:00:00Z", Approval: true}}
	w.collect(strict(), false)
	for name, stays := range map[string]bool{"nightly-2026-01-01T02_00_00Z": true, "killed": false, "preview-1": false, "young": true} {
		if w.has("builds/squad/"+name+"/task.yaml") != stays {
			t.Errorf("%s: stays = %v", name, !stays)
		}
	}
}

func TestTheNewestVersionsStayAndWhatTheyAreDeltasTo(t *testing.T) {
	w := newWorld(t)
	var versions []string
	for n, against := range []string{"", "", "0", "", "", ""} {
		w.ago(100*day - time.Duration(n)*10*day)
		var to []string
		if against != "" {
			to = []string{rebased.VersionRef("squad", versions[0])}
		}
		versions = append(versions, w.stage("squad", "", to, []string{"a"}))
		w.release("squad", versions[n], "b"+versions[n])
	}
	w.ago(100 * day)
	named := w.stage("other", "", nil, []string{"a"})
	w.release("other", named, "b1")
	w.ago(60 * day)
	w.release("other", w.stage("other", "", nil, []string{"b"}), "b2")
	w.ago(70 * day)
	w.put(rebased.TaskKey("third", sha("third")), "dedupe: {against: [other@"+named+"]}")
	w.ago(80 * day)
	w.stage("squad", "", nil, []string{"rejected by a person"})

	policy := strict()
	policy.Versions = 4
	rows := w.collect(policy, false)
	refs := strings.Join(w.wholeVersions(), " ")
	for n, stays := range []bool{true, false, true, true, true, true} { // the first by the third, which is a delta to it
		if strings.Contains(refs, versions[n]) != stays {
			t.Errorf("version %d: stays = %v; %s", n, !stays, text(rows))
		}
	}
	if !strings.Contains(refs, named) {
		t.Error("a version that the last task file of another task names went")
	}
	if len(w.wholeVersions()) != 7 {
		t.Errorf("%s", refs)
	}
}

func TestACollectedVersionIsRecordedAndCannotBeRolledBackTo(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ago(50 * day)
	first := w.stage("squad", "", nil, []string{"a"})
	w.release("squad", first, "b1")
	w.ago(20 * day)
	second := w.stage("squad", "", nil, []string{"b"})
	w.release("squad", second, "b2")
	w.collect(strict(), false)
	record, err := w.store().Record(ctx, "squad", first)
	if err != nil || record.Collected == nil || !record.Collected.At.Equal(now) || len(record.Releases) != 1 {
		t.Errorf("%+v, %v", record, err)
	}
	_, err = w.store().Rollback(ctx, handoff.RollbackInput{Task: "squad", Version: first, By: "ada", At: now})
	if rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), "it was collected on") {
		t.Errorf("roll back: %v", err)
	}
	if released, err := w.store().Released(ctx, "squad"); err != nil || len(released) != 1 || released[0] != second {
		t.Errorf("a delta would be one to %v, %v", released, err)
	}
	w.made = 0 // the same build again
	if again := w.stage("squad", "", nil, []string{"a"}); again != first {
		t.Fatalf("%s is not %s", again, first)
	}
	w.release("squad", first, "b3")
	if record, err = w.store().Record(ctx, "squad", first); err != nil || record.Collected != nil || len(record.Releases) != 2 {
		t.Errorf("made again: %+v, %v", record, err)
	}
	w.wholeVersions()
}

func TestWhoTrainsOnAVersionHasTwoDaysAndAWorkflowAllTheTimeItTakes(t *testing.T) {
	w := newWorld(t)
	var versions []string
	for n, ago := range []int{50, 40, 30, 1} {
		w.ago(day * time.Duration(ago))
		versions = append(versions, w.stage("squad", "", nil, []string{"a"}))
		w.release("squad", versions[n], "b")
	}
	w.running.Handoffs = []string{rebased.VersionRef("squad", versions[0])}
	w.collect(strict(), false)
	refs := strings.Join(w.wholeVersions(), " ")
	for n, stays := range []bool{true, false, true, true} { // the third was the latest until yesterday
		if strings.Contains(refs, versions[n]) != stays {
			t.Errorf("version %d: stays = %v", n, !stays)
		}
	}
}

func TestVersionsOfATaskWithABuildUnderWayAreLeft(t *testing.T) {
	w := newWorld(t)
	w.ago(50 * day)
	old := w.stage("squad", "", nil, []string{"a"})
	w.release("squad", old, "b1")
	w.ago(40 * day)
	w.release("squad", w.stage("squad", "", nil, []string{"b"}), "b2")
	w.ago(day / 2)
	w.build("squad", "b3", false, "", nil, nil)
	rows := w.collect(strict(), false)
	if !contains(w.wholeVersions(), old) {
		t.Error("the build may make it again, and it went")
	}
	if text := text(rows); !strings.Contains(text, "a build of their task is under way") {
		t.Error(text)
	}
}

func TestUploadsStayWhileSomethingNamesOrUsesThem(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ago(90 * day)
	for _, name := range []string{"unused", "benchmark", "file of a model", "scheduled", "of a version", "used again", "being used"} {
		w.put(upload(name), name)
	}
	w.put(upload("model"), `{"config.json":"`+upload("file of a model")+`"}`)
	w.put(rebased.TaskKey("squad", sha("old")), "files: ["+upload("unused")+"#x]")
	w.release("squad", w.stage("squad", upload("of a version"), nil, []string{"a"}), "b1")
	w.ago(80 * day)
	w.put(rebased.TaskKey("squad", sha("last")), "decontaminate: {files: ["+upload("benchmark")+"#squad.jsonl]}\nencoder: static:"+upload("model")+"#m")
	scheduled := w.put(rebased.TaskKey("squad", sha("scheduled")), "x")
	w.ago(75 * day)
	w.put(rebased.TaskKey("squad", sha("last")), "decontaminate: {files: ["+upload("benchmark")+"#squad.jsonl]}\nencoder: static:"+upload("model")+"#m")
	w.running.Schedules = []string{`{"task_key":"` + scheduled + `","encoder":"static:` + upload("scheduled") + `#m"}`}
	w.ago(day)
	if there, err := rebased.KeepUpload(ctx, w.objects, upload("used again")); err != nil || !there {
		t.Fatal(there, err)
	}
	w.running.Imports = []string{"hub"}
	if rows := gone(w.collect(strict(), false)); w.has(upload("unused")) == false {
		t.Errorf("an import is under way: %s", text(rows))
	}
	w.running.Imports = nil

	// One that is used between the listing and its removal.
	racing := &hooked{Objects: w.objects, before: func(op, key string) {
		if op == "list" && key == upload("being used") {
			if _, err := rebased.KeepUpload(ctx, w.objects, key); err != nil {
				t.Fatal(err)
			}
		}
	}}
	if _, err := w.collectFrom(racing, strict(), false); err != nil {
		t.Fatal(err)
	}
	for name, stays := range map[string]bool{
		"unused": false, "benchmark": true, "model": true, "file of a model": true, "scheduled": true, "of a version": true, "used again": true, "being used": true,
	} {
		if w.has(upload(name)) != stays {
			t.Errorf("%s: stays = %v", name, !stays)
		}
	}
	if w.has(rebased.TaskKey("squad", sha("old"))) || !w.has(scheduled) || !w.has(rebased.TaskKey("squad", sha("last"))) {
		t.Errorf("task files: %v", w.keys("tasks/"))
	}
	w.ago(-90 * day) // all of it is used no more
	if _, err := w.collector(w.objects, strict(), false).Collect(ctx, gc.KindUploads, nil); err != nil {
		t.Fatal(err)
	}
}

func TestWhatImportsHaveLeftGoesAWeekLater(t *testing.T) {
	w := newWorld(t)
	w.ago(30 * day)
	for _, run := range []string{"hub/ended", "hub/goes on", "other/open"} {
		w.put("imports/"+run+"/batch-00000.json", "x")
	}
	w.ago(day)
	w.put("imports/hub/goes on/batch-00001.json", "x")
	w.running.Imports = []string{"other"}
	w.collect(gc.DefaultPolicy(), false)
	if got := strings.Join(w.keys("imports/"), " "); got != "imports/hub/goes on/batch-00000.json imports/hub/goes on/batch-00001.json imports/other/open/batch-00000.json" {
		t.Error(got)
	}
}

func TestAnswersGoWhenTheyAreOldAndNothingThatStaysUsedThem(t *testing.T) {
	w := newWorld(t)
	w.ago(50 * day)
	w.answer("s1", "squad/b1/transform/0", "in the latest", "in a dropped version", "reject of a kept build", "of nothing")
	w.answer("s2", "squad/b1/transform/1", "of nothing 1", "of nothing 2")
	first := w.stage("squad", "", nil, []string{"in a dropped version"})
	w.release("squad", first, "b1")
	w.build("squad", "b2", true, "", []string{"in the latest"}, []string{"reject of a kept build"})
	w.ago(40 * day)
	w.answer("s2", "", "last of its scope")
	w.release("squad", w.stage("squad", "", nil, []string{"in the latest"}), "b2")
	w.ago(day)
	w.answer("s2", "", "young")

	waiting := gc.Build{Task: "squad", Build: "b9"}
	w.running.Builds = []gc.Build{waiting}
	w.ago(20 * day)
	w.build("squad", "b9", false, "", nil, nil)
	policy := strict()
	if rows := gone(w.collect(policy, false)); len(rows) != 0 {
		t.Errorf("a build is under way: %s", text(rows))
	}
	w.running.Builds[0].Approval = true // it asks nothing more, but its folder counts
	rows := w.collect(policy, false)
	for key, stays := range map[string]bool{
		"s1 in the latest": true, "s1 in a dropped version": true, "s1 reject of a kept build": true, "s1 of nothing": false, // the version is left: its task has a build under way
		"s2 of nothing 1": false, "s2 of nothing 2": false, "s2 last of its scope": false, "s2 young": true,
	} {
		if scope, key, _ := strings.Cut(key, " "); w.stored(scope, key) != stays {
			t.Errorf("%s: stays = %v; %s", key, !stays, text(rows))
		}
	}
	w.running.Builds = nil
	w.collect(policy, false)
	if w.stored("s1", "in a dropped version") || !w.stored("s1", "in the latest") {
		t.Error("the answer of a collected version stays, or that of the latest went")
	}
	w.answer("s2", "", "new") // after a segment of which nothing is left
	if !w.stored("s2", "new") || !w.stored("s2", "young") {
		t.Error("the log does not go on")
	}
}
