package activities

import (
	"fmt"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/activities/transform"
	"github.com/rebased/rebased/infra/mem"
)

// oneTeacher is the teacher of every task.
type oneTeacher struct {
	Teachers
	teacher llm.Teacher
}

func (t oneTeacher) Open(rebased.Teacher) (llm.Teacher, error) { return t.teacher, nil }

func TestAShardThatIsTriedAgainLeavesNoRejectsOfTheAttemptBefore(t *testing.T) {
	objects, teacher := mem.NewObjects(), &mem.Teacher{}
	task := rebased.DefaultTask()
	task.Name, task.Instruction, task.Examples = "squad", "Answer.", []rebased.TaskExample{{Input: "a", Output: "b"}}
	steps := &Transform{Teaching: &Teaching{
		Build: &Build{
			Objects: objects, Tasks: oneTask{task: task}, Candidates: mem.NewTable[rebased.Candidate](objects),
			Examples: mem.NewTable[rebased.Example](objects), Rejects: mem.NewTable[rebased.Reject](objects),
		},
		Teachers: oneTeacher{teacher: teacher}, Store: llm.NewStore(objects),
	}}
	in := ShardInput{BuildRef: BuildRef{Task: "squad", Build: "1", TaskKey: "task.yaml"}, Share: Share{InFlight: 1, Last: true}}
	if _, err := objects.Put(t.Context(), in.TaskKey, nil); err != nil {
		t.Fatal(err)
	}
	var candidates []rebased.Candidate
	for i := range 3 {
		c := rebased.Candidate{Rank: i}
		c.ID, c.Cells = rebased.RowID(fmt.Sprint("row", i)), []rebased.Cell{{Column: "question", Text: fmt.Sprint("what is ", i)}}
		candidates = append(candidates, c)
	}
	if _, err := steps.Candidates.Write(t.Context(), in.key(folderRetrieved, 0), candidates); err != nil {
		t.Fatal(err)
	}
	suite := testsuite.WorkflowTestSuite{}
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(steps)
	for attempt, refused := range []int{3, 0} {
		teacher.Fail = nil
		if refused > 0 {
			teacher.Fail = func(llm.Request) error { return &rebased.Error{Kind: rebased.Rejected, Err: llm.ErrRefused} }
		}
		got, err := env.ExecuteActivity(steps.TransformShard, in)
		if err != nil {
			t.Fatal(err)
		}
		var result ShardResult
		if err := got.Get(&result); err != nil || result.Rejected[rebased.ReasonRefused] != refused || result.Rows != 3-refused {
			t.Fatalf("attempt %d: %+v, %v", attempt, result, err)
		}
		rejects, err := readParts(t.Context(), objects, steps.Rejects, in.BuildRef, folderRejects, transform.Step+"-")
		if err != nil || len(rejects) != refused {
			t.Errorf("attempt %d: %d rejects lie in the bucket, %d are counted, %v", attempt, len(rejects), refused, err)
		}
	}
}
