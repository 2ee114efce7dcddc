package teacher

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// kind is what a prompt asks for.
type kind int

const (
	transformPrompt kind = iota // to make an example of a row
	reasonPrompt                // to reason about an answer
	solvePrompt                 // to find the answer to an input
	judgePrompt                 // to score an input and its output
)

// question is a prompt taken apart.
type question struct {
	kind     kind
	examples string // lines of JSON objects {"input", "output"}
	row      string // a JSON object, column -> text; of a transform prompt
	input    string // JSON strings; of a reason prompt, of a judge's, and of a solve prompt without output
	output   string
}

type example struct {
	Input  string `json:"input"`
	Output string `json:"output"`
}

type cell struct{ column, text string }

var errUnknown = errors.New("the last user message is neither a transform nor a reason prompt nor a judge's: the demo teacher answers prompts with sections " +
	"## Task, ## Examples and ## Row, or ## Input, or ## Input and ## Output, or these two and ## Rubric, only")

// parse finds the sections. They begin with a line of their own, and rows, inputs and outputs are JSON on one line, which never begins so: the last
// such line is no part of any data, whatever stands in the instruction above.
func parse(prompt string) (question, error) {
	before, row, isRow := cutSection(prompt, "Row")
	above, output, isOutput := cutSection(prompt, "Output")
	switch {
	case isRow && (!isOutput || len(before) > len(above)):
		_, examples, _ := cutSection(before, "Examples")
		return question{kind: transformPrompt, examples: examples, row: firstLine(row)}, nil
	case isOutput:
		before, input, isInput := cutSection(above, "Input")
		if !isInput {
			return question{}, errUnknown
		}
		before, _, judges := cutSection(before, "Rubric")
		above, examples, _ := cutSection(before, "Examples")
		if judges && len(above) < len(before) {
			return question{kind: judgePrompt, examples: examples, input: firstLine(input), output: firstLine(output)}, nil
		}
		return question{kind: reasonPrompt, examples: examples, input: firstLine(input), output: firstLine(output)}, nil
	}
	before, input, isInput := cutSection(prompt, "Input")
	if !isInput {
		return question{}, errUnknown
	}
	_, examples, _ := cutSection(before, "Examples")
	return question{kind: solvePrompt, examples: examples, input: firstLine(input)}, nil
}

// cutSection splits a prompt at the last line "## title".
func cutSection(prompt, title string) (before, section string, found bool) {
	line := "## " + title + "\n"
	at := strings.LastIndex(prompt, "\n"+line)
	switch {
	case at >= 0:
		return prompt[:at+1], prompt[at+1+len(line):], true
	case strings.HasPrefix(prompt, line):
		return "", prompt[len(line):], true
	}
	return prompt, "", false
}

func firstLine(section string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(section, "\n"), "\n")
	return line
}

// readExamples reads the lines that are examples.
func readExamples(section string) []example {
	var examples []example
	for line := range strings.Lines(section) {
		var e example
		if json.Unmarshal([]byte(line), &e) == nil && e.Input != "" {
			examples = append(examples, e)
		}
	}
	return examples
}

// readRow reads the cells of a row in their order.
func readRow(line string) ([]cell, error) {
	decoder := json.NewDecoder(strings.NewReader(line))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("the row is no JSON object")
	}
	var cells []cell
	for decoder.More() {
		column, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("the row is no JSON object: %w", err)
		}
		var text string
		if err := decoder.Decode(&text); err != nil {
			return nil, fmt.Errorf("the row's column %v is no text: %w", column, err)
		}
		cells = append(cells, cell{column: fmt.Sprint(column), text: strings.TrimSpace(text)})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("the row is no JSON object: %w", err)
	}
	return cells, nil
}
