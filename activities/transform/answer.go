package transform

import (
	"encoding/json"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// example is what a teacher is asked for.
type example struct{ input, output string }

// parse reads a teacher's answer: the first JSON object in it that has an input and an output, whatever stands around it (fences, a
// preamble, trailing text); where there is none, the first that is nearly JSON. Numbers and booleans are taken as they are written.
func parse(answer llm.Answer) (example, *llm.Problem) {
	fields, found := firstObject(answer.Text, decoded)
	if !found {
		fields, found = firstObject(answer.Text, mended)
	}
	if !found {
		return example{}, &llm.Problem{Reason: rebased.ReasonUnusable, Detail: "it holds no JSON object with input and output"}
	}
	var out example
	for _, part := range []struct {
		name string
		to   *string
	}{{"input", &out.input}, {"output", &out.output}} { // in this order: what is said of an answer goes into the next ask, and so into its key
		text, ok := scalar(fields[part.name])
		if !ok {
			return example{}, &llm.Problem{Reason: rebased.ReasonUnusable, Detail: "its " + part.name + " is missing or no text"}
		}
		if *part.to = strings.TrimSpace(text); *part.to == "" {
			return example{}, &llm.Problem{Reason: rebased.ReasonEmpty, Detail: "its " + part.name + " is empty"}
		}
	}
	return out, nil
}

// maxStarts bounds how many opening braces of an answer are tried.
const maxStarts = 64

// decoded reads an object that is JSON, from the brace that text begins with.
func decoded(text string) (fields map[string]json.RawMessage, ok bool) {
	err := json.NewDecoder(strings.NewReader(text)).Decode(&fields)
	return fields, err == nil
}

func firstObject(text string, read func(string) (map[string]json.RawMessage, bool)) (map[string]json.RawMessage, bool) {
	for range maxStarts {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			return nil, false
		}
		text = text[at:]
		if fields, ok := read(text); ok {
			_, hasInput := fields["input"]
			_, hasOutput := fields["output"]
			if hasInput || hasOutput {
				return fields, true
			}
		}
		text = text[1:]
	}
	return nil, false
}

func scalar(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null" {
		return "", false
	}
	if raw[0] != '"' {
		return string(raw), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}
