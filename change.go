package rebased

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is a key that has another value than before.
type Change struct {
	Key  string `json:"key"` // dotted
	From any    `json:"from"`
	To   any    `json:"to"`
}

// Changes compares two values as JSON has them and gives the keys whose values differ, sorted; a list is one value. Invalid: one has no JSON.
func Changes(from, to any) ([]Change, error) {
	before, err := plainJSON(from)
	if err != nil {
		return nil, err
	}
	after, err := plainJSON(to)
	if err != nil {
		return nil, err
	}
	return changesOf(nil, "", before, after), nil
}

// plainJSON is a value as JSON has it: maps, lists, texts and numbers.
func plainJSON(v any) (plain any, err error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, E(Invalid, "compare: %w", err)
	}
	err = json.Unmarshal(data, &plain)
	return plain, err
}

func changesOf(all []Change, key string, from, to any) []Change {
	before, ok := from.(map[string]any)
	after, both := to.(map[string]any)
	if !ok || !both {
		if !reflect.DeepEqual(from, to) {
			all = append(all, Change{Key: key, From: from, To: to})
		}
		return all
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		all = changesOf(all, strings.TrimPrefix(key+"."+name, "."), before[name], after[name])
	}
	return all
}

// InShort is a value of a Change in one line of at most so many characters and "…"; none stands for nothing and for an empty text.
func InShort(v any, none string, most int) string {
	if v == nil || v == "" {
		return none
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if runes := []rune(string(data)); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(data)
}
