package activities_test

import (
	"testing"

	"github.com/rebased/rebased/activities"
)

func TestStepsOfNightsAndHandoffsNameTheirTask(t *testing.T) {
	of := activities.OrderInput{Task: "squad", Version: "5fe8a3ff72e1", Target: "webhook"}
	build := activities.BuildRef{Task: "squad", Build: "nightly-1"}
	for _, in := range []any{
		build, activities.TakeOverInput{BuildRef: build}, activities.RejectInput{Task: "squad", Build: "nightly-1"}, activities.PauseScheduleInput{Task: "squad"},
		of, activities.DeliveredInput{OrderInput: of}, activities.DeliverInput{Message: activities.Message{Task: "squad", Build: "nightly-1"}},
	} {
		about, ok := in.(interface{ Subject() activities.Subject })
		if !ok || about.Subject().Task != "squad" {
			t.Errorf("%T says nothing of its task", in)
		}
	}
}
