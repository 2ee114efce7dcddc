package porttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rebased/rebased/activities/llm"
)

// Teacher holds the promises of llm.Teacher that every teacher keeps when nothing fails; what vendors say when something does differs, and
// stands in the adapters' own tests. open gives a teacher that answers equal prompts equally and other prompts otherwise.
func Teacher(t *testing.T, open func(t *testing.T) llm.Teacher) {
	request := func(i int) llm.Request {
		prompt := fmt.Sprintf("## Task\nSay it.\n\n## Row\n{\"q\": \"row %d\"}", i)
		return llm.Request{Model: "model", System: "system", Prompt: prompt, Temperature: 0.5, MaxTokens: 100}
	}
	t.Run("EndpointStaysTheSame", func(t *testing.T) {
		teacher := open(t)
		if first := teacher.Endpoint(); first == "" || first != teacher.Endpoint() {
			t.Errorf("endpoints are %q and %q, want one that is equal", first, teacher.Endpoint())
		}
	})
	t.Run("AnAnswerHasTextModelFinishAndTokens", func(t *testing.T) {
		got, err := open(t).Ask(t.Context(), request(0))
		if err != nil || got.Text == "" || got.Model == "" || got.Finish != llm.FinishStop || got.Usage.InputTokens < 1 || got.Usage.OutputTokens < 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("SeveralGoroutinesGetTheirOwnAnswers", func(t *testing.T) {
		teacher := open(t)
		texts := make([]string, racers)
		var all sync.WaitGroup
		for i := range racers {
			all.Go(func() {
				answer, err := teacher.Ask(t.Context(), request(i))
				if err != nil {
					t.Error(err)
				}
				texts[i] = answer.Text
			})
		}
		all.Wait()
		seen := map[string]bool{}
		for i, text := range texts {
			alone, err := teacher.Ask(t.Context(), request(i))
			if err != nil || alone.Text != text || seen[text] {
				t.Errorf("request %d: got %q among others, %q alone, %v", i, text, alone.Text, err)
			}
			seen[text] = true
		}
	})
	t.Run("ACanceledContextIsAnError", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := open(t).Ask(ctx, request(0)); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want the context's", err)
		}
	})
}
