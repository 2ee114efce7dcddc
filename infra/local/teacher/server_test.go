package teacher_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/local/teacher"
)

const warsaw = `{"title": "Warsaw", "context": "Warsaw is the capital of Poland. It stands on the Vistula.", "question": "Which river?", "answers.text": "Vistula", "id": "17"}`

// example reads an answer to a transform prompt.
func example(t *testing.T, r reply) (input, output string) {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.raw)
	}
	var e struct{ Input, Output *string }
	if err := json.Unmarshal([]byte(r.content()), &e); err != nil || e.Input == nil || e.Output == nil {
		t.Fatalf("got the content %q, want JSON with input and output", r.content())
	}
	return *e.Input, *e.Output
}

func TestARowTakesTheFormOfTheFirstExample(t *testing.T) {
	c := serve(t, teacher.Config{})
	for name, p := range map[string]struct{ prompt, input, output string }{
		"question and context": {
			transformPrompt(squad, warsaw),
			"Question: Which river? Context: Warsaw is the capital of Poland. It stands on the Vistula.", "Vistula",
		},
		"no question in the row": {
			transformPrompt(squad, `{"text": "Bern is the capital of Switzerland.", "n": "3"}`),
			"Question: What is named in the text that begins with “Bern is the capital of”? Context: Bern is the capital of Switzerland.", "Switzerland",
		},
		"one text": {
			transformPrompt(head("A text.", "Its name"), warsaw),
			"Warsaw is the capital of Poland. It stands on the Vistula. Which river?", "Vistula",
		},
		"no examples": {transformPrompt(head(), `{"a": "only words here"}`), "only words here", "only words here"},
		"after a re-ask": {
			"An earlier answer could not be used.\n\n" + transformPrompt(squad, warsaw) + "\n",
			"Question: Which river? Context: Warsaw is the capital of Poland. It stands on the Vistula.", "Vistula",
		},
		"nothing to say": {transformPrompt(squad, `{"n": "3", "m": ""}`), "", ""},
	} {
		input, output := example(t, c.ask(asking(p.prompt)))
		if input != p.input || output != p.output {
			t.Errorf("%s:\ngot  %q -> %q\nwant %q -> %q", name, input, output, p.input, p.output)
		}
	}
}

func TestLabelsOfTheExamplesAreTheAnswers(t *testing.T) {
	c := serve(t, teacher.Config{})
	seen := map[string]int{}
	for i := range 40 {
		_, output := example(t, c.ask(asking(transformPrompt(labels, fmt.Sprintf(`{"text": "row number %d"}`, i)))))
		reasoning, answer, _ := strings.Cut(output, " The answer is ")
		if reasoning == "" {
			t.Fatalf("got %q, want reasoning as in the example", output)
		}
		seen[answer]++
	}
	if len(seen) != 2 || seen["True."] < 10 || seen["False."] < 10 {
		t.Fatalf("answers %v, want both labels about as often", seen)
	}
}

func TestAReasonPromptIsAnsweredInSteps(t *testing.T) {
	c := serve(t, teacher.Config{})
	for output, want := range map[string]string{
		"Vistula": "The answer is Vistula.", "It is wet. The answer is (B).": "The answer is (B).", "## Row\n{}": "The answer is ## Row\n{}.",
	} {
		got := c.ask(asking(reasonPrompt(squad, "## Row\nWhich river?", output))).content()
		if !strings.HasSuffix(got, " "+want) || strings.Count(got, "The answer is") != 1 {
			t.Errorf("got %q, want it to end with %q", got, want)
		}
	}
}

func TestAnAnswerDependsOnThePromptAlone(t *testing.T) {
	first, second := serve(t, teacher.Config{}), serve(t, teacher.Config{})
	var prompts []string
	for i := range 20 {
		prompts = append(prompts, transformPrompt(squad, fmt.Sprintf(`{"text": "Paris, Berlin %d and Rome are cities."}`, i)))
	}
	answers := map[string]string{}
	for _, p := range prompts {
		answers[p] = string(first.ask(asking(p)).raw)
	}
	for p := range answers { // in another order, on another server
		if got := string(second.ask(asking(p)).raw); got != answers[p] {
			t.Fatalf("got %s, then %s", answers[p], got)
		}
	}
}

func TestAnAnswerHasTheShapeOfTheProtocol(t *testing.T) {
	c := serve(t, teacher.Config{})
	r := c.ask(asking(transformPrompt(squad, warsaw)))
	size := len("You are a teacher.") + len(transformPrompt(squad, warsaw))
	if r.Model != "rebased-demo-teacher" || r.Object != "chat.completion" || !strings.HasPrefix(r.ID, "chatcmpl-") ||
		r.Choices[0].Message.Role != "assistant" || r.Choices[0].FinishReason != "stop" {
		t.Errorf("got %s", r.raw)
	}
	if u := r.Usage; u.Prompt != (size+3)/4 || u.Completion != (len(r.content())+3)/4 || u.Total != u.Prompt+u.Completion {
		t.Errorf("got the usage %+v for %d and %d bytes", r.Usage, size, len(r.content()))
	}
	models := c.must("GET", "/v1/models", nil)
	if len(models.Data) != 1 || models.Data[0].ID != "rebased-demo-teacher" {
		t.Errorf("models: %s", models.raw)
	}
}

func TestAnAnswerIsCutAtMaxTokens(t *testing.T) {
	c := serve(t, teacher.Config{})
	in := asking(transformPrompt(squad, `{"text": "ééééééééééééééééééééé"}`))
	in.MaxTokens = 30
	r := c.ask(in)
	if r.Choices[0].FinishReason != "length" || len(r.content()) > 120 || len(r.content()) < 117 || strings.Contains(r.content(), "\ufffd") {
		t.Errorf("got %q and %s", r.content(), r.Choices[0].FinishReason)
	}
}

func TestContentMayComeInParts(t *testing.T) {
	c := serve(t, teacher.Config{})
	prompt := transformPrompt(squad, warsaw)
	in := asking("")
	in.Messages[1].Content = []map[string]string{{"type": "text", "text": prompt[:50]}, {"type": "text", "text": prompt[50:]}}
	if got, want := c.ask(in).content(), c.ask(asking(prompt)).content(); got != want || got == "" {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatTheTeacherDoesNotDoIsRefused(t *testing.T) {
	c := serve(t, teacher.Config{})
	valid := asking(transformPrompt(squad, warsaw))
	with := func(change func(*request)) request {
		r := valid
		change(&r)
		return r
	}
	for name, p := range map[string]struct {
		body   any
		status int
		says   string
	}{
		"stream":             {with(func(r *request) { r.Stream = true }), 400, "stream is not supported"},
		"two choices":        {with(func(r *request) { r.N = 2 }), 400, "n must be 1"},
		"another model":      {with(func(r *request) { r.Model = "gpt-4" }), 404, `no model "gpt-4" here`},
		"no request":         {[]int{1}, 400, "no chat completion"},
		"no sections":        {asking("Hello!"), 400, "neither a transform nor a reason prompt"},
		"no messages":        {request{Model: teacher.DemoModel}, 400, "neither a transform nor a reason prompt"},
		"output alone":       {asking("## Output\n\"a\""), 400, "neither a transform nor a reason prompt"},
		"input that is none": {asking("## Input\nx\n## Output\n\"a\""), 400, "neither a transform nor a reason prompt"},
		"row that is none":   {asking(transformPrompt(squad, "a row")), 400, "the row is no JSON object"},
		"row cut":            {asking(transformPrompt(squad, `{"a": "b"`)), 400, "the row is no JSON object"},
		"row of numbers":     {asking(transformPrompt(squad, `{"a": 1}`)), 400, "the row's column a is no text"},
		"picture": {
			with(func(r *request) { r.Messages = []message{{"user", []map[string]string{{"type": "image_url"}}}} }), 400, "reads text only",
		},
		"too large": {asking(strings.Repeat("x", 5<<20)), 413, "too large"},
	} {
		r := c.must("POST", "/v1/chat/completions", p.body)
		if r.status != p.status || r.Error.Type != "invalid_request_error" || !strings.Contains(r.Error.Message, p.says) {
			t.Errorf("%s: got %d %s, want %d saying %q", name, r.status, r.raw, p.status, p.says)
		}
	}
	if r := c.must("GET", "/v1/embeddings", nil); r.status != 404 || r.Error.Code != "unknown_url" {
		t.Errorf("unknown path: got %d %s", r.status, r.raw)
	}
}

func TestTheKeyIsChecked(t *testing.T) {
	c := serve(t, teacher.Config{AllowFaults: true})
	for _, wrong := range []string{"", "other", key + "x"} {
		c.key = wrong
		for _, path := range []string{"POST /v1/chat/completions", "GET /v1/models", "GET /stats", "POST /stats/reset", "POST /faults"} {
			method, path, _ := strings.Cut(path, " ")
			if r := c.must(method, path, nil); r.status != 401 || r.Error.Code != "invalid_api_key" || strings.Contains(string(r.raw), key) {
				t.Errorf("%s %s with the key %q: got %d %s", method, path, wrong, r.status, r.raw)
			}
		}
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	for want, c := range map[string]teacher.Config{
		"APIKey is required":           {},
		"Latency must not be negative": {APIKey: key, Latency: -time.Second},
		"failed must be between":       {APIKey: key, Faults: teacher.Faults{Failed: 2}},
		"add up to at most 1":          {APIKey: key, Faults: teacher.Faults{Failed: 0.6, Cut: 0.6}},
		"must not be negative":         {APIKey: key, Faults: teacher.Faults{Count: -1}},
		"no such file":                 {APIKey: key, Replay: "none.jsonl"},
		"replay.jsonl:2: ":             {APIKey: key, Replay: writeFile(t, "{\"input\": \"a\", \"output\": \"b\"}\n{\n")},
		`needs "input" and "output"`:   {APIKey: key, Replay: writeFile(t, `{"input": "a"}`)},
		"no line in it":                {APIKey: key, Replay: writeFile(t, "\n")},
	} {
		if _, err := teacher.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}
