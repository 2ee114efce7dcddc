package activities

import (
	"fmt"
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// oneTask decodes every task file to the same task.
type oneTask struct {
	Tasks
	task rebased.Task
}

func (t oneTask) Decode(string, []byte) (rebased.Task, error) { return t.task, nil }

func TestAVersionIsMadeOfAllPartsInOrder(t *testing.T) {
	for parts, want := range map[int]int{0: 1, 1: 1, 3: 3} { // 0: an input of before there were parts
		objects := mem.NewObjects()
		task := rebased.DefaultTask()
		task.Name = "squad"
		build := &Build{Objects: objects, Tasks: oneTask{task: task}, Examples: mem.NewTable[rebased.Example](objects)}
		ref := BuildRef{Task: "squad", Build: "1", TaskKey: "task.yaml"}
		var lines strings.Builder
		for part := range 3 {
			row := rebased.Example{Input: fmt.Sprint("in ", part), Output: "out"}
			if part < want {
				fmt.Fprintf(&lines, `{"messages":[{"role":"system","content":""},{"role":"user","content":"%s"},{"role":"assistant","content":"out"}]}`+"\n", row.Input)
			}
			if _, err := build.Examples.Write(t.Context(), ref.key(folderDeduped, part), []rebased.Example{row}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := objects.Put(t.Context(), ref.TaskKey, nil); err != nil {
			t.Fatal(err)
		}
		step := &Handoff{Build: build, URI: "s3://bucket"}
		env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
		env.RegisterActivity(step)
		done, err := env.ExecuteActivity(step.Stage, StageInput{BuildRef: ref, Retrieved: want, Parts: parts})
		if err != nil {
			t.Fatal(err)
		}
		var result StageResult
		if err := done.Get(&result); err != nil {
			t.Fatal(err)
		}
		got, _, err := objects.Get(t.Context(), rebased.VersionKey("squad", result.Version, "train.messages.jsonl"))
		if err != nil || string(got) != lines.String() {
			t.Errorf("%d parts: %v\n%s\nwant\n%s", parts, err, got, &lines)
		}
	}
}
