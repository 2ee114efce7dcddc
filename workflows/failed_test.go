package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// A shard that fails for good ends its build, whatever the others wait for: nobody would wake them.
func TestAFailedShardEndsWhatTheOthersWaitFor(t *testing.T) {
	for name, c := range map[string]struct {
		yaml   string
		others func() (activities.ShardResult, error)
	}{
		"more budget": {budgetYAML + "budget: {tokens: 9000}\n", func() (activities.ShardResult, error) {
			return activities.ShardResult{Short: &rebased.Amount{Tokens: 100_000}}, nil
		}},
		"a person": {budgetYAML, func() (activities.ShardResult, error) {
			return activities.ShardResult{}, temporal.NewNonRetryableApplicationError("the quota is spent", string(rebased.Exhausted), nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.indexed(t, 300)
			env := w.environment(t)
			var a *activities.Transform
			env.OnActivity(a.TransformShard, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.ShardInput) (activities.ShardResult, error) {
				if in.Shard > 0 {
					return c.others()
				}
				return activities.ShardResult{}, temporal.NewNonRetryableApplicationError("the rows cannot be read", string(rebased.Invalid), nil)
			}).After(time.Minute)
			_, err := w.runBuild(t, env, "1", c.yaml)
			if err == nil || !strings.Contains(err.Error(), "the rows cannot be read") {
				t.Errorf("got %v", err)
			}
		})
	}
}
