package app

import (
	"testing"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased/workflows"
)

// registered is the versioning behavior of each workflow, by name.
type registered struct {
	worker.WorkflowRegistry
	behavior map[string]workflow.VersioningBehavior
}

func (r registered) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r.behavior[o.Name] = o.VersioningBehavior
}

func TestHandoffsAloneMoveToTheCurrentVersionOfTheCode(t *testing.T) {
	r := registered{behavior: map[string]workflow.VersioningBehavior{}}
	registerWorkflows(r)
	if len(r.behavior) != 7 {
		t.Errorf("registered: %v", r.behavior)
	}
	for name, behavior := range r.behavior {
		want := workflow.VersioningBehaviorUnspecified // the worker's default: pinned
		if name == workflows.DeliverName {
			want = workflow.VersioningBehaviorAutoUpgrade
		}
		if behavior != want {
			t.Errorf("%s: %v", name, behavior)
		}
	}
	if o := deployment(worker.WorkerDeploymentVersion{DeploymentName: "rebased", BuildID: "v1"}); o.DefaultVersioningBehavior != workflow.VersioningBehaviorPinned {
		t.Errorf("the default is %v", o.DefaultVersioningBehavior)
	}
}
