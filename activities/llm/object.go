package llm

import (
	"encoding/json"
	"strings"
)

// Object finds the first JSON object with one of some keys in what a teacher says, whatever stands around it (fences, a preamble, trailing text);
// where there is none, the first that is nearly JSON.
func Object(text string, keys ...string) (fields map[string]json.RawMessage, found bool) {
	if fields, found = firstObject(text, keys, decoded); !found {
		fields, found = firstObject(text, keys, mended)
	}
	return fields, found
}

// Scalar is the text of a field that is one, or a number or truth value as it is written; ok is false for anything else.
func Scalar(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null" {
		return "", false
	}
	if raw[0] != '"' {
		return string(raw), true
	}
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

// maxStarts bounds how many opening braces of an answer are tried.
const maxStarts = 64

// decoded reads an object that is JSON, from the brace that text begins with.
func decoded(text string) (fields map[string]json.RawMessage, ok bool) {
	return fields, json.NewDecoder(strings.NewReader(text)).Decode(&fields) == nil
}

func firstObject(text string, keys []string, read func(string) (map[string]json.RawMessage, bool)) (map[string]json.RawMessage, bool) {
	for range maxStarts {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			return nil, false
		}
		text = text[at:]
		if fields, ok := read(text); ok {
			for _, key := range keys {
				if _, has := fields[key]; has {
					return fields, true
				}
			}
		}
		text = text[1:]
	}
	return nil, false
}
