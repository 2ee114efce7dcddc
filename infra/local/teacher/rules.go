package teacher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The rules imitate the form of the given examples (form.go) and take the content from the row (facts.go). They know nothing of the task.

// transformed answers a transform prompt; of a row without words both texts are empty.
func transformed(q question, f *form) (string, error) {
	cells, err := readRow(q.row)
	if err != nil {
		return "", err
	}
	row := findFacts(cells)
	if row.passage == "" {
		return exampleJSON(example{}), nil
	}
	out := example{Input: f.fill(row)}
	answer := row.answer(hash(q.row))
	if len(f.labels) > 0 {
		answer = f.label(out.Input)
	}
	out.Output = answer
	if f.reasons {
		out.Output = steps(row.passage, answer)
	}
	return exampleJSON(out), nil
}

// rationale answers a reason prompt.
func rationale(q question) (string, error) {
	var input, output string
	if err := json.Unmarshal([]byte(q.input), &input); err != nil {
		return "", errUnknown
	}
	if err := json.Unmarshal([]byte(q.output), &output); err != nil {
		return "", errUnknown
	}
	answer := output
	if final, ok := finalAnswer(output); ok {
		answer = final
	}
	return steps(input, answer), nil
}

// solved answers a solve prompt: with the label that a transformed input has, else with one of the input's names or numbers.
func solved(q question, f *form) (string, error) {
	var input string
	if err := json.Unmarshal([]byte(q.input), &input); err != nil {
		return "", errUnknown
	}
	if len(f.labels) > 0 {
		return steps(input, f.label(input)), nil
	}
	return steps(input, facts{passage: input}.answer(hash(input))), nil
}

// scored answers a judge's prompt with one of the scores from 4 to 10.
func scored(q question) string {
	const least, scores = 4, 7
	return fmt.Sprintf(`{"reason": "A rule that knows nothing of the rubric says so.", "score": %d}`, least+hash(q.input+q.output)%scores)
}

// label is the one of the labels that an input has.
func (f *form) label(input string) string { return f.labels[hash(input)%uint64(len(f.labels))] }

// steps is a short chain of thought that ends in an answer.
func steps(text, answer string) string {
	return "First read the text that begins with “" + opening(text, 8) + "”. Then look for what is asked. The answer is " +
		strings.TrimSuffix(answer, ".") + "."
}

var theAnswerIs = regexp.MustCompile(`(?i)\bthe answer is:?\s+`)

// finalAnswer is what a chain of thought ends with, or the whole output when it is none.
func finalAnswer(output string) (answer string, reasons bool) {
	places := theAnswerIs.FindAllStringIndex(output, -1)
	if len(places) == 0 {
		return strings.TrimSpace(output), false
	}
	return strings.TrimSuffix(strings.TrimSpace(output[places[len(places)-1][1]:]), "."), true
}

// opening is the first words of a text, at most 80 bytes.
func opening(text string, words int) string {
	const longest = 80
	fields := strings.Fields(text)
	joined := strings.Join(fields[:min(words, len(fields))], " ")
	if len(joined) <= longest {
		return joined
	}
	end := longest
	for !utf8.RuneStart(joined[end]) {
		end--
	}
	return joined[:end]
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum64()
}

// exampleJSON writes an example as a teacher does.
func exampleJSON(e example) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil { // strings can always be encoded
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
