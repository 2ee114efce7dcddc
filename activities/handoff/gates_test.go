package handoff

import (
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

type tallied = map[rebased.Reason]int

func TestQualityFollowsRowsAndCounts(t *testing.T) {
	s := survey{facts: newFacts(measures{})}
	for _, answer := range []string{"yes", "yes ", "no", "maybe"} {
		s.rows++
		s.label(answer)
	}
	s.inInput = 1
	counts := Funnel{Steps: []StepCount{
		{Step: "transform", In: 20, Rejected: tallied{rebased.ReasonUnusable: 1, rebased.ReasonEmpty: 1, rebased.ReasonConstraint: 2, rebased.ReasonRefused: 3}},
		{Step: "reason", In: 13, Rejected: tallied{rebased.ReasonDisagreed: 3, rebased.ReasonUnusable: 1}},
		{Step: "dedupe", In: 9, Rejected: tallied{rebased.ReasonDuplicate: 2, rebased.ReasonNearDuplicate: 1, rebased.ReasonSurplus: 2}},
	}}
	got := newQuality(counts, s)
	if got.Parsed != 0.8 || got.Agreement != 0.7692 || got.Duplicates != 0.3333 || got.InInput != 0.25 || got.Label != "yes" || got.LabelShare != 0.5 {
		t.Errorf("%+v", got)
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "duplicate removed 22 %") {
		t.Errorf("warnings %q", got.Warnings)
	}
}

func TestLongOrManyAnswersAreNoLabels(t *testing.T) {
	long := newFacts(measures{})
	long.label("a")
	long.label(strings.Repeat("a", 65))
	long.label("a")
	many := newFacts(measures{})
	for n := range 1001 {
		many.label(strings.Repeat("a", n%32) + "/" + strings.Repeat("b", n/32))
	}
	if len(long.labels) != 0 || len(many.labels) != 0 {
		t.Errorf("%d and %d labels", len(long.labels), len(many.labels))
	}
}

func TestAGateIsClosedOnTheWrongSideOfItsBound(t *testing.T) {
	q := Quality{Parsed: 0.8, Agreement: 0.7, Duplicates: 0.3, InInput: 0.25, Label: "yes", LabelShare: 0.5}
	for key, c := range map[string]struct{ open, closed rebased.Gates }{
		"min_parsed":      {rebased.Gates{MinParsed: 0.8}, rebased.Gates{MinParsed: 0.81}},
		"min_agreement":   {rebased.Gates{MinAgreement: 0.7}, rebased.Gates{MinAgreement: 0.71}},
		"min_in_input":    {rebased.Gates{MinInInput: 0.25}, rebased.Gates{MinInInput: 0.26}},
		"max_duplicates":  {rebased.Gates{MaxDuplicates: 0.3}, rebased.Gates{MaxDuplicates: 0.29}},
		"max_label_share": {rebased.Gates{MaxLabelShare: 0.5}, rebased.Gates{MaxLabelShare: 0.49}},
		"max_drop":        {rebased.Gates{MaxDrop: 0.1}, rebased.Gates{MaxDrop: 0.09}},
	} {
		if got := q.closed(c.open, 90, 100); len(got) != 0 {
			t.Errorf("%s at its bound: %q", key, got)
		}
		if got := q.closed(c.closed, 90, 100); len(got) != 1 || !strings.HasPrefix(got[0], "gates."+key+": ") {
			t.Errorf("%s: %q", key, got)
		}
	}
	if got := q.closed(rebased.Gates{MaxDrop: 0.01}, 1, 0); len(got) != 0 {
		t.Errorf("a first version: %q", got)
	}
}

func TestAClosedGateStandsInTheReleaseRecord(t *testing.T) {
	v, a, _ := twoVersions(t)
	in := release(a, "Ada", 0)
	in.Gates = []string{"gates.max_drop: too few"}
	mustRelease(t, v, in)
	record, err := v.Record(t.Context(), in.Task, a)
	if err != nil || len(record.Releases) != 1 || !slices.Equal(record.Releases[0].Gates, in.Gates) {
		t.Errorf("%+v, %v", record, err)
	}
}
