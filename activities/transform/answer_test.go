package transform

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

func TestAnExampleIsFoundInWhatATeacherSays(t *testing.T) {
	for name, c := range map[string]struct{ text, input, output string }{
		"plain":                 {`{"input": "a", "output": "b"}`, "a", "b"},
		"fenced":                {"```json\n{\"input\": \"a\", \"output\": \"b\"}\n```", "a", "b"},
		"preamble":              {`Here it is: {"input": "a", "output": "b"}`, "a", "b"},
		"preamble with a brace": {`In the form {input}: {"input": "a", "output": "b"}`, "a", "b"},
		"preamble with JSON":    {`{"thought": "easy"} {"input": "a", "output": "b"}`, "a", "b"},
		"trailing text":         {`{"input": "a", "output": "b"} I hope that {this} helps.`, "a", "b"},
		"two examples":          {`{"input": "a", "output": "b"} {"input": "c", "output": "d"}`, "a", "b"},
		"list of examples":      {`[{"input": "a", "output": "b"}]`, "a", "b"},
		"inside an object":      {`{"example": {"input": "a", "output": "b"}}`, "a", "b"},
		"more fields":           {`{"note": {"x": [1]}, "output": "b", "input": "a"}`, "a", "b"},
		"number":                {`{"input": "2*3?", "output": 6}`, "2*3?", "6"},
		"number as written":     {`{"input": 12345678901234567890, "output": 1.50}`, "12345678901234567890", "1.50"},
		"boolean":               {`{"input": "true?", "output": false}`, "true?", "false"},
		"white space around":    {`{"input": " a\n", "output": "\tb "}`, "a", "b"},
		"HTML":                  {`{"input": "<b>&amp;</b>", "output": "\u003ci\u003e"}`, "<b>&amp;</b>", "<i>"},
		"escapes":               {`{"input": "\"{\\", "output": "\u0412\u0438сла\n🙂"}`, `"{\`, "Висла\n🙂"},
		"single quotes":         {`{'input': 'a', 'output': 'b'}`, "a", "b"},
		"apostrophe":            {`{'input': 'Who's there, "Jo"?', 'output': 'It\'s me'}`, `Who's there, "Jo"?`, "It's me"},
		"mixed quotes":          {`{"input": 'a', 'output': "b"}`, "a", "b"},
		"bare keys":             {`{input: "a", output: "b"}`, "a", "b"},
		"comma at the end":      {`{"input": "a", "output": "b",}`, "a", "b"},
		"line breaks":           {"{\n  \"input\": \"a\nb\",\n  \"output\": \"c\td\"\n}", "a\nb", "c\td"},
		"quotes in the text":    {`{"input": "Who said "yes", and why?", "output": "Ann "A" Lee"}`, `Who said "yes", and why?`, `Ann "A" Lee`},
		"backslashes":           {`{"input": "\pi is \(x\)", "output": '\u00e9 \ud83d\ude42 \n!'}`, `\pi is \(x\)`, "é 🙂 \n!"},
		"Python's words":        {`{'input': 'a', 'output': True}`, "a", "true"},
		"fenced Python":         {"```python\n{'input': 'a', 'output': 'b'}\n```", "a", "b"},
		"more of Python":        {`{'note': {'x': [1]}, 'input': 'a', 'output': 7}`, "a", "7"},
		"braces in the text":    {`{"input": "f() { return }", "output": "}{"}`, "f() { return }", "}{"},
	} {
		got, problem := parse(llm.Answer{Text: c.text})
		if problem != nil || got != (example{c.input, c.output}) {
			t.Errorf("%s: got %+v, %+v", name, got, problem)
		}
	}
}

func TestWhatCannotBeUsedSaysWhy(t *testing.T) {
	const noObject, unusable, empty = "no JSON object", "missing or no text", "empty"
	for name, c := range map[string]struct {
		text   string
		reason rebased.Reason
		says   string
	}{
		"nothing":            {"", rebased.ReasonUnusable, noObject},
		"prose":              {"I cannot do that.", rebased.ReasonUnusable, noObject},
		"other object":       {`{"question": "a", "answer": "b"}`, rebased.ReasonUnusable, noObject},
		"other case":         {`{"Input": "a", "Output": "b"}`, rebased.ReasonUnusable, noObject},
		"cut":                {`{"input": "a", "output": "b`, rebased.ReasonUnusable, noObject},
		"cut after a text":   {`{'input': 'a', 'output': 'b'`, rebased.ReasonUnusable, noObject},
		"cut in Python":      {`{'input': 'a', 'output': 'b`, rebased.ReasonUnusable, noObject},
		"cut behind a comma": {"{\"input\": \"a\nb\",", rebased.ReasonUnusable, noObject},
		"list in Python":     {`{'input': 'a', 'output': ['b', 'c']}`, rebased.ReasonUnusable, "output is " + unusable},
		"nothing in Python":  {`{'input': 'a', 'output': None}`, rebased.ReasonUnusable, "output is " + unusable},
		"texts without keys": {`["a", "b"]`, rebased.ReasonUnusable, noObject},
		"no output":          {`{"input": "a"}`, rebased.ReasonUnusable, "output is " + unusable},
		"no input":           {`{"output": "b"}`, rebased.ReasonUnusable, "input is " + unusable},
		"null":               {`{"input": "a", "output": null}`, rebased.ReasonUnusable, "output is " + unusable},
		"nested":             {`{"input": {"q": "a"}, "output": "b"}`, rebased.ReasonUnusable, "input is " + unusable},
		"list":               {`{"input": "a", "output": ["b", "c"]}`, rebased.ReasonUnusable, "output is " + unusable},
		"empty input":        {`{"input": "", "output": "b"}`, rebased.ReasonEmpty, "input is " + empty},
		"blank output":       {`{"input": "a", "output": " \n"}`, rebased.ReasonEmpty, "output is " + empty},
		"wrong in two ways":  {`{"input": "", "output": null}`, rebased.ReasonEmpty, "input is " + empty},
		"empty twice":        {`{"input": "", "output": ""}`, rebased.ReasonEmpty, "input is " + empty},
		"many braces":        {strings.Repeat("{", 100_000) + `"input": "a"`, rebased.ReasonUnusable, noObject},
	} {
		for range 20 { // the reason goes into the next ask and its key: it may not change from run to run
			got, problem := parse(llm.Answer{Text: c.text})
			if problem == nil || problem.Reason != c.reason || !strings.Contains(problem.Detail, c.says) || got != (example{}) {
				t.Fatalf("%s: got %+v, %+v; want %s saying %q", name, got, problem, c.reason, c.says)
			}
		}
	}
}

func FuzzAnAnswerGivesAWholeExampleOrOneProblem(f *testing.F) {
	for _, seed := range []string{
		"", "{", `{"input": "a", "output": " b"}`, `{"input": 1, "output": [`, "```{\"input\":\"\\ud800\",\"output\":\"\xff\"}", `{{{"output":true}}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, problem := parse(llm.Answer{Text: text})
		whole := got.input != "" && got.output != "" && got.input == strings.TrimSpace(got.input) && got.output == strings.TrimSpace(got.output)
		if (problem == nil) != whole || (problem != nil) != (got == example{}) {
			t.Errorf("%q: got %+v, %+v", text, got, problem)
		}
	})
}

// Whatever a teacher says is read in time, and what is JSON is read as JSON says.
func FuzzAnswers(f *testing.F) {
	for _, text := range []string{`{"input": "a", "output": "b"}`, `{'input': 'it's', 'output': "b\u00e9",}`, "{input: 'a\n', output: {x: [\"]\"]}", `{"input": "\`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, problem := parse(llm.Answer{Text: text})
		var want struct{ Input, Output *string }
		if json.Unmarshal([]byte(text), &want) != nil || want.Input == nil || want.Output == nil || strings.Count(text, `"`) != 8 || !utf8.ValidString(text) {
			return
		}
		in, out := strings.TrimSpace(*want.Input), strings.TrimSpace(*want.Output)
		if in == "" || out == "" || !strings.Contains(text, `"input"`) || !strings.Contains(text, `"output"`) {
			return
		}
		if problem != nil || got != (example{in, out}) {
			t.Errorf("%q: got %+v, %+v", text, got, problem)
		}
	})
}
