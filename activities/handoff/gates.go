package handoff

import (
	"fmt"
	"strings"

	"github.com/rebased/rebased"
)

// Quality is what the rows and the counts of a version say of it. Shares are in [0, 1], to four digits.
type Quality struct {
	Parsed     float64 `json:"parsed"`     // of the retrieved rows, those of which the teacher made a usable example
	Agreement  float64 `json:"agreement"`  // of the examples that were reasoned about, those whose answer stood; 1 without a reason step
	Duplicates float64 `json:"duplicates"` // of the rows that came to deduplication, those that repeat others
	InInput    float64 `json:"in_input"`   // of the rows of the version, those whose answer stands in the input
	Label      string  `json:"label"`      // the most frequent answer; "" when answers are too long or too many to be labels, or none comes twice
	LabelShare float64 `json:"label_share"`
	// Judge is what the judge said of the version's rows; nil = none was asked.
	Judge *JudgeQuality `json:"judge,omitempty"`
	// Warnings are what a person should look at, a sentence each.
	Warnings []string `json:"warnings"`

	rule   rebased.Reason // of deduplication, that removed most rows
	byRule float64        // of the rows that came to deduplication, those that it removed
}

// JudgeQuality are the scores of a version's rows, 1 to 10.
type JudgeQuality struct {
	Mean   float64               `json:"mean"`   // to two digits
	Scores [rebased.MaxScore]int `json:"scores"` // rows that score from 1 to under 2, and so on to 10
}

// muchRemoved is the share of rows from which a rule that removes them is worth a look: it may take what a template has in common for the content.
const muchRemoved = 0.2

// newQuality follows the counts, whose steps are those of a build, and what the survey of the rows found.
func newQuality(counts Funnel, of survey) Quality {
	q := Quality{Parsed: 1, Agreement: 1, Warnings: []string{}, InInput: share(of.inInput, of.rows)}
	for _, step := range counts.Steps {
		switch step.Step {
		case "transform":
			unusable := step.Rejected[rebased.ReasonUnusable] + step.Rejected[rebased.ReasonEmpty] + step.Rejected[rebased.ReasonConstraint]
			q.Parsed = share(step.In-unusable, step.In)
		case "reason":
			q.Agreement = share(step.In-step.Rejected[rebased.ReasonDisagreed], step.In)
		case "dedupe":
			q.repeats(step, counts.Given)
		}
	}
	if warning := of.splits.warning(); warning != "" {
		q.Warnings = append(q.Warnings, warning)
	}
	if j := of.judged; j.rows > 0 {
		q.Judge = &JudgeQuality{Mean: rounded(j.sum/float64(j.rows), 100), Scores: j.scores}
	}
	if counts.Preference != nil && counts.Preference[SplitTrain] == 0 {
		q.Warnings = append(q.Warnings, "output.formats: preference has no pair to train on: no answer differed from that of a row that was kept; raise reason.samples and reason.agree")
	}
	for label, n := range of.labels { // the first of equals, by name
		if part := share(n, of.rows); n > 1 && (part > q.LabelShare || part == q.LabelShare && label < q.Label) {
			q.Label, q.LabelShare = label, part
		}
	}
	return q
}

// repeats fills in what deduplication says. Rows that repeat given ones, as nearly all of a delta may, say nothing about the others.
func (q *Quality) repeats(step StepCount, given map[rebased.Reason]int) {
	in, removed := step.In, 0
	for _, n := range given {
		in -= n
	}
	for _, reason := range []rebased.Reason{rebased.ReasonDuplicate, rebased.ReasonNearDuplicate, rebased.ReasonConflict, rebased.ReasonSemanticDuplicate} {
		n := step.Rejected[reason] - given[reason]
		removed += n
		part := share(n, in)
		if part > q.byRule {
			q.rule, q.byRule = reason, part
		}
		advice := "raise dedupe.minhash or switch it off"
		if reason == rebased.ReasonSemanticDuplicate {
			advice = "raise dedupe.semantic.threshold or switch it off"
		}
		if part > muchRemoved {
			q.Warnings = append(q.Warnings, fmt.Sprintf("%s removed %.0f %% of the rows: if the task's examples share a template, %s", reason, 100*part, advice))
		}
	}
	q.Duplicates = share(removed, in)
}

func share(part, of int) float64 {
	if of == 0 {
		return 0
	}
	const digits = 10_000
	return rounded(float64(part)/float64(of), digits)
}

// closed lists the gates that a version does not pass, a sentence each. before is the rows of the version that it would replace; 0 = there is none.
func (q *Quality) closed(g rebased.Gates, rows, before int) (failed []string) {
	fail := func(key, format string, args ...any) {
		failed = append(failed, "gates."+key+": "+fmt.Sprintf(format, args...))
	}
	least := func(key string, bound, value float64, what string) {
		if bound > 0 && value < bound {
			fail(key, "%.1f %% of the rows %s, at least %.1f %% are wanted", 100*value, what, 100*bound)
		}
	}
	most := func(key string, bound, value float64, what string) {
		if bound > 0 && value > bound {
			fail(key, "%.1f %% of the rows %s, at most %.1f %% are allowed", 100*value, what, 100*bound)
		}
	}
	least("min_parsed", g.MinParsed, q.Parsed, "gave a usable example")
	least("min_agreement", g.MinAgreement, q.Agreement, "have an answer that stood")
	least("min_in_input", g.MinInInput, q.InInput, "have their answer in the input")
	most("max_duplicates", g.MaxDuplicates, q.Duplicates, "repeat others")
	most("max_by_rule", g.MaxByRule, q.byRule, fmt.Sprintf("were removed as %s", q.rule))
	most("max_label_share", g.MaxLabelShare, q.LabelShare, fmt.Sprintf("have the answer %.40q", q.Label))
	if drop := dropped(g.MaxDrop, rows, before); drop != "" {
		failed = append(failed, drop)
	}
	return failed
}

const dropGate = "gates.max_drop: "

// dropped says that a version does not pass the gate of that name; "" = it does. before is the rows of the version that it replaces; 0 = there is none.
func dropped(most float64, rows, before int) string {
	if before == 0 || most == 0 || float64(rows) >= (1-most)*float64(before) {
		return ""
	}
	return fmt.Sprintf("%s%d rows, the latest version has %d: at most %.1f %% fewer are allowed", dropGate, rows, before, 100*most)
}

// label counts an answer; labels is nil once answers are too many.
func (s *facts) label(answer string) {
	if s.labels == nil {
		return
	}
	answer = strings.TrimSpace(answer)
	if len(answer) > rebased.LabelBytes {
		s.labels = nil
		return
	}
	if s.labels[answer]++; len(s.labels) > rebased.MaxLabels {
		s.labels = nil
	}
}
