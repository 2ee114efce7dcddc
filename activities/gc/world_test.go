package gc_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

const day = 24 * time.Hour

// now is when collections run.
var now = time.Now().UTC().Truncate(time.Second)

// world is a bucket with the past of some tasks, and what Temporal has under way.
type world struct {
	t       testing.TB
	objects *mem.Objects
	clock   time.Time
	running gc.Running
	made    int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, objects: mem.NewObjects()}
	w.objects.Now = func() time.Time { return w.clock }
	w.ago(0)
	return w
}

// ago sets the bucket's clock.
func (w *world) ago(d time.Duration) { w.clock = now.Add(-d) }

func (w *world) put(key, body string) string {
	w.t.Helper()
	if _, err := w.objects.Put(context.Background(), key, []byte(body)); err != nil {
		w.t.Fatal(err)
	}
	return key
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (w *world) store() handoff.Versions {
	return handoff.Versions{Objects: w.objects, Examples: mem.NewTable[rebased.Example](w.objects)}
}

// examples are rows that used answers, one each.
func examples(answers ...string) (rows []rebased.Example) {
	for i, key := range answers {
		rows = append(rows, rebased.Example{Input: "in " + key, Output: "out", Answer: "out", Lineage: rebased.Lineage{Row: rebased.RowID(fmt.Sprint(i)), Rank: i, Responses: []string{key}}})
	}
	return rows
}

// build writes the folder of a build as it is when it has ended, or before.
func (w *world) build(task, name string, ended bool, taskFile string, answers, rejected []string) {
	w.t.Helper()
	w.put(rebased.BuildKey(task, name, "task.yaml"), taskFile)
	key := rebased.BuildKey(task, name, "transformed", rebased.PartName(0))
	if _, err := mem.NewTable[rebased.Example](w.objects).Write(context.Background(), key, examples(answers...)); err != nil {
		w.t.Fatal(err)
	}
	var rejects []rebased.Reject
	for _, e := range examples(rejected...) {
		rejects = append(rejects, e.Reject("transform", rebased.ReasonUnusable, ""))
	}
	key = rebased.BuildKey(task, name, "rejects", "transform-"+rebased.PartName(0))
	if _, err := mem.NewTable[rebased.Reject](w.objects).Write(context.Background(), key, rejects); err != nil {
		w.t.Fatal(err)
	}
	if ended {
		w.put(rebased.BuildKey(task, name, "result.json"), "{}")
	}
}

// stage makes a version. against is what its task is a delta to, or must not repeat.
func (w *world) stage(task, taskFile string, against, answers []string) (version string) {
	w.t.Helper()
	w.made++
	t := rebased.DefaultTask()
	t.Name, t.Corpus, t.Instruction = task, "hub", fmt.Sprint("Make version ", w.made)
	t.Output.Formats, t.Dedupe.Against = []string{rebased.FormatMessages}, against
	rows := examples(answers...)
	staged, err := w.store().Stage(context.Background(), handoff.Input{
		Task: t, TaskFile: []byte(taskFile), Revision: "r", Encoder: "e", Endpoint: "http://teacher", Retrieved: len(rows), Steps: []handoff.StepCount{{Step: "dedupe"}},
		Rows:    handoff.Parts{Count: 1, Read: func(context.Context, int) ([]rebased.Example, error) { return slices.Clone(rows), nil }},
		Staging: rebased.BuildKey(task, fmt.Sprint("staging", w.made), "staged"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for object := range w.objects.List(context.Background(), rebased.BuildKey(task, fmt.Sprint("staging", w.made))+"/") {
		_ = w.objects.Delete(context.Background(), object.Key)
	}
	return staged.Version
}

// release makes a version the latest, by the bucket's clock.
func (w *world) release(task, version, build string) {
	w.t.Helper()
	if _, err := w.store().Release(context.Background(), handoff.ReleaseInput{Task: task, Version: version, Build: build, At: w.clock}); err != nil {
		w.t.Fatal(err)
	}
}

// answer stores answers of a scope, in a pack of their own.
func (w *world) answer(scope, account string, keys ...string) {
	w.t.Helper()
	store := llm.NewStore(w.objects)
	log, err := store.Open(context.Background(), scope)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, key := range keys {
		if _, err := log.Put(context.Background(), llm.Key(key), llm.Answer{Text: "said " + key, At: w.clock.UnixMilli(), By: account}, ""); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := store.Drain(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// copy is a world of its own with the same past.
func (w *world) copy() *world {
	w.t.Helper()
	other := newWorld(w.t)
	other.running, other.made = w.running, w.made
	for object := range w.objects.List(context.Background(), "") {
		body, _, err := w.objects.Get(context.Background(), object.Key)
		if err != nil {
			w.t.Fatal(err)
		}
		other.clock = object.Modified
		other.put(object.Key, string(body))
	}
	return other
}

// log opens the stored answers of a scope, as a process does that starts now.
func (w *world) log(scope string) *llm.Log {
	w.t.Helper()
	log, err := llm.NewStore(w.objects).Open(context.Background(), scope)
	if err != nil {
		w.t.Fatal(err)
	}
	return log
}

// stored tells whether an answer is there.
func (w *world) stored(scope, key string) bool {
	w.t.Helper()
	return w.storedIn(w.log(scope), key)
}

func (w *world) storedIn(log *llm.Log, key string) bool {
	w.t.Helper()
	answer, found, err := log.Get(context.Background(), llm.Key(key))
	if err != nil || found && answer.Text != "said "+key {
		w.t.Fatalf("answer %s: %+v, %v", key, answer, err)
	}
	return found
}

// collector collects from objects, as a worker does now.
func (w *world) collector(objects rebased.Objects, policy gc.Policy, dry bool) *gc.Collector {
	w.ago(0)
	return &gc.Collector{
		Objects: objects, Examples: mem.NewTable[rebased.Example](objects), Rejects: mem.NewTable[rebased.Reject](objects), Answers: llm.NewStore(objects),
		Policy: policy, DryRun: dry, Now: now, Running: func(context.Context) (gc.Running, error) { return w.running, nil },
	}
}

var kinds = []string{gc.KindVersions, gc.KindBuilds, gc.KindTasks, gc.KindUploads, gc.KindImports, gc.KindAnswers}

// collectFrom collects all kinds, in the order of the workflow.
func (w *world) collectFrom(objects rebased.Objects, policy gc.Policy, dry bool) (rows []gc.Row, err error) {
	for _, kind := range kinds {
		done, err := w.collector(objects, policy, dry).Collect(context.Background(), kind, nil)
		rows = append(rows, done...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (w *world) collect(policy gc.Policy, dry bool) []gc.Row {
	w.t.Helper()
	rows, err := w.collectFrom(w.objects, policy, dry)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// gone are the rows of what was removed.
func gone(rows []gc.Row) []gc.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r gc.Row) bool { return r.Left })
}

// keys gives the keys of all objects under a prefix.
func (w *world) keys(prefix string) (keys []string) {
	for object := range w.objects.List(context.Background(), prefix) {
		keys = append(keys, object.Key)
	}
	return keys
}

func (w *world) has(prefix string) bool { return len(w.keys(prefix)) > 0 }

// snapshot is all that the bucket holds.
func (w *world) snapshot() map[string]rebased.Object {
	all := map[string]rebased.Object{}
	for object := range w.objects.List(context.Background(), "") {
		all[object.Key] = object
	}
	return all
}

// wholeVersions fails where a manifest lists what is not there, or where latest.json points at nothing, and gives the versions there are.
func (w *world) wholeVersions() (refs []string) {
	w.t.Helper()
	all, err := w.store().All(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, task := range all {
		latest := task.Latest == ""
		for _, v := range task.Versions {
			latest = latest || v.Whole && v.Name == task.Latest
			if !v.Whole {
				continue
			}
			refs = append(refs, rebased.VersionRef(task.Task, v.Name))
			manifest, err := w.store().Manifest(context.Background(), task.Task, v.Name)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, file := range manifest.Files {
				body, _, err := w.objects.Get(context.Background(), rebased.VersionKey(task.Task, v.Name, file.Name))
				if err != nil || sha(string(body)) != file.SHA256 {
					w.t.Errorf("%s@%s lists %s, which is not there: %v", task.Task, v.Name, file.Name, err)
				}
			}
		}
		if !latest {
			w.t.Errorf("latest.json of %s points at %s, which is not whole", task.Task, task.Latest)
		}
	}
	return refs
}

func text(value any) string {
	body, _ := json.MarshalIndent(value, "", " ")
	return string(body)
}

// upload is the key of an upload.
func upload(name string) string { return rebased.UploadKey(sha(name)) }

func contains(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}
