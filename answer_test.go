package rebased_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rebased/rebased"
)

func TestFinalAnswerIsWhatFollowsTheLastMarkerWithoutQuotesEmphasisAndFullStop(t *testing.T) {
	for text, want := range map[string]string{
		"It stands on a river. The answer is Vistula.": "Vistula",
		"THE ANSWER IS 42":                                  "42",
		"So the answer is: yes":                             "yes",
		"the answer is\nyes\n":                              "yes",
		"The answer is (B).":                                "(B)",
		"The answer is 3.14.":                               "3.14",
		"The answer is -219.":                               "-219",
		"The answer is .5":                                  ".5",
		"The answer is U.S.":                                "U.S",
		`"The answer is False."`:                            "False",
		`The answer is "Paris".`:                            "Paris",
		"The answer is **Paris**.":                          "Paris",
		"The answer is `x`":                                 "x",
		"The answer is ** Paris ** .":                       "Paris",
		"I think the answer is 1. No: the answer is 2.":     "2",
		"The answer is 1. The answer is 2. The answer is 3": "3",
		"İİİİ the answer is İzmir.":                         "İzmir",
		"река: the answer is Висла.":                        "Висла",
	} {
		if got, found := rebased.FinalAnswer(text); !found || got != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, found, want)
		}
	}
}

func TestATextWithoutAnAnswerHasNoFinalAnswer(t *testing.T) {
	for _, text := range []string{
		"", "Vistula", "The answer is", "The answer is ", "The answer is .", `The answer is "".`, "The answer isn't known", "The answer is:42",
		"The answer is 1. But then the answer is ",
	} {
		if got, found := rebased.FinalAnswer(text); found || got != "" {
			t.Errorf("%q: got %q, %v", text, got, found)
		}
	}
}

func TestShortAnswerIsTheFinalAnswerOrAllOfAnOutputThatReasonsNot(t *testing.T) {
	for output, want := range map[string]string{
		"It flows there. The answer is Vistula.": "Vistula",
		"Vistula.":                               "Vistula.",
		"The answer is ":                         "The answer is ",
		"":                                       "",
	} {
		if got := rebased.ShortAnswer(output); got != want {
			t.Errorf("%q: got %q, want %q", output, got, want)
		}
	}
}

func TestSameAnswerOverlooksWritingButNotMeaning(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Yes", "yes.", true},
		{"(A)", "a", true},
		{"(A).", "A", true},
		{"**(A)**", "(a)", true},
		{"'Paris'", `"paris"`, true},
		{"new   york\n", "New York", true},
		{"U.S.", "u.s", true},
		{"no!?", "No", true},
		{"Висла", "ВИСЛА.", true},
		{"İstanbul", "istanbul", true},
		{"ısı", "isi", false},
		{"", " ", true},
		{"yes", "no", false},
		{"(A)", "(B)", false},
		{"5", "-5", false},
		{"5", ".5", false},
		{"5", "50", false},
		{"1,000", "1000", false},
		{") ]", "]", false},
		{"( (", "(", false},
		{".", "?", false},
		{"*", "()", false},
		{"", "()", false},
		{"newyork", "new york", false},
	} {
		if rebased.SameAnswer(c.a, c.b) != c.same || rebased.SameAnswer(c.b, c.a) != c.same {
			t.Errorf("%q and %q: want same %v in both orders", c.a, c.b, c.same)
		}
	}
}

// The tasks of real benchmarks give both a chain of thought and its short answer.
func TestChainsOfThoughtOfRealTasksEndInTheirAnswers(t *testing.T) {
	folder := os.Getenv("REBASED_TEST_DATA")
	if folder == "" {
		t.Skip("REBASED_TEST_DATA is not set")
	}
	files, err := filepath.Glob(filepath.Join(folder, "tasks", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d tasks in %s, %v", len(files), folder, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var task rebased.Task
		if err := json.Unmarshal(data, &task); err != nil {
			t.Fatal(err)
		}
		for i, e := range task.Examples {
			if got := rebased.ShortAnswer(e.Output); !rebased.SameAnswer(got, e.Answer) {
				t.Errorf("%s, example %d: got %q, want %q", task.Name, i, got, e.Answer)
			}
		}
	}
}
