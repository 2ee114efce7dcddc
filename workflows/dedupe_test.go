package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/workflows"
)

const semanticYAML = "dedupe: {semantic: {encoder: 'transformer:hf://some/model', threshold: 0.9}}\n"

// strip gives files by the rest of their keys.
func strip(files map[string]string, prefix string) map[string]string {
	out := map[string]string{}
	for key, sum := range files {
		out[strings.TrimPrefix(key, prefix)] = sum
	}
	return out
}

func TestADeduplicationSplitOverWorkersGivesTheSameBytes(t *testing.T) {
	for name, yaml := range map[string]string{
		"near":               strings.Replace(taskYAML, "rows: 60", "rows: 120", 1) + "dedupe: {minhash: 0.5}\n",
		"near and semantic":  taskYAML + semanticYAML,
		"against, in rounds": taskYAML + "dedupe: {minhash: 0.5, against: [held.jsonl]}\ntransform: {target_rows: 30}\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.template = " of the numbers that stand in the long list which we all have to learn by heart for the test on monday"
			w.indexed(t, 120)
			yaml = strings.Replace(yaml, "held.jsonl", w.upload(t, "held.jsonl", `{"input":"what is number 4 of 1","output":"it is 16"}`+"\n"), 1)
			whole, err := w.runBuild(t, w.environment(t), "whole", yaml)
			if err != nil {
				t.Fatal(err)
			}
			w.shardedFrom = 1
			env := w.environment(t)
			ran := map[string]int{}
			env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) { ran[info.ActivityType.Name]++ })
			split, err := w.runBuild(t, env, "split", yaml)
			if err != nil {
				t.Fatal(err)
			}
			if split.Version != whole.Version || split.State != rebased.StateUnchanged || len(split.Rejected) == 0 {
				t.Errorf("version %s, %s when split: %+v", whole.Version, split.Version, split)
			}
			for _, folder := range []string{"deduped/", "rejects/", "clusters/"} {
				one, other := rebased.BuildKey("numbers", "whole", folder), rebased.BuildKey("numbers", "split", folder)
				want, got := strip(w.files(t, one), one), strip(w.files(t, other), other)
				if len(want) == 0 || !maps.Equal(want, got) {
					t.Errorf("%s: %v, %v when split", folder, want, got)
				}
			}
			if ran["DedupePrints"] == 0 || ran["DedupeGroups"]%8 != 0 || ran["DedupeGroups"] == 0 || ran["DedupeClean"] == 0 {
				t.Errorf("it was not split: %v", ran)
			}
			if left := w.files(t, rebased.BuildKey("numbers", "split", "prints")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// upload puts a file where the command line would, and gives what the task file says of it then.
func (w *world) upload(t *testing.T, name, body string) string {
	t.Helper()
	hash := sha([]byte(body))
	if _, err := w.objects.Put(t.Context(), rebased.UploadKey(hash), []byte(body)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q", rebased.BenchmarkRef(hash, name))
}

func (w *world) rejects(t *testing.T, task, build string) (all []rebased.Reject) {
	t.Helper()
	table := mem.NewTable[rebased.Reject](w.objects)
	for key := range w.files(t, rebased.BuildKey(task, build, "rejects", "dedupe-")) {
		rows, err := table.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows...)
	}
	return all
}

func (w *world) manifest(t *testing.T, task, version string) handoff.Manifest {
	t.Helper()
	m, err := handoff.Versions{Objects: w.objects}.Manifest(t.Context(), task, version)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRowsThatRepeatAFileOrAnotherTasksVersionAreRejectedByItsName(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	base := taskYAML + "dedupe: {minhash: off}\n"
	first, err := w.runBuild(t, w.environment(t), "1", strings.Replace(base, "rows: 60", "rows: 20", 1))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := mem.NewTable[rebased.Example](w.objects).Read(t.Context(), rebased.BuildKey("numbers", "1", "deduped", rebased.PartName(0)))
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(map[string]any{"messages": []map[string]string{
		{"role": "system", "content": "Answer."}, {"role": "user", "content": strings.ToUpper(kept[3].Input)}, {"role": "assistant", "content": "another answer"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := w.upload(t, "held/out.jsonl", "\n"+string(line)+"\n")
	other := strings.Replace(strings.Replace(base, "name: numbers", "name: others", 1), "minhash: off", "minhash: off, against: ["+file+", numbers]", 1)
	in := w.build(t, other)
	in.Task = "others"
	r, err := run[rebased.BuildResult](t, w.environment(t), workflows.BuildID("others", "1"), workflows.BuildDatasetName, in)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, r)
	of := map[rebased.Reason][]rebased.RowID{}
	for _, reject := range w.rejects(t, "others", "1") {
		of[reject.Reason] = append(of[reject.Reason], reject.Of)
	}
	if conflicts := of[rebased.ReasonConflict]; !slices.Equal(conflicts, []rebased.RowID{"held/out.jsonl:2"}) && len(of[rebased.ReasonDuplicate]) != 20 {
		t.Errorf("of the file: %v", of)
	}
	for _, name := range of[rebased.ReasonDuplicate] {
		if !strings.HasPrefix(string(name), "numbers@"+first.Version+"/") {
			t.Errorf("of %q", name)
		}
	}
	frozen, _, err := w.objects.Get(t.Context(), rebased.BuildKey("others", "1", "task.yaml"))
	if err != nil || !strings.Contains(string(frozen), "numbers@"+first.Version) {
		t.Errorf("the version is not pinned: %v\n%s", err, frozen)
	}
	m := w.manifest(t, "others", r.Version)
	if given := m.Counts.Given[rebased.ReasonDuplicate] + m.Counts.Given[rebased.ReasonConflict]; given != 20 || m.Quality.Duplicates != 0 || len(m.Quality.Warnings) != 0 || len(m.DeltaTo) != 0 {
		t.Errorf("%+v, %+v", m.Counts, m.Quality)
	}
}

func TestWhatCannotBeComparedWithRefusesTheTask(t *testing.T) {
	for name, c := range map[string]struct{ against, want string }{
		"no such version":       {"others@0123456789ab", "dedupe.against[0]: task others has no version 0123456789ab"},
		"nothing released":      {"others", "dedupe.against[0]: task others has no released version"},
		"a file not uploaded":   {"held.jsonl", "was not uploaded"},
		"a line without output": {"FILE", `dedupe.against[0]: held.jsonl:2: has no input and output`},
		"a broken line":         {"BROKEN", "dedupe.against[0]: held.jsonl:1: "},
		"an empty file":         {"EMPTY", "dedupe.against[0]: held.jsonl holds no row"},
	} {
		w := newWorld()
		w.indexed(t, 60)
		for word, body := range map[string]string{"FILE": `{"input":"a","output":"b"}` + "\n" + `{"input":"a"}` + "\n", "BROKEN": "{", "EMPTY": "\n"} {
			c.against = strings.Replace(c.against, word, w.upload(t, "held.jsonl", body), 1)
		}
		_, err := w.runBuild(t, w.environment(t), "1", taskYAML+"dedupe: {against: ["+c.against+"]}\n")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if asked, _ := w.teacher.Asked(); asked > 0 {
			t.Errorf("%s: the teacher was asked", name)
		}
	}
}

func TestADeltaHoldsNewRowsOnlyAndNothingNewIsUnchanged(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	yaml := taskYAML + "output: {mode: delta}\n"
	less := strings.Replace(yaml, "rows: 60", "rows: 20", 1)
	var versions []string
	rows := map[string]string{}
	for i, night := range []string{less, yaml, yaml} {
		id := fmt.Sprint(i)
		r, err := w.runBuild(t, w.environment(t), id, night)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, r)
		if i == 2 {
			if r.State != rebased.StateUnchanged || r.Version != versions[1] || r.Rows != 0 || !strings.Contains(r.URI, versions[1]) {
				t.Errorf("nothing is new: %+v", r)
			}
			continue
		}
		if r.State != rebased.StateReleased || r.Rows == 0 {
			t.Fatalf("%+v", r)
		}
		m := w.manifest(t, "numbers", r.Version)
		if !slices.Equal(m.DeltaTo, versions) || len(m.Quality.Warnings) != 0 && i == 1 && m.Counts.Given[rebased.ReasonDuplicate] > 0 && strings.HasPrefix(m.Quality.Warnings[0], "duplicate") {
			t.Errorf("night %d: delta to %v, want %v; %v", i, m.DeltaTo, versions, m.Quality.Warnings)
		}
		if i == 1 && m.Counts.Given[rebased.ReasonDuplicate] == 0 {
			t.Errorf("no row of the first night was left out: %+v", m.Counts)
		}
		kept, err := mem.NewTable[rebased.Example](w.objects).Read(t.Context(), rebased.BuildKey("numbers", id, "deduped", rebased.PartName(0)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range kept {
			if before, there := rows[e.Input]; there {
				t.Errorf("%q is in night %s and %s", e.Input, before, id)
			}
			rows[e.Input] = id
		}
		versions = append(versions, r.Version)
		card, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", r.Version, "README.md"))
		if err != nil || strings.Contains(string(card), "New rows only") != (i == 1) {
			t.Errorf("card of night %d: %v\n%.600s", i, err, card)
		}
	}
	// The task that is frozen in a version makes the version again, whatever was released since.
	frozen, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", versions[1], "task.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.runBuild(t, w.environment(t), "again", string(frozen))
	if err != nil || r.Version != versions[1] {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestADeltaToAVersionThatIsGoneIsRefusedUnlessTheTaskSaysToWhich(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	yaml := taskYAML + "output: {mode: delta}\n"
	var versions []string
	for i, rows := range []string{"rows: 20", "rows: 40"} {
		r, err := w.runBuild(t, w.environment(t), fmt.Sprint(i), strings.Replace(yaml, "rows: 60", rows, 1))
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, r.Version)
	}
	if err := w.objects.Delete(t.Context(), rebased.VersionKey("numbers", versions[0], "manifest.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.runBuild(t, w.environment(t), "gone", yaml); err == nil || !strings.Contains(err.Error(), "output.mode: delta: version "+versions[0]) {
		t.Errorf("a version is gone: %v", err)
	}
	named := yaml + "dedupe: {against: ['numbers@" + versions[1] + "']}\n"
	r, err := w.runBuild(t, w.environment(t), "named", named)
	if err != nil || r.Rows == 0 {
		t.Fatalf("against one version alone: %+v, %v", r, err)
	}
	if m := w.manifest(t, "numbers", r.Version); !slices.Equal(m.DeltaTo, versions[1:]) {
		t.Errorf("delta to %v", m.DeltaTo)
	}
}

func TestAClustersFileSaysWhatWasRemovedForWhat(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML+semanticYAML)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := w.objects.Get(t.Context(), rebased.BuildKey("numbers", "1", "clusters", "part-00000.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[rebased.Reason]int{}
	rejects := map[rebased.RowID]rebased.Reject{}
	for _, reject := range w.rejects(t, "numbers", "1") {
		rejects[reject.Row] = reject
	}
	for line := range strings.Lines(string(body)) {
		var removal dedupe.Removal
		if err := json.Unmarshal([]byte(line), &removal); err != nil {
			t.Fatal(err)
		}
		reject := rejects[removal.Removed]
		if reject.Of != removal.Kept || reject.Reason != removal.Rule || removal.Similarity < 0.8 {
			t.Errorf("%+v, rejected as %s of %s", removal, reject.Reason, reject.Of)
		}
		told[removal.Rule]++
	}
	if !maps.Equal(told, r.Rejected) || told[rebased.ReasonSemanticDuplicate] == 0 {
		t.Errorf("%v, the build says %v", told, r.Rejected)
	}
}

func TestARuleThatRemovesMuchIsSaidInResultAndManifestAndMayHoldTheVersion(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML+semanticYAML)
	if err != nil {
		t.Fatal(err)
	}
	const want = "semantic_duplicate removed "
	if m := w.manifest(t, "numbers", r.Version); !strings.Contains(r.Detail, want) || !strings.Contains(strings.Join(m.Quality.Warnings, "\n"), want) {
		t.Errorf("result %q, manifest %q, %v", r.Detail, m.Quality.Warnings, r.Rejected)
	}
	report, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", r.Version, "report.html"))
	if err != nil || !strings.Contains(string(report), want) {
		t.Errorf("the report says nothing: %v", err)
	}
	env := w.environment(t)
	env.RegisterDelayedCallback(func() {
		if p := progressOf(t, env); p.State != rebased.StateAwaitingApproval || !strings.Contains(p.Detail, "gates.max_by_rule: ") {
			t.Errorf("%+v", p)
		}
		update(env, workflows.UpdateApprove, workflows.Decision{By: "ann"})
	}, 3600e9)
	if r, err := w.runBuild(t, env, "2", taskYAML+semanticYAML+"gates: {max_by_rule: 0.2}\n"); err != nil || r.State != rebased.StateReleased {
		t.Errorf("%+v, %v", r, err)
	}
}
