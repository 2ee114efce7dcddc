package decontaminate_test

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
)

const (
	rules = "The following paragraphs each describe a set of five objects arranged in a fixed order. The statements are logically consistent within each paragraph. "
	birds = "On a branch, there are five birds: a quail, an owl, a raven, a falcon, and a robin. The owl is the leftmost."
	books = "On a shelf, there are five books: a gray book, a red book, a purple book, a blue book, and a black book. The red book is the oldest."
	cars  = "In an antique car show, there are five vehicles: a hatchback, a bus, a convertible, a tractor, and a minivan. The tractor is older than the bus."
)

func TestWhatATaskSaysItselfMakesNoLeak(t *testing.T) {
	task := rebased.Task{
		Instruction: "Say in which order the objects stand, from the first to the last, and give the letter of the option that is right.",
		Examples:    []rebased.TaskExample{{Input: rules + books, Output: "the second option of these"}, {Input: rules + "At a fair, there are five pies. The apple pie is the oldest.", Output: "b"}},
	}
	bench := set(t, 13,
		[]string{rules + birds, "The owl is the leftmost of all"},
		[]string{rules + books, "the second option of these"},
		[]string{"Say in which order the objects stand, from the first to the last, and give the letter of the option."},
	)
	own := bench.Own(task)
	for name, c := range map[string]struct {
		text string
		line int // 0 = no leak
	}{
		"the rules and other content":          {rules + cars, 0},
		"the rules and the same content":       {rules + birds, 1},
		"the same content alone":               {birds, 1},
		"an example of the task, word by word": {rules + books, 2},
		"what is in one example only":          {"We know that " + books, 2},
		"the instruction":                      {"Say in which order the objects stand, from the first to the last, and give the letter of this.", 0},
		"a short text":                         {"the owl is the leftmost of all", 1},
		"an answer of an example":              {"The second option of these", 0},
	} {
		leak, found := bench.FindBut(own, []string{c.text})
		if found != (c.line > 0) || leak.Line != c.line {
			t.Errorf("%s: got %v %+v, want line %d", name, found, leak, c.line)
		}
	}
	if _, found := bench.Find([]string{rules + cars}); !found {
		t.Error("a row of the corpus with the rules is none of the benchmark's")
	}
}

// outputs reads what a real teacher made for a real task.
func outputs(t *testing.T, name string) (task rebased.Task, rows [][]string) {
	t.Helper()
	folder := os.Getenv("REBASED_TEST_DATA")
	if folder == "" {
		t.Skip("REBASED_TEST_DATA is not set: it names the folder of real outputs")
	}
	body, err := os.ReadFile(filepath.Join(folder, "tasks", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &task); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(folder, "outputs", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e rebased.TaskExample
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, []string{e.Input, e.Output})
	}
	return task, rows
}

// TestLeaksPlantedInRealOutputsAreFound makes a benchmark of half of the inputs that a real teacher wrote for real tasks, and plants them in the outputs: as
// they are, in other case and punctuation, inside of another row's text, and the second half of the long ones alone.
func TestLeaksPlantedInRealOutputsAreFound(t *testing.T) {
	planted, found := map[string]int{}, map[string]int{}
	for _, name := range []string{
		"bbh-boolean_expressions", "bbh-causal_judgement", "bbh-date_understanding", "bbh-disambiguation_qa", "bbh-formal_fallacies", "bbh-hyperbaton",
		"bbh-logical_deduction_five_objects", "bbh-movie_recommendation", "bbh-multistep_arithmetic_two", "bbh-navigate", "bbh-object_counting",
		"bbh-penguins_in_a_table", "bbh-snarks", "bbh-word_sorting", "squad",
	} {
		task, rows := outputs(t, name)
		bench := decontaminate.New(13, 64<<20)
		bench.Begin("test.jsonl")
		random := rand.New(rand.NewPCG(1, uint64(len(rows))))
		half := rows[:len(rows)/2]
		for i, row := range half {
			if err := bench.Add(i+1, row[:1]); err != nil {
				t.Fatal(err)
			}
		}
		own := bench.Own(task)
		for i, row := range half {
			words := strings.Fields(row[0])
			if len(words) < 3 {
				continue // says too little to be of a benchmark
			}
			host := rows[len(half)+random.IntN(len(rows)-len(half))]
			if _, leaks := bench.FindBut(own, host); leaks {
				host = []string{"This is the text of another row.", "Of that row this is the output."}
			}
			plants := map[string]string{"as it is": row[0]}
			if len(words) >= 26 {
				plants["other case, white space and punctuation"] = strings.ToUpper(strings.Join(words, " \n")) + " !"
				plants["inside another text"] = host[1] + " " + row[0] + " " + host[0]
				plants["the second half alone"] = strings.Join(words[len(words)/2:], " ")
			}
			for kind, text := range plants {
				planted[kind]++
				if _, ok := bench.FindBut(own, []string{text}); ok {
					found[kind]++
				} else {
					t.Logf("%s, row %d, %s: not found: %.200q", name, i+1, kind, text)
				}
			}
		}
	}
	all, hits := 0, 0
	for kind, n := range planted {
		t.Logf("%s: %d of %d", kind, found[kind], n)
		all, hits = all+n, hits+found[kind]
	}
	if recall := float64(hits) / float64(all); recall < 0.98 {
		t.Errorf("%d of %d planted leaks found, %.4f; 0.98 is wanted", hits, all, recall)
	}
}
