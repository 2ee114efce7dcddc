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

// thin stages a version with fewer rows than input has.
func thin(t *testing.T, v Versions, rows int) string {
	in := input()
	in.Rows = parts(examples()[:rows], 5)
	in.Retrieved -= 12 - rows
	return stage(t, v, in).Version
}

// TestADropIsJudgedAtReleaseAgainstWhatIsTheLatestThen: between staging and release another version may have become the latest.
func TestADropIsJudgedAtReleaseAgainstWhatIsTheLatestThen(t *testing.T) {
	v, whole, _ := twoVersions(t)
	small := thin(t, v, 6)
	gated := func(version, build string, minute int, gates ...string) ReleaseInput {
		in := release(version, build, minute)
		in.MaxDrop, in.Gates = 0.3, gates
		return in
	}
	mustRelease(t, v, gated(whole, "b1", 0)) // a first version has nothing to drop from
	const why = "gates.max_drop: 6 rows, the latest version has 12: at most 30.0 % fewer are allowed"
	out, err := v.Release(t.Context(), gated(small, "b2", 1, "gates.min_parsed: few", "gates.max_drop: 6 rows, the latest version has 10: at most 30.0 % fewer are allowed"))
	if err != nil || out.State != rebased.StateAwaitingApproval || !slices.Equal(out.Closed, []string{"gates.min_parsed: few", why}) {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := v.Record(t.Context(), "capitals", small); rebased.KindOf(err) != rebased.NotFound || latestOf(t, v).Version != whole {
		t.Errorf("a release that waits was recorded: %v", err)
	}
	for range 2 { // a retry changes nothing
		if state := mustRelease(t, v, gated(small, "b2", 2, out.Closed...)); state != rebased.StateReleased {
			t.Fatal(state)
		}
	}
	record, err := v.Record(t.Context(), "capitals", small)
	want := Before{Version: whole, Rows: 12, Drop: 0.5}
	if err != nil || len(record.Releases) != 1 || record.Releases[0].Before == nil || *record.Releases[0].Before != want || !slices.Equal(record.Releases[0].Gates, out.Closed) {
		t.Errorf("%+v, %v", record, err)
	}
	if state := mustRelease(t, v, gated(whole, "b1", 0)); state != rebased.StateReleased || latestOf(t, v).Version != small {
		t.Errorf("a late retry of the first: %s", state)
	}
	done := gated(thin(t, v, 5), "b3", 3)
	mustRelease(t, v, done)
	done.Handoff = "started"
	mustRelease(t, v, done)
	record, err = v.Record(t.Context(), "capitals", done.Version)
	if err != nil || record.Releases[0].Before.Drop != 0.1667 || record.Releases[0].Handoff != "started" {
		t.Errorf("the hand-off's result comes to the comparison: %+v, %v", record, err)
	}
}
