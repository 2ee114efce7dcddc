package app

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
)

// TestTheTemplateShowsEveryKeyWithItsDefault takes the comment signs off the template's keys: what then stands there are the defaults.
func TestTheTemplateShowsEveryKeyWithItsDefault(t *testing.T) {
	text, err := renderTask("squad", []rebased.TaskExample{{Input: "a", Output: "b", Answer: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	file := strings.NewReplacer(`corpus: ""`, "corpus: hub", `instruction: ""`, "instruction: Answer.").Replace(string(text))
	file = regexp.MustCompile(`(?m)^# ( *[a-z_]+:( .*)?)$`).ReplaceAllString(file, "$1")

	got, err := taskfile.Decode("squad.yaml", []byte(file))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, file)
	}
	want := rebased.DefaultTask()
	want.Name, want.Corpus, want.Instruction = "squad", "hub", "Answer."
	want.Examples = []rebased.TaskExample{{Input: "a", Output: "b", Answer: "c"}}
	want.Output.Balance = &rebased.Balance{}
	want.Handoff.Workflow = &rebased.WorkflowSpec{Type: "Train", TaskQueue: "training"}
	want.Handoff.Nexus = &rebased.NexusSpec{Endpoint: "training", Service: "train", Operation: "start"}
	want.Handoff.Webhook = &rebased.WebhookSpec{URL: "https://ci.example.com/rebased"}
	want.Handoff.SQS = &rebased.SQSSpec{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/versions"}
	want.Handoff.Command = &rebased.CommandSpec{Name: "train"}
	want.Judge = &rebased.Judge{Rubric: "Right, and clear.", Teacher: &rebased.Teacher{}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got.Handoff.Command.Timeout = 1 // not said where it is the default
	encoded, err := taskfile.Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(encoded), "\n") {
		if key, _, ok := strings.Cut(line, ":"); ok && !strings.Contains(file, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(key), "- "))+":") {
			t.Errorf("the template does not show %q", key)
		}
	}
}
