package transform

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

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
		"bash":                   {c{Format: "bash"}, "x", "for f in *.c; do gcc \"$f\" -o \"${f%.c}\" || exit 1; done", ""},
		"no bash":                {c{Format: "bash"}, "x", "for f in *; do echo $f", "is not Bash"},
		"yaml":                   {c{Format: "yaml"}, "x", "a: [1, 2]\nb:\n  - c", ""},
		"no yaml":                {c{Format: "yaml"}, "x", "a: [1, 2", "is not YAML"},
		"prose is no yaml":       {c{Format: "yaml"}, "x", "Here it is", "is not YAML: it is a lone text"},
		"xml":                    {c{Format: "xml"}, "x", "<?xml version=\"1.0\"?>\n<a b=\"c\"><d/>e</a>\n", ""},
		"no xml":                 {c{Format: "xml"}, "x", "<a><b></a>", "is not XML"},
		"two elements":           {c{Format: "xml"}, "x", "<a/><b/>", "is not XML: it has 2 root elements"},
		"prose around xml":       {c{Format: "xml"}, "x", "Here: <a/>", "is not XML: text stands outside"},
		"csv":                    {c{Format: "csv"}, "x", "a,b\n1,\"2, 3\"\n", ""},
		"no csv":                 {c{Format: "csv"}, "x", "a,b\n1,2,3", "is not CSV"},
		"prose is no csv":        {c{Format: "csv"}, "x", "Here it is.", "is not CSV: its records have one field"},
		"re2":                    {c{Format: "re2"}, "x", `^(?P<year>\d{4})-\d\d$`, ""},
		"no re2":                 {c{Format: "re2"}, "x", `a(?=b)`, "is not a regular expression of RE2"},
		"too long to be parsed":  {c{Format: "bash"}, "x", strings.Repeat("a", 50_001), "at most 50000 can be checked"},
		"too deep to be parsed":  {c{Format: "yaml"}, "x", strings.Repeat("[", 201), "more than 200 brackets are open"},
		"language":               {c{Language: "de"}, "x", "Die Donau fließt durch zehn Länder und mündet in das Schwarze Meer.", ""},
		"other language":         {c{Language: "de"}, "x", "The Danube flows through ten countries and ends in the Black Sea.", "is in English, not in German"},
		"other script":           {c{Language: "en"}, "x", "Дунай протекает через десять стран и впадает в Чёрное море.", "is in Russian, not in English"},
		"too short to be told":   {c{Language: "de"}, "x", "The Danube", ""},
		"Persian has a code":     {c{Language: "fa"}, "x", "رود دانوب از ده کشور اروپایی می گذرد و سرانجام به دریای سیاه می ریزد و طولانی است", ""},
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
	f.Add("a", strings.Repeat("{(", 200)+"$((<<EOF", `{"enum": [1]}`)
	f.Add("a", "a: &a [*a, {b: !!c |\n d}]\n---\n? x", `{"$ref": "#"}`)
	f.Add("a", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "true")
	f.Add("a", "\"a\",b\n\"c\"d,", `{"pattern": "(a+)+$"}`)
	f.Add("a", "(?i)((((x{1000}){1000})*)+)[[:alpha:]-\\x{10FFFF}", "1")
	f.Fuzz(func(t *testing.T, input, output, schema string) {
		all := []rebased.Constraints{{Span: true}, {Format: "json", Schema: schema}, {Labels: []string{input}, MaxChars: 5}, {Language: "en"}}
		for _, format := range rebased.Syntaxes() {
			all = append(all, rebased.Constraints{Format: format})
		}
		for _, c := range all {
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

func TestEverySyntaxAndLanguageOfATaskCanBeChecked(t *testing.T) {
	names := grammars()
	for _, syntax := range rebased.Syntaxes() {
		if names[syntax].name == "" || names[syntax].parse == nil {
			t.Errorf("%s cannot be checked", syntax)
		}
	}
	if len(names) != len(rebased.Syntaxes()) {
		t.Errorf("%d grammars for %d syntaxes", len(names), len(rebased.Syntaxes()))
	}
	if got := slices.Sorted(maps.Keys(languageNames())); !slices.Equal(got, rebased.Languages()) {
		t.Errorf("languages that can be told: %q, that a task may name: %q", got, rebased.Languages())
	}
}

func TestTheTeacherIsToldSyntaxAndLanguage(t *testing.T) {
	lines := strings.Join(demands(rebased.Constraints{Format: "bash", Language: "fr"}), "\n")
	if !strings.Contains(lines, "The output is Bash and nothing else") || !strings.Contains(lines, "written in French") {
		t.Errorf("%s", lines)
	}
}

// TestTextsThatNestDeepDoNotEndTheProgram holds that the longest text of nothing but openings is parsed: a stack that runs over ends the worker.
func TestTextsThatNestDeepDoNotEndTheProgram(t *testing.T) {
	for _, open := range []string{"(", "{", "[", "((", "$(", "`", "<a>", "- ", "{a: ", "[a", "\"", "if a; then ", "((((1+", "a{", "?", "!", "${a:-", "func(){", "<<a\n"} {
		text := strings.Repeat(open, maxParsed/len(open))
		for name, g := range grammars() {
			if g.long {
				continue // these have bounds of their own
			}
			if err := g.check(text); err != nil && err.Error() == "" {
				t.Errorf("%s: %q", name, open)
			}
		}
	}
}

// TestLanguagesOfRealRows measures what the constraint does to real rows: how many of its own language it refuses, and how many it can tell.
func TestLanguagesOfRealRows(t *testing.T) {
	root := os.Getenv("REBASED_TEST_DATA")
	if root == "" {
		t.Skip("REBASED_TEST_DATA names no folder of real data")
	}
	texts := map[string][]string{}
	for _, language := range []string{"de", "en", "ja"} {
		texts[language] = append(texts[language], columnOf(t, filepath.Join(root, "hub/SetFit--amazon_counterfactual", language+".jsonl.gz"), "text")...)
	}
	texts["ru"] = columnOf(t, filepath.Join(root, "hub/RussianNLP--tape/winograd.raw.jsonl.gz"), "text")
	all, wrong, told := 0, 0, 0
	for language, of := range texts {
		for _, text := range of {
			if utf8.RuneCountInString(text) < 2*leastLetters {
				continue
			}
			all++
			switch found := languageOf(text); found {
			case "":
			case language:
				told++
			default:
				wrong++
			}
		}
	}
	t.Logf("of %d texts %d are taken for another language, %d are told", all, wrong, told)
	if all < 500 || float64(wrong) > 0.02*float64(all) || float64(told) < 0.75*float64(all) {
		t.Error("at most 2 % may be taken for another language, and 75 % are to be told")
	}
}

// columnOf reads a column of a compressed JSONL file.
func columnOf(t *testing.T, file, column string) (texts []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for rows := json.NewDecoder(unzipped); rows.More(); {
		var row map[string]any
		if err := rows.Decode(&row); err != nil {
			t.Fatal(err)
		}
		if text, ok := row[column].(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
