package llm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// collection is of all answers but some, whatever their age.
func collection(needed ...llm.Key) llm.Collection {
	later := time.Now().Add(time.Hour)
	return llm.Collection{
		Needed:   func(key llm.Key) bool { return slices.Contains(needed, key) },
		Open:     func(account string) bool { return account == "task/open/transform/0" },
		Answered: later, Written: later, Before: func(context.Context) error { return nil }, Gone: func(int, int64) {},
	}
}

// fill stores one answer a segment.
func fill(t *testing.T, l *llm.Log, answers int, size int) {
	t.Helper()
	for i := range answers {
		if _, err := l.Put(t.Context(), llm.Key(fmt.Sprint(i)), llm.Answer{Text: strings.Repeat("x", size)}, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALogGoesOnWhereAnswersWereCollected(t *testing.T) {
	objects := mem.NewObjects()
	fill(t, opened(t, objects), 10, 1)
	told, bytes := 0, int64(0)
	c := collection("3", "7")
	c.Gone = func(answers int, n int64) { told, bytes = told+answers, bytes+n }
	if err := llm.NewStore(objects).Collect(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if told != 8 || bytes == 0 {
		t.Errorf("%d answers of %d bytes were said to go, want 8", told, bytes)
	}
	l := opened(t, objects)
	for i := range 10 {
		_, found, err := l.Get(t.Context(), llm.Key(fmt.Sprint(i)))
		if want := i == 3 || i == 7; err != nil || found != want {
			t.Errorf("answer %d: found = %v, %v", i, found, err)
		}
	}
	if _, err := l.Put(t.Context(), "next", llm.Answer{Text: "next"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := objects.Get(t.Context(), rebased.ResponsesPrefix+"scope/0000000011.jsonl"); err != nil {
		t.Errorf("a number was given again: %v", err)
	}
}

func TestWhatAnOpenBudgetCountsStays(t *testing.T) {
	objects := mem.NewObjects()
	l := opened(t, objects)
	for key, account := range map[llm.Key]string{"open": "task/open/transform/0", "ended": "task/ended/transform/0"} {
		sent, err := l.Intend(t.Context(), key, account, rebased.Usage{InputTokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Put(t.Context(), key, llm.Answer{Usage: rebased.Usage{InputTokens: 7}, By: account}, sent); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Intend(t.Context(), key+" lost", account, rebased.Usage{InputTokens: 50}); err != nil {
			t.Fatal(err)
		}
	}
	want := l.Account("task/open/transform/0")
	if err := llm.NewStore(objects).Collect(t.Context(), collection()); err != nil {
		t.Fatal(err)
	}
	after := opened(t, objects)
	if got := after.Account("task/open/transform/0"); got != want || got.Open.InputTokens != 50 {
		t.Errorf("the books of an open build say %+v, before %+v", got, want)
	}
	if got := after.Account("task/ended/transform/0"); got != (llm.Account{}) {
		t.Errorf("the books of an ended build are left: %+v", got)
	}
}

func TestAnAnswerOrASegmentThatIsYoungStays(t *testing.T) {
	objects := mem.NewObjects()
	l := opened(t, objects)
	now := time.Now()
	if _, err := l.Put(t.Context(), "young", llm.Answer{At: now.UnixMilli()}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Put(t.Context(), "old", llm.Answer{At: now.Add(-time.Hour).UnixMilli()}, ""); err != nil {
		t.Fatal(err)
	}
	c := collection()
	c.Written = now.Add(-time.Minute)
	if err := llm.NewStore(objects).Collect(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := opened(t, objects).Get(t.Context(), "old"); !found {
		t.Error("an answer of a young segment went")
	}
	c.Written, c.Answered = now.Add(time.Hour), now.Add(-time.Minute)
	if err := llm.NewStore(objects).Collect(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := opened(t, objects).Get(t.Context(), "young"); !found {
		t.Error("a young answer went")
	}
	if _, found, _ := opened(t, objects).Get(t.Context(), "old"); found {
		t.Error("an old answer is left")
	}
}

func TestAProcessThatKnowsAnAnswerOfBeforeItWasCollectedAsksAnewAndStoresThat(t *testing.T) {
	const answers, size = 40, 1 << 20 // more than are held in memory
	for _, again := range []bool{false, true} {
		objects := mem.NewObjects()
		store := llm.NewStore(objects)
		l, err := store.Open(t.Context(), "scope")
		if err != nil {
			t.Fatal(err)
		}
		fill(t, l, answers, size)
		if err := llm.NewStore(objects).Collect(t.Context(), collection()); err != nil {
			t.Fatal(err)
		}
		first, last := llm.Key("0"), llm.Key("0")
		if again { // the log is opened again, as each shard does: then what is in memory does not count either
			if _, err := store.Open(t.Context(), "scope"); err != nil {
				t.Fatal(err)
			}
			last = llm.Key(fmt.Sprint(answers - 1))
		}
		if answer, err := l.Put(t.Context(), "1", llm.Answer{Text: "new"}, ""); err != nil || answer.Text != "new" {
			t.Errorf("an answer is stored in place of one that was collected: %.10q, %v", answer.Text, err)
		}
		for _, key := range []llm.Key{first, last} {
			answer, _, err := l.Do(t.Context(), key, func() (llm.Answer, string, error) { return llm.Answer{Text: "new"}, "", nil })
			if err != nil || answer.Text != "new" {
				t.Errorf("opened again = %v: %s is %.10q, %v", again, key, answer.Text, err)
			}
			if answer, found, err := opened(t, objects).Get(t.Context(), key); err != nil || !found || answer.Text != "new" {
				t.Errorf("%s is not stored: %.10q, %v, %v", key, answer.Text, found, err)
			}
		}
	}
}
