package transform

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

func TestAnExampleIsHeldToEachConstraint(t *testing.T) {
	type c = rebased.Constraints
	for name, test := range map[string]struct {
		c             c
		input, output string
		breaks        string // "" = it is kept
	}{
		"label":                  {c{Labels: []string{"(A)", "(B)"}}, "x", "(B)", ""},
		"label of a thought":     {c{Labels: []string{"yes", "no"}}, "x", "It is so. The answer is yes.", ""},
		"other spelling":         {c{Labels: []string{"yes", "no"}}, "x", "Yes", `its answer "Yes" is none of "yes", "no"`},
		"options run together":   {c{Labels: []string{"(A)", "(B)"}}, "x", "(A)(B)", `none of "(A)", "(B)"`},
		"span":                   {c{Span: true}, "The  Oder\nflows.", "The Oder flows", ""},
		"no span":                {c{Span: true}, "The Oder flows.", "Vistula", `"Vistula" does not stand in its input`},
		"pattern":                {c{Pattern: `\d+|none`}, "x", "12", ""},
		"pattern, a part of it":  {c{Pattern: `\d+|none`}, "x", "12 or so", `does not match \d+|none`},
		"long enough":            {c{MinChars: 2, MaxChars: 2}, "x", "äö", ""},
		"too short":              {c{MinChars: 3}, "x", "äö", "has 2 characters, at least 3"},
		"too long":               {c{MaxChars: 1}, "x", "äö", "has 2 characters, at most 1"},
		"json":                   {c{Format: "json"}, "x", ` {"a": [1]} `, ""},
		"two documents":          {c{Format: "json"}, "x", `{} {}`, "not one JSON document"},
		"no json":                {c{Format: "json"}, "x", `{"a": }`, "not one JSON document"},
		"schema":                 {c{Format: "json", Schema: `{"type": "object", "required": ["a"]}`}, "x", `{"a": 1}`, ""},
		"against the schema":     {c{Format: "json", Schema: `{"type": "object", "required": ["a"]}`}, "x", `{"b": 1}`, "does not keep to the schema"},
		"go, a file":             {c{Format: "go"}, "x", "package a\n\nfunc f() {}", ""},
		"go, a declaration":      {c{Format: "go"}, "x", "func f() int { return 1 }", ""},
		"go, statements":         {c{Format: "go"}, "x", "x := 1\nfmt.Println(x)", ""},
		"no go":                  {c{Format: "go"}, "x", "def f(): pass", "is not Go"},
		"everything at one time": {c{Span: true, Labels: []string{"12"}, Pattern: "1.", Format: "json", MinChars: 2, MaxChars: 2}, "at 12", "12", ""},
	} {
		checker, err := newChecker(test.c)
		if err != nil {
			t.Fatal(name, err)
		}
		problem := checker.check(example{test.input, test.output})
		switch {
		case (problem == nil) != (test.breaks == ""):
			t.Errorf("%s: %+v", name, problem)
		case problem != nil && (problem.Reason != rebased.ReasonConstraint || !strings.Contains(problem.Detail, test.breaks) || strings.Contains(problem.Detail, "\n")):
			t.Errorf("%s: %+v, want %q", name, problem, test.breaks)
		}
	}
}

func TestASchemaThatCannotBeHeldToIsRefused(t *testing.T) {
	for _, schema := range []string{"{", `{"type": "thing"}`, `{"$ref": "file:///etc/passwd"}`, `{"$ref": "http://127.0.0.1/x"}`} {
		task := rebased.DefaultTask()
		task.Transform.Constraints = rebased.Constraints{Format: "json", Schema: schema}
		if err := Check(task); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "transform.constraints.schema") {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

func TestATaskWhoseOwnExampleBreaksAConstraintIsRefused(t *testing.T) {
	task := rebased.DefaultTask()
	task.Examples = []rebased.TaskExample{{Input: "a b", Output: "a"}, {Input: "a b", Output: "c"}}
	task.Transform.Constraints.Span = true
	if err := Check(task); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "examples[1]") {
		t.Errorf("%v", err)
	}
}

// careless breaks a constraint until it has been told of it so often.
type careless struct {
	needs int
	mu    sync.Mutex
	told  []string
}

func (*careless) Endpoint() string { return "http://teacher.invalid/v1" }

func (c *careless) Ask(_ context.Context, r llm.Request) (llm.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, r.Prompt)
	output := "maybe"
	if r.Ask >= c.needs {
		output = "yes"
	}
	return llm.Answer{Text: `{"input": "is it?", "output": "` + output + `"}`, Finish: llm.FinishStop}, nil
}

func TestABrokenConstraintIsNamedInTheNextAskAndInTheReject(t *testing.T) {
	task := rebased.DefaultTask()
	task.Transform.Constraints.Labels = []string{"yes", "no"}
	for needs, kept := range []int{1, 1, 1, 0} {
		teacher := &careless{needs: needs}
		candidates := []rebased.Candidate{{Row: rebased.Row{ID: "row", Cells: []rebased.Cell{{Column: "a", Text: "b"}}}}}
		charge := llm.Charge{Share: llm.Share{InFlight: 1, Capped: true}}
		got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, task, candidates, charge, func(int) {})
		if err != nil || len(got.Examples) != kept || len(got.Rejects) != 1-kept {
			t.Fatalf("%+v, %v", got, err)
		}
		if !strings.Contains(teacher.told[0], "## Constraints\n- The answer is one of \"yes\", \"no\".\n") {
			t.Errorf("the teacher is not told beforehand: %s", teacher.told[0])
		}
		for _, prompt := range teacher.told[1:] {
			if !strings.Contains(prompt, `could not be used: its answer "maybe" is none of "yes", "no"`) {
				t.Errorf("the constraint is not named: %s", prompt)
			}
		}
		for _, r := range got.Rejects {
			if r.Reason != rebased.ReasonConstraint || r.Detail != `its answer "maybe" is none of "yes", "no"` || r.Attempts != 3 {
				t.Errorf("%+v", r)
			}
		}
	}
}

func FuzzConstraints(f *testing.F) {
	f.Add("the answer is x", "x", `{"type": "string"}`)
	f.Add("", "} func f() {", "{")
	f.Fuzz(func(t *testing.T, input, output, schema string) {
		for _, c := range []rebased.Constraints{{Span: true}, {Format: "json", Schema: schema}, {Format: "go"}, {Labels: []string{input}, MaxChars: 5}} {
			checker, err := newChecker(c)
			if err != nil {
				continue
			}
			if p := checker.check(example{input, output}); p != nil && (len(p.Detail) > 500 || strings.Contains(p.Detail, "\n")) {
				t.Errorf("%q", p.Detail)
			}
		}
	})
}
