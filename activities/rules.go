package activities

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// sameRules refuses a task that asks for other rows than the ones that are taken over: those were found, and let through, by the rules of before.
func sameRules(of string, was, now rebased.Task) error {
	rules := func(t rebased.Task) map[string]any {
		var judging any
		if t.Judge != nil { // who judges may change
			judging = map[string]any{"rubric": t.Judge.Rubric, "min_score": t.Judge.MinScore}
		}
		return map[string]any{
			"corpus": t.Corpus, "retrieve": t.Retrieve, "decontaminate": t.Decontaminate, "transform": map[string]any{"constraints": t.Transform.Constraints},
			"answer": t.Answer, "reason": t.Reason, "judge": judging,
			"output": map[string]any{"formats": map[string]any{rebased.FormatPreference: slices.Contains(t.Output.Formats, rebased.FormatPreference)}},
		}
	}
	before, err := plainJSON(rules(was))
	if err != nil {
		return err
	}
	after, err := plainJSON(rules(now))
	if err != nil {
		return err
	}
	key, before, after := firstChange("", before, after)
	if key == "" {
		return nil
	}
	return rebased.E(rebased.Invalid, "%s is %s, build %s had %s: only instruction, examples, transform.teacher, budget, dedupe, gates, output, handoff and the like "+
		"may change in a redrive: build anew", key, shortly(after), of, shortly(before))
}

// plainJSON is a value as JSON has it: maps, lists, texts and numbers.
func plainJSON(v any) (plain any, err error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("compare the tasks: %w", err)
	}
	err = json.Unmarshal(data, &plain)
	return plain, err
}

// firstChange finds the first key, dotted, whose values differ; "" when none does.
func firstChange(key string, a, b any) (string, any, any) {
	before, ok := a.(map[string]any)
	after, both := b.(map[string]any)
	if !ok || !both {
		if reflect.DeepEqual(a, b) {
			return "", nil, nil
		}
		return key, a, b
	}
	names := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		at := strings.TrimPrefix(key+"."+name, ".")
		if changed, from, to := firstChange(at, before[name], after[name]); changed != "" {
			return changed, from, to
		}
	}
	return "", nil, nil
}

// shortly is a value in one line of an error.
func shortly(v any) string {
	const most = 80
	if v == nil || v == "" {
		return "none"
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
