package teacher_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/local/teacher"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/anthropic"
	"github.com/rebased/rebased/infra/teacher/openai"
)

// adapters are those that ask for batches.
var adapters = map[string]func(t *testing.T, c client) llm.Batcher{
	"openai": func(t *testing.T, c client) llm.Batcher {
		b, err := openai.New(openai.Config{BaseURL: c.url + "/v1", APIKey: c.key})
		if err != nil {
			t.Fatal(err)
		}
		return b
	},
	"anthropic": func(t *testing.T, c client) llm.Batcher {
		b, err := anthropic.New(anthropic.Config{BaseURL: c.url, APIKey: c.key})
		if err != nil {
			t.Fatal(err)
		}
		return b
	},
}

// rows are requests about so many rows.
func rows(n int) []llm.Request {
	prompts := head("Text: a b", "a")
	question := func(i int) llm.Question[string] {
		return llm.Question[string]{Prompt: transformPrompt(prompts, `{"text": "House number `+strconv.Itoa(i)+` stands in Ghent"}`), Shared: len(prompts)}
	}
	return llm.Requests("x", llm.Params{Model: teacher.DemoModel, MaxTokens: 500, System: "s", Schema: `{"type":"object"}`}, n, question)
}

func TestBatchesKeepThePromisesOfTheirPort(t *testing.T) {
	for name, open := range adapters {
		t.Run(name, func(t *testing.T) {
			porttest.Batcher(t, func(t *testing.T) porttest.BatcherWorld {
				return porttest.BatcherWorld{Batcher: open(t, serve(t, teacher.Config{})), Requests: rows(3), Named: name == "openai"}
			})
		})
	}
}

// submit submits rows in a batch and gives what comes of them by status, and how the batch stands.
func submit(t *testing.T, b llm.Batcher, n int) (answered int, reasons map[string]int, state llm.BatchState) {
	t.Helper()
	id, err := b.Submit(t.Context(), "n", rows(n))
	if err != nil {
		t.Fatal(err)
	}
	if state, err = b.Look(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	reasons = map[string]int{}
	for r, err := range b.Results(t.Context(), id) {
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Answer != nil:
			answered++
		default:
			reasons[r.Reason]++
		}
	}
	return answered, reasons, state
}

func TestRequestsOfABatchExpireOrFail(t *testing.T) {
	for name, open := range adapters {
		c := serve(t, teacher.Config{Faults: teacher.Faults{BatchFaults: teacher.BatchFaults{Expired: 0.2, Errored: 0.3}}})
		answered, reasons, state := submit(t, open(t, c), 200)
		if len(reasons) != 2 || answered < 70 || answered > 130 || !state.Ended {
			t.Errorf("%s: %d answered, %v, %+v", name, answered, reasons, state)
		}
		if s := c.stats(); s.Batches != 1 || s.Batched != answered || s.Answered != answered || s.Distinct != answered {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestBatchesFailAsAWhole(t *testing.T) {
	for name, open := range adapters {
		b := open(t, serve(t, teacher.Config{Faults: teacher.Faults{BatchFaults: teacher.BatchFaults{Failed: 1}}}))
		answered, _, state := submit(t, b, 3)
		if answered != 0 || !state.Ended || (state.Failure != "") != (name == "openai") {
			t.Errorf("%s: %d answered, %+v", name, answered, state)
		}
		if answered, _, _ := submit(t, b, 3); answered != 3 {
			t.Errorf("%s: the next one answers %d", name, answered)
		}
	}
	full := adapters["openai"](t, serve(t, teacher.Config{Faults: teacher.Faults{BatchFaults: teacher.BatchFaults{Full: 1}}}))
	if _, _, state := submit(t, full, 3); !state.Full {
		t.Errorf("a full queue: %+v", state)
	}
}

func TestABatchTakesItsTimeAndCanBeCanceled(t *testing.T) {
	for name, open := range adapters {
		c := serve(t, teacher.Config{Faults: teacher.Faults{BatchFaults: teacher.BatchFaults{LatencyMS: 3_600_000, Done: 0.5}}})
		b := open(t, c)
		id, err := b.Submit(t.Context(), "n", rows(100))
		if err != nil {
			t.Fatal(err)
		}
		if state, err := b.Look(t.Context(), id); err != nil || state.Ended {
			t.Errorf("%s: it has ended: %+v, %v", name, state, err)
		}
		if err := b.CancelBatch(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		answered := 0
		for r, err := range b.Results(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Answer != nil {
				answered++
			}
		}
		if s := c.stats(); answered < 30 || answered > 70 || s.Canceled != 1 || s.Batched != answered {
			t.Errorf("%s: %d answered, %+v", name, answered, s)
		}
	}
}

func TestABatchWhoseReplyIsLostIsFoundAndNotMadeTwice(t *testing.T) {
	for name, open := range adapters {
		for fault, made := range map[string]int{"cut": 1, "lost": 1} {
			f := teacher.BatchFaults{Cut: 1}
			if fault == "lost" {
				f = teacher.BatchFaults{Lost: 1}
			}
			c := serve(t, teacher.Config{Faults: teacher.Faults{BatchFaults: f}})
			now := time.Now()
			batches := &llm.Batches{Store: llm.NewStore(mem.NewObjects()), Now: func() time.Time { return now }}
			b, requests := open(t, c), rows(20)
			begun, err := batches.Begin(t.Context(), b, requests, llm.Charge{Build: "t/b", Account: "t/b/0"})
			if err != nil || len(begun.Tickets) != 1 {
				t.Fatal(begun, err)
			}
			ended := false
			for range 4 {
				now = now.Add(time.Minute)
				if ended, err = batches.Advance(t.Context(), b, begun.Tickets[0]); err != nil || ended {
					break
				}
			}
			for !ended && err == nil {
				now = now.Add(time.Minute)
				ended, err = batches.Advance(t.Context(), b, begun.Tickets[0])
			}
			if s := c.stats(); err != nil || s.Batches != made || s.Batched != 20 || s.Repeated != 0 {
				t.Errorf("%s, %s: %+v, %v", name, fault, s, err)
			}
		}
	}
}

func TestAQuestionAskedAloneAndInABatchIsOneRequest(t *testing.T) {
	for name, open := range adapters {
		c := serve(t, teacher.Config{})
		b := open(t, c)
		if _, err := b.Ask(t.Context(), rows(1)[0]); err != nil {
			t.Fatal(err)
		}
		if answered, _, _ := submit(t, b, 1); answered != 1 {
			t.Fatal("no answer")
		}
		if s := c.stats(); s.Distinct != 1 || s.Repeated != 1 || s.Answered != 2 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestARequestThatTheTeacherRefusesIsRefusedInABatchToo(t *testing.T) {
	for name, open := range adapters {
		b := open(t, serve(t, teacher.Config{}))
		wrong := rows(2)
		wrong[1].Model = "another"
		_, err := b.Ask(t.Context(), wrong[1])
		if rebased.KindOf(err) != rebased.NotFound {
			t.Errorf("%s alone: %v", name, err)
		}
		id, err := b.Submit(t.Context(), "n", wrong)
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range b.Results(t.Context(), lookedAt(t, b, id)) {
			if err != nil || (r.Answer == nil) != (r.Key == wrong[1].Key()) {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
	}
}

func lookedAt(t *testing.T, b llm.Batcher, id string) string {
	t.Helper()
	if _, err := b.Look(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestBatchesWantTheKey(t *testing.T) {
	for name, open := range adapters {
		c := serve(t, teacher.Config{})
		c.key = "wrong"
		b := open(t, c)
		_, submitted := b.Submit(t.Context(), "n", rows(1))
		_, looked := b.Look(t.Context(), "batch_000001")
		for _, err := range []error{submitted, looked} {
			if rebased.KindOf(err) != rebased.Unauthorized {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAResetForgetsBatches(t *testing.T) {
	for name, open := range adapters {
		c := serve(t, teacher.Config{})
		b := open(t, c)
		id, err := b.Submit(t.Context(), "n", rows(2))
		if err != nil {
			t.Fatal(err)
		}
		c.must("POST", "/stats/reset", nil)
		if _, err := b.Look(t.Context(), id); rebased.KindOf(err) != rebased.NotFound {
			t.Errorf("%s: %v", name, err)
		}
		if next, err := b.Submit(t.Context(), "n", rows(2)); err != nil || next == id {
			t.Errorf("%s: the next one is %s too, %v", name, next, err)
		}
	}
}

func TestFaultsOfBatchesAreBounded(t *testing.T) {
	for _, f := range []teacher.BatchFaults{{LatencyMS: -1}, {Expired: 1.1}, {Expired: 0.6, Errored: 0.6}, {Done: -1}, {Cut: -1}} {
		if _, err := teacher.New(teacher.Config{APIKey: key, Faults: teacher.Faults{BatchFaults: f}}); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}
