package e2e

import (
	"maps"
	"strings"
	"testing"

	"github.com/rebased/rebased/infra/local/stacktest"
)

// refusedCase is something wrong that a build must refuse in one line, with exit status 2, before anything is spent.
type refusedCase struct {
	name   string
	worker []string       // environment of the worker
	client []string       // environment of the command
	task   map[string]any // changes of the task; nil values remove a key
	says   string
}

func TestABadBuildIsRefusedInOneLineAndSpendsNothing(t *testing.T) {
	t.Parallel()
	s, _ := demoStack(t, stacktest.Options{}, 20, nil)
	cases := []refusedCase{
		{name: "unknown key", task: map[string]any{"colour": "red"}, says: "colour"},
		{name: "wrong type", task: map[string]any{"retrieve": map[string]any{"rows": "many"}}, says: "retrieve.rows"},
		{name: "empty examples", task: map[string]any{"examples": []any{}}, says: "examples"},
		{name: "corpus that is not there", task: map[string]any{"corpus": "nowhere"}, says: "nowhere"},
		{name: "encoder of no index", task: map[string]any{"retrieve": map[string]any{"encoder": "openai:m"}}, says: "openai"},
		{name: "Temporal down", client: []string{"TEMPORAL_ADDRESS=127.0.0.1:1"}, says: "127.0.0.1:1"},
		{name: "teacher down", worker: []string{"OPENAI_BASE_URL=http://127.0.0.1:1/v1"}, says: "127.0.0.1:1"},
		{name: "teacher's key missing", worker: []string{"OPENAI_API_KEY="}, says: "OPENAI_API_KEY"},
		{name: "teacher's key wrong", worker: []string{"OPENAI_API_KEY=wrong"}, says: "OPENAI_API_KEY"},
		{name: "bucket not writable", worker: []string{"AWS_SECRET_ACCESS_KEY=wrong"}, says: "bucket"},
		{name: "Qdrant down", worker: []string{"QDRANT_URL=http://127.0.0.1:1"}, says: "127.0.0.1:1"},
	}
	before := statsOf(t, s).number(t, "requests")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.worker != nil {
				s.KillWorker()
				s.SetEnv(c.worker...)
				s.StartWorker()
				defer s.StartWorker()
				defer s.SetEnv()
				defer s.KillWorker()
			}
			s.SetEnv(c.client...)
			checkRefused(t, s, demoTask(t, 20, c.task), c.says)
			s.SetEnv()
		})
	}
	t.Run("no worker", func(t *testing.T) {
		s.KillWorker()
		checkRefused(t, s, demoTask(t, 20, nil), "worker")
	})
	if now := statsOf(t, s).number(t, "requests"); now != before {
		t.Errorf("%d teacher calls were made", now-before)
	}
	files := bucketOf(t, s).files("")
	maps.DeleteFunc(files, func(key, _ string) bool {
		return !strings.HasPrefix(key, "builds/") && !strings.HasPrefix(key, "datasets/") && !strings.HasPrefix(key, "responses/")
	})
	if len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestABuildOnACorpusWithoutAnIndexIsRefused(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	must(t, s, "corpus", "import", "hub", demoCorpus(t))
	checkRefused(t, s, demoTask(t, 20, nil), "rebased index hub")
}

func checkRefused(t *testing.T, s *stacktest.Stack, task, says string) {
	t.Helper()
	out, errs, code := s.Run("build", "-f", task)
	if code != 2 {
		t.Errorf("exit status %d, want 2: %s%s", code, out, errs)
	}
	if line := strings.TrimSpace(errs); strings.Contains(line, "\n") || !strings.Contains(line, says) {
		t.Errorf("want one line that says %q, got:\n%s", says, errs)
	}
}
