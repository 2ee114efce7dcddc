package activities

import (
	"slices"

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
	changes, err := rebased.Changes(rules(was), rules(now))
	if err != nil || len(changes) == 0 {
		return err
	}
	const none, most = "none", 80
	first := changes[0]
	return rebased.E(rebased.Invalid, "%s is %s, build %s had %s: only instruction, examples, transform.teacher, budget, dedupe, gates, output, handoff and the like "+
		"may change in a redrive: build anew", first.Key, rebased.InShort(first.To, none, most), of, rebased.InShort(first.From, none, most))
}
