package workflows_test

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// refusingOneIn has the teacher refuse one row in so many.
func refusingOneIn(one uint32) func(llm.Request) error {
	return func(r llm.Request) error {
		h := fnv.New32a()
		_, _ = h.Write([]byte(r.Prompt))
		if h.Sum32()%one == 0 {
			return &rebased.Error{Kind: rebased.Rejected, Err: llm.ErrRefused}
		}
		return nil
	}
}

func TestATargetIsMetWithFurtherCandidatesInTheOrderOfRank(t *testing.T) {
	for _, target := range []int{1, 10, 17, 30} {
		w := newWorld()
		w.indexed(t, 120)
		w.teacher.Fail = refusingOneIn(3)
		yaml := fmt.Sprintf("%stransform: {target_rows: %d}\n", taskYAML, target)
		r, err := w.runBuild(t, w.environment(t), "1", yaml)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, r)
		asked, _ := w.teacher.Asked()
		if r.Rows != target || r.Detail != "" || r.Rejected[rebased.ReasonRefused] == 0 && target > 3 || r.Retrieved >= 60 && target < 30 || asked > r.Retrieved {
			t.Errorf("target %d: %+v, %d calls", target, r, asked)
		}
		again, err := w.runBuild(t, w.environment(t), "2", yaml)
		if err != nil || again.State != rebased.StateUnchanged || again.Version != r.Version || again.Calls.Made != 0 {
			t.Errorf("the same again: %+v, %v", again, err)
		}
	}
}

func TestABuildThatRunsOutOfCandidatesReleasesWhatItHasAndSaysSo(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.teacher.Fail = refusingOneIn(3)
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML+"transform: {target_rows: 60}\n")
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, r)
	if r.State != rebased.StateReleased || r.Retrieved != 60 || r.Rows >= 60 || !strings.Contains(r.Detail, "of the 60 rows of transform.target_rows") {
		t.Errorf("%+v", r)
	}
}

func TestGoodRowsBeyondTheTargetAreSurplusOfTheLowestRanks(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML+"transform: {target_rows: 10}\n")
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, r)
	if r.Rows != 10 || r.Rejected[rebased.ReasonSurplus] != r.Retrieved-10 || r.Retrieved == 10 {
		t.Errorf("%+v", r)
	}
	kept, err := mem.NewTable[rebased.Example](w.objects).Read(t.Context(), rebased.BuildKey("numbers", "1", "deduped", rebased.PartName(0)))
	if err != nil || len(kept) != 10 {
		t.Fatal(len(kept), err)
	}
	for rank, e := range kept {
		if e.Rank != rank {
			t.Errorf("the row of rank %d is in the place of %d", e.Rank, rank)
		}
	}
}
