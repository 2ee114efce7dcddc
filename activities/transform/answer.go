package transform

import (
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// example is what a teacher is asked for.
type example struct{ input, output string }

// parse reads a teacher's answer: the first object in it that has an input or an output. Numbers and booleans are taken as they are written.
func parse(answer llm.Answer) (example, *llm.Problem) {
	fields, found := llm.Object(answer.Text, "input", "output")
	if !found {
		return example{}, &llm.Problem{Reason: rebased.ReasonUnusable, Detail: "it holds no JSON object with input and output"}
	}
	var out example
	for _, part := range []struct {
		name string
		to   *string
	}{{"input", &out.input}, {"output", &out.output}} { // in this order: what is said of an answer goes into the next ask, and so into its key
		text, ok := llm.Scalar(fields[part.name])
		if !ok {
			return example{}, &llm.Problem{Reason: rebased.ReasonUnusable, Detail: "its " + part.name + " is missing or no text"}
		}
		if *part.to = strings.TrimSpace(text); *part.to == "" {
			return example{}, &llm.Problem{Reason: rebased.ReasonEmpty, Detail: "its " + part.name + " is empty"}
		}
	}
	return out, nil
}
