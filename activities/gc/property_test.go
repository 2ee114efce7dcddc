package gc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/activities/llm"
)

const (
	scopes  = 2
	perPack = 4
)

// pastWorld makes up the past of three tasks: answers, builds that used some of them, versions of which some are deltas, uploads that are named.
func pastWorld(t testing.TB, random *rand.Rand) *world {
	w := newWorld(t)
	pick := func(from []string) (some []string) {
		for _, s := range from {
			if random.IntN(4) == 0 {
				some = append(some, s)
			}
		}
		return some
	}
	var answers, uploads, refs []string
	versions := map[string][]string{}
	for night := 60; night >= 0; night -= 1 + random.IntN(6) {
		w.ago(time.Duration(night)*day + time.Duration(1+random.IntN(3600))*time.Second)
		for scope := range scopes {
			var pack []string
			for range perPack {
				pack = append(pack, fmt.Sprintf("s%d answer %d", scope, len(answers)+len(pack)))
			}
			w.answer(fmt.Sprint("s", scope), "", pack...)
			answers = append(answers, pack...)
		}
		uploads = append(uploads, w.put(upload(fmt.Sprint(len(uploads))), "x"))
		task := fmt.Sprint("task-", random.IntN(3))
		file := strings.Join(append(pick(uploads), pick(refs)...), "\n")
		if random.IntN(2) == 0 {
			w.put(rebased.TaskKey(task, sha(file)), file)
		}
		if random.IntN(3) == 0 {
			w.put(rebased.ImportKey("hub", fmt.Sprint("run", night), "batch-00000.json"), "x")
		}
		name := fmt.Sprint("night-", night)
		ended := random.IntN(6) > 0
		w.build(task, name, ended, file, pick(answers), pick(answers))
		if !ended && random.IntN(2) == 0 {
			w.running.Builds = append(w.running.Builds, gc.Build{Task: task, Build: name, Approval: random.IntN(3) > 0})
		}
		if random.IntN(4) == 0 {
			continue
		}
		var to []string
		if earlier := versions[task]; len(earlier) > 0 && random.IntN(4) == 0 {
			to = append(to, rebased.VersionRef(task, earlier[random.IntN(len(earlier))]))
		}
		version := w.stage(task, file, to, append(pick(answers), answers[random.IntN(len(answers))]))
		if random.IntN(5) > 0 {
			w.release(task, version, name)
		}
		versions[task] = append(versions[task], version)
		refs = append(refs, rebased.VersionRef(task, version))
	}
	if random.IntN(2) == 0 {
		w.running.Builds = nil // a quiet hour
	}
	return w
}

// needed is what must be there by what is there: uploads and versions that are named, answers that were used.
type needed struct{ uploads, versions, answers map[string]bool }

func (w *world) needed() needed {
	w.t.Helper()
	n := needed{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for object := range w.objects.List(context.Background(), "") {
		body, _, err := w.objects.Get(context.Background(), object.Key)
		if err != nil {
			w.t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(object.Key, ".yaml"):
			for line := range strings.Lines(string(body)) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "uploads/") {
					n.uploads[line] = true
				} else if line != "" {
					n.versions[line] = true
				}
			}
		case strings.HasSuffix(object.Key, ".parquet"):
			for part := range strings.SplitSeq(string(body), `"responses":["`) {
				if key, _, ok := strings.Cut(part, `"],"teacher"`); ok {
					n.answers[key] = true
				}
			}
		}
	}
	return n
}

func TestNothingGoesThatAnythingThatStaysNeeds(t *testing.T) {
	removed, answersGone := 0, 0
	for range 15 {
		seed := rand.Uint64()
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			w := pastWorld(t, random)
			policy := gc.Policy{
				Versions: random.IntN(3), Builds: int64(2+random.IntN(30)) * 86400, Uploads: int64(2+random.IntN(20)) * 86400, Answers: int64(2+random.IntN(20)) * 86400,
			}
			was, before := w.snapshot(), w.needed()
			dry := w.collect(policy, true)
			if got := w.snapshot(); text(got) != text(was) {
				t.Fatal("a dry run changes the bucket")
			}
			rows := w.collect(policy, false)
			if text(rows) != text(dry) {
				t.Errorf("removed:\n%s\nthe dry run said:\n%s", text(rows), text(dry))
			}
			is, after := w.snapshot(), w.needed()
			bytes, objects := int64(0), 0
			for key, object := range was {
				now, there := is[key]
				if there && now.ETag == object.ETag || strings.HasPrefix(key, "datasets/") && strings.Contains(key, "/releases/") {
					continue
				}
				objects++
				bytes += object.Size - now.Size
				if now.Modified = object.Modified; now.Modified.After(w.clock.Add(-gc.Grace)) {
					t.Errorf("%s is %s old, and was changed", key, w.clock.Sub(object.Modified))
				}
			}
			for _, row := range gone(rows) {
				objects -= row.Objects
				bytes -= row.Bytes
				removed += row.Objects
			}
			if objects != 0 || bytes != 0 {
				t.Errorf("%d objects and %d bytes more went than was said", objects, bytes)
			}
			w.wholeVersions()
			for key := range after.uploads {
				if _, there := is[key]; !there {
					t.Errorf("%s is named, and went", key)
				}
			}
			for ref := range after.versions {
				task, version, _ := strings.Cut(ref, "@")
				if key := rebased.VersionKey(task, version, "manifest.json"); is[key].Key != was[key].Key {
					t.Errorf("%s is named, and went", ref)
				}
			}
			logs := map[string]*llm.Log{"s0": w.log("s0"), "s1": w.log("s1")}
			for key := range before.answers {
				if stored := w.storedIn(logs[key[:2]], key); after.answers[key] && !stored {
					t.Errorf("%s was used by what stays, and went", key)
				} else if !stored {
					answersGone++
				}
			}
			if again := gone(w.collect(policy, false)); len(again) != 0 {
				t.Errorf("a second run removes %s", text(again))
			}
			if w.has("gc/") {
				t.Error("the mark of the collection is left")
			}
		}) {
			break
		}
	}
	if removed == 0 || answersGone == 0 {
		t.Errorf("%d objects and %d answers in all: these worlds prove nothing", removed, answersGone)
	}
}

func TestACollectionThatBreaksOffAnywhereLeavesWholeVersionsAndIsEndedByTheNext(t *testing.T) {
	const seed = 7
	policy := strict()
	policy.Versions = 1
	past := pastWorld(t, rand.New(rand.NewPCG(seed, 1)))
	past.running.Builds = nil
	want := past.copy()
	calls := 0
	if _, err := want.collectFrom(&hooked{Objects: want.objects, before: func(string, string) { calls++ }}, policy, false); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < calls; at += 1 + calls/25 {
		w, call := past.copy(), 0
		_, err := w.collectFrom(&hooked{Objects: w.objects, fail: func(string, string) error {
			if call++; call > at {
				return rebased.E(rebased.Unavailable, "the bucket is down")
			}
			return nil
		}}, policy, false)
		if rebased.KindOf(err) != rebased.Unavailable {
			t.Fatalf("broken off at call %d of %d: %v", at, calls, err)
		}
		w.wholeVersions()
		w.collect(policy, false)
		if got, want := strings.Join(w.keys(""), "\n"), strings.Join(want.keys(""), "\n"); got != want {
			t.Fatalf("broken off at call %d of %d, then run again, it leaves\n%s\nand without a break\n%s", at, calls, got, want)
		}
	}
}
