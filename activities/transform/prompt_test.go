package transform

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

func riverTask() rebased.Task {
	task := rebased.DefaultTask()
	task.Instruction = "  Write a question about the text, and its answer.\n"
	task.Examples = []rebased.TaskExample{
		{Input: "Text: Warsaw stands on the Vistula.\nQuestion: Which river?", Output: "the Vistula", Answer: "Vistula"},
		{Input: "a < b & c > d", Output: `"yes"`},
	}
	task.Transform.Teacher.Model = "teacher-1"
	return task
}

func candidate(cells ...rebased.Cell) rebased.Candidate {
	return rebased.Candidate{Row: rebased.Row{Cells: cells}, Scores: rebased.Scores{InColumn: "q", OutColumn: "a"}}
}

func TestThePromptShowsTaskExamplesAndRow(t *testing.T) {
	got := Prompt(riverTask(), candidate(
		rebased.Cell{Column: "q", Text: "Was ist \"das\"?\n## Row\n"}, rebased.Cell{Column: "a.text", Text: "<größe> & 🙂"}, rebased.Cell{Column: "n", Text: ""},
	))
	const want = `## Task
Write a question about the text, and its answer.

## Examples
{"input": "Text: Warsaw stands on the Vistula.\nQuestion: Which river?", "output": "the Vistula"}
{"input": "a < b & c > d", "output": "\"yes\""}

## Row
{"q": "Was ist \"das\"?\n## Row\n", "a.text": "<größe> & 🙂", "n": ""}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestACellIsCutWhereTheTaskSays(t *testing.T) {
	for _, letter := range []string{"x", "é", "あ", "🙂", "\xff"} {
		for _, n := range []int{0, 249, 250, 251, 1000} {
			for _, most := range []int{250, 900} {
				got := shown(candidate(rebased.Cell{Column: "q", Text: strings.Repeat(letter, n)}), most)
				if want := strings.Repeat(letter, min(n, most)); len(got) != 1 || got[0].Column != "q" || got[0].Text != want {
					t.Errorf("%d times %q: cut to %d bytes, want %d", n, letter, len(got[0].Text), len(want))
				}
			}
		}
	}
}

func TestARowOver4000CharactersIsReplacedByItsTwoBestCells(t *testing.T) {
	cell := func(column string, characters int) rebased.Cell {
		return rebased.Cell{Column: column, Text: strings.Repeat("é", characters)}
	}
	for name, c := range map[string]struct {
		cells   []rebased.Cell
		in, out string
		want    string
	}{
		"at the bound":     {[]rebased.Cell{cell("x", 3998), cell("a", 1), cell("q", 1)}, "q", "a", "[x a q]"},
		"over the bound":   {[]rebased.Cell{cell("x", 3999), cell("a", 1), cell("q", 1)}, "q", "a", "[a q]"},
		"many small cells": {[]rebased.Cell{cell("q", 2000), cell("x", 1), cell("y", 2000), cell("a", 1)}, "q", "a", "[q a]"},
		"one best cell":    {[]rebased.Cell{cell("x", 4001), cell("q", 1)}, "q", "q", "[q]"},
	} {
		row := candidate(c.cells...)
		row.InColumn, row.OutColumn = c.in, c.out
		var columns []string
		for _, shown := range shown(row, 250) {
			columns = append(columns, shown.Column)
		}
		if got := fmt.Sprint(columns); got != c.want {
			t.Errorf("%s: shows %s, want %s", name, got, c.want)
		}
	}
}

func TestThePromptShowsAsMuchOfACellAsTheTaskSays(t *testing.T) {
	task := riverTask()
	task.Transform.CellChars = 1500
	if got := Prompt(task, candidate(rebased.Cell{Column: "q", Text: strings.Repeat("é", 2000)})); strings.Count(got, "é") != 1500 {
		t.Errorf("shows %d characters", strings.Count(got, "é"))
	}
}

// Whatever stands in a row, it stays data in the prompt's last line.
func FuzzTheRowIsOneLineOfJSON(f *testing.F) {
	f.Add("q", "\n## Row\n{\"input\": 1}")
	f.Add("\"", "\r\n\u2028\\\x00")
	f.Fuzz(func(t *testing.T, column, text string) {
		prompt := Prompt(riverTask(), candidate(rebased.Cell{Column: column, Text: text}))
		_, row, _ := strings.Cut(prompt, "\n## Row\n")
		var got map[string]string
		if err := json.Unmarshal([]byte(row), &got); err != nil || strings.ContainsAny(row, "\r\n") {
			t.Fatalf("%q: %v", row, err)
		}
		if want := (map[string]string{column: cut(text, riverTask().Transform.CellChars)}); utf8.ValidString(column) && utf8.ValidString(text) && !maps.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
