package rebased

import (
	"regexp"
	"strings"
	"testing"
)

func TestAnswersOfATypeAreComparedByWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		typ  AnswerType
		a, b string
		same bool
	}{
		{AnswerChoice, "(A)", "a", true},
		{AnswerChoice, "(B) Paris", "B.", true},
		{AnswerChoice, "Option C", "(c)", true},
		{AnswerChoice, "B: the second", "(B)", true},
		{AnswerChoice, "(A)", "(B)", false},
		{AnswerChoice, "a cat", "(A)", false},
		{AnswerNumber, "1,000", "1000.0", true},
		{AnswerNumber, "$3.50", "3.5", true},
		{AnswerNumber, "7 apples", "seven", true},
		{AnswerNumber, "-5", "5", false},
		{AnswerNumber, ".5", "5", false},
		{AnswerNumber, "1/2", "0.5", true},
		{AnswerNumber, "50%", "50", false},
		{AnswerNumber, "3 of 4", "3", false},
		{AnswerNumber, "1e400000000", "1", false},
		{AnswerBoolean, "Yes.", "true", true},
		{AnswerBoolean, "False", "no", true},
		{AnswerBoolean, "no", "yes", false},
		{AnswerSpan, "The Eiffel Tower", "Eiffel Tower,", true},
		{AnswerSpan, "St. Mary's", "st marys", true},
		{AnswerSpan, "the", "a", false},
		{AnswerFree, "January 5, 2020", "2020-01-05", true},
		{AnswerFree, "5 January 2020", "2020/01/05", true},
		{AnswerFree, "01/05/2020", "2020-01-05", false},
		{AnswerFree, "the Oder", "Oder", true},
		{AnswerFree, "2.50", "2.5", true},
		{AnswerFree, "agent 7", "agent 8", false},
		{AnswerFree, "agent 7", "7", false},
	} {
		form := AnswerForm{Type: c.typ}
		if got := form.Same(c.a, c.b); got != c.same {
			t.Errorf("%s: %q (%q) and %q (%q): same %v, want %v", c.typ, c.a, form.Normal(c.a), c.b, form.Normal(c.b), got, c.same)
		}
	}
}

func TestTheTypeOfAnswersIsInferredFromTheExamples(t *testing.T) {
	for _, c := range []struct {
		want    AnswerType
		targets [][2]string
	}{
		{AnswerBoolean, [][2]string{{"is it?", "Yes"}, {"is it?", "no."}}},
		{AnswerBoolean, [][2]string{{"not ( True ) is", "False"}}},
		{AnswerChoice, [][2]string{{"Which? (A) x (B) y", "(A)"}, {"Which?", "(B) y"}}},
		{AnswerNumber, [][2]string{{"2 + 2", "4"}, {"1 - 2", "So it is less. The answer is -1."}}},
		{AnswerSpan, [][2]string{{"The Oder flows into the sea.", "Oder"}, {"Ana came.", "Ana"}}},
		{AnswerFree, [][2]string{{"Oder", "Oder"}, {"say hi", "hello"}}},
		{AnswerFree, nil},
	} {
		task := DefaultTask()
		for _, e := range c.targets {
			task.Examples = append(task.Examples, TaskExample{Input: e[0], Output: e[1]})
		}
		if got := task.AnswerForm().Type; got != c.want {
			t.Errorf("%q: %q, want %q", c.targets, got, c.want)
		}
	}
}

func TestAPatternFindsTheLastAnswer(t *testing.T) {
	task := Task{Answer: AnswerSpec{Type: AnswerNumber, Pattern: `####\s*(\S+)`}}
	for text, want := range map[string]string{"2 #### 7\nno: #### 8": "8", "the answer is 8": "", "####  ": ""} {
		if got, found := task.AnswerForm().Find(text); got != want || found != (want != "") {
			t.Errorf("%q: %q, %v", text, got, found)
		}
	}
	task.Answer.Pattern = `\d+`
	if got, _ := task.AnswerForm().Find("1 2 3"); got != "3" {
		t.Errorf("without a group: %q", got)
	}
}

func FuzzAnswersAreComparedAlike(f *testing.F) {
	f.Add("(A) x", "a")
	f.Add("1,000", "1000")
	f.Add("the \xff", "\u00a0-.")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, typ := range AnswerTypes() {
			form := AnswerForm{Type: typ}
			if form.Same(a, b) != form.Same(b, a) || !form.Same(a, a) {
				t.Errorf("%s: %q and %q", typ, a, b)
			}
		}
	})
}

func TestThePreviewCanSayWhyAnAnswerTypeIsTheOne(t *testing.T) {
	task := DefaultTask()
	task.Examples = []TaskExample{{Input: "1 + 1", Output: "So it is. The answer is 2."}}
	if form := task.AnswerForm(); form.Type != AnswerNumber || form.Why != "every example's answer holds one number" {
		t.Errorf("inferred: %+v", form)
	}
	task.Answer.Type = AnswerFree
	if form := task.AnswerForm(); form.Type != AnswerFree || form.Why != "answer.type says so" {
		t.Errorf("given: %+v", form)
	}
}

// FuzzNormalForms holds that white space and case around an answer do not count, and that what is found in a text is never nothing.
func FuzzNormalForms(f *testing.F) {
	for _, seed := range []string{"(B) Paris", "$1,000.50", "-3/4 %", "1/0", "March 3, 2020", "2020-02-30", "Yes.", "The a an", "'\"(((x)))\"'", "\u0130\u00a0\xff", "the answer is: ** **", "1e9999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, typ := range AnswerTypes() {
			form := AnswerForm{Type: typ}
			normal := form.Normal(text)
			if got := form.Normal("\n " + text + "\t "); got != normal {
				t.Errorf("%s: %q is %q, with white space around it %q", typ, text, normal, got)
			}
			if got := form.Normal(text); got != normal {
				t.Errorf("%s: %q is %q, then %q", typ, text, normal, got)
			}
		}
		answer, found := FinalAnswer(text)
		if found != (answer != "") {
			t.Errorf("%q: %q, %v", text, answer, found)
		}
		if again, ok := FinalAnswer("First. The answer is 7. Then again: the answer is " + answer + "."); found && !strings.Contains(answer, "answer is") && (!ok || !SameAnswer(again, answer)) {
			t.Errorf("%q ends in %q, which is found as %q", text, answer, again)
		}
		with := AnswerForm{Type: AnswerFree, pattern: regexp.MustCompile(`(?i)####\s*(\S+)`)}
		if answer, found := with.Find(text); found != (answer != "") || found && !strings.Contains(text, answer) {
			t.Errorf("%q: by a pattern %q, %v", text, answer, found)
		}
	})
}
