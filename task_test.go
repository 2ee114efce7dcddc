package rebased_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// smallTask has what a user must give, and the defaults for the rest.
func smallTask() rebased.Task {
	task := rebased.DefaultTask()
	task.Name, task.Corpus, task.Instruction = "squad", "hub", "Write a question."
	task.Examples = []rebased.TaskExample{{Input: "in", Output: "out"}}
	return task
}

func TestTheRequiredFieldsAndTheDefaultsMakeATask(t *testing.T) {
	if err := smallTask().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValuesAtTheirBoundsAreAccepted(t *testing.T) {
	for name, change := range map[string]func(*rebased.Task){
		"name of 1":       func(t *rebased.Task) { t.Name = "-" },
		"name of 63":      func(t *rebased.Task) { t.Name = strings.Repeat("a", 63) },
		"corpus of 63":    func(t *rebased.Task) { t.Corpus = "0" + strings.Repeat(".", 62) },
		"instruction":     func(t *rebased.Task) { t.Instruction = strings.Repeat("x", 16_000) },
		"32 examples":     func(t *rebased.Task) { t.Examples = slices.Repeat(t.Examples, 32) },
		"example":         func(t *rebased.Task) { t.Examples[0].Input = strings.Repeat("x", 32_000-len("out")) },
		"encoder":         func(t *rebased.Task) { t.Retrieve.Encoder = "openai:m" },
		"1 row":           func(t *rebased.Task) { t.Retrieve.Rows = 1 },
		"1000000 rows":    func(t *rebased.Task) { t.Retrieve.Rows = 1_000_000 },
		"mode paper":      func(t *rebased.Task) { t.Retrieve.Mode = rebased.ModePaper },
		"1 a dataset":     func(t *rebased.Task) { t.Retrieve.MaxPerDataset = 1 },
		"glob":            func(t *rebased.Task) { t.Retrieve.Exclude = []string{"*squad*", "owner/[a-c]?"} },
		"base URL":        func(t *rebased.Task) { t.Transform.Teacher.BaseURL = "https://host/v1" },
		"temperature 0":   func(t *rebased.Task) { t.Transform.Teacher.Temperature = 0 },
		"temperature 2":   func(t *rebased.Task) { t.Transform.Teacher.Temperature = 2 },
		"1 token":         func(t *rebased.Task) { t.Transform.Teacher.MaxTokens = 1 },
		"128000 tokens":   func(t *rebased.Task) { t.Transform.Teacher.MaxTokens = 128_000 },
		"timeout 1":       func(t *rebased.Task) { t.Transform.Teacher.Timeout = 1 },
		"timeout 3600":    func(t *rebased.Task) { t.Transform.Teacher.Timeout = 3600 },
		"1 in flight":     func(t *rebased.Task) { t.Transform.Teacher.Limits.InFlight = 1 },
		"10000 in flight": func(t *rebased.Task) { t.Transform.Teacher.Limits.InFlight = 10_000 },
		"rationale":       func(t *rebased.Task) { t.Reason.Mode = rebased.ReasonRationale },
		"minhash off":     func(t *rebased.Task) { t.Dedupe.MinHash = 0 },
		"minhash 0.5":     func(t *rebased.Task) { t.Dedupe.MinHash = 0.5 },
		"minhash 1":       func(t *rebased.Task) { t.Dedupe.MinHash = 1 },
		"validation 0.5":  func(t *rebased.Task) { t.Output.Validation = 0.5 },
		"every format": func(t *rebased.Task) {
			t.Reason.Mode, t.Output.Formats = rebased.ReasonVerified, rebased.Formats()
		},
		"judge":        func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: "r", MinScore: 10} },
		"scores alone": func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: "r"} },
		"judge of another server": func(t *rebased.Task) {
			t.Judge = &rebased.Judge{Rubric: "r", Teacher: &rebased.Teacher{Provider: "anthropic", Model: "m", Temperature: 1}}
		},
		"judge in batches": func(t *rebased.Task) {
			t.Transform.Batch, t.Judge = true, &rebased.Judge{Rubric: "r", Teacher: &rebased.Teacher{Model: "m"}}
		},
		"no format": func(t *rebased.Task) { t.Output.Formats = nil },
		"workflow to follow": func(t *rebased.Task) {
			t.Handoff.Workflow = &rebased.WorkflowSpec{Type: "Train", TaskQueue: "training"}
		},
		"every target": func(t *rebased.Task) {
			t.Handoff = rebased.Handoff{
				Workflow: &rebased.WorkflowSpec{Type: "Train", TaskQueue: "training"}, Nexus: &rebased.NexusSpec{Endpoint: "e", Service: "s", Operation: "o"},
				Webhook: &rebased.WebhookSpec{URL: "https://[2001:db8::1]:8443/x"}, SQS: &rebased.SQSSpec{QueueURL: "http://localhost:9324/q"},
				Command: &rebased.CommandSpec{Name: "train", Timeout: 86_400},
			}
		},
	} {
		task := smallTask()
		change(&task)
		if err := task.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAValueOutOfBoundsIsRefusedWithItsPathAndItsBound(t *testing.T) {
	for _, c := range []struct {
		path, says string
		change     func(*rebased.Task)
	}{
		{"apiVersion", `"rebased/v1", got "v2"`, func(t *rebased.Task) { t.APIVersion = "v2" }},
		{"name", "required", func(t *rebased.Task) { t.Name = "" }},
		{"judge.rubric", "required", func(t *rebased.Task) { t.Judge = &rebased.Judge{MinScore: 5} }},
		{"judge.rubric", "16000", func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: strings.Repeat("r", 16_001)} }},
		{"judge.min_score", "between 1 and 10, got 0.5", func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: "r", MinScore: 0.5} }},
		{"judge.min_score", "between 1 and 10, got 10.5", func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: "r", MinScore: 10.5} }},
		{"judge.min_score", "got NaN", func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: "r", MinScore: math.NaN()} }},
		{"judge.teacher.provider", `got "x"`, func(t *rebased.Task) { t.Judge = &rebased.Judge{Rubric: "r", Teacher: &rebased.Teacher{Provider: "x"}} }},
		{"judge.teacher.temperature", "provider anthropic", func(t *rebased.Task) {
			t.Judge = &rebased.Judge{Rubric: "r", Teacher: &rebased.Teacher{Provider: "anthropic", Temperature: 1.5}}
		}},
		{"judge.teacher.limits.rpm", "got -1", func(t *rebased.Task) {
			t.Judge = &rebased.Judge{Rubric: "r", Teacher: &rebased.Teacher{Limits: rebased.Limits{RPM: -1}}}
		}},
		{"judge.teacher", "transform.batch", func(t *rebased.Task) {
			t.Transform.Batch, t.Judge = true, &rebased.Judge{Rubric: "r", Teacher: &rebased.Teacher{BaseURL: "http://other"}}
		}},
		{"output.formats[0]", "reason.mode: verified", func(t *rebased.Task) {
			t.Reason.Mode, t.Output.Formats = rebased.ReasonRationale, []string{rebased.FormatPreference}
		}},
		{"name", "63", func(t *rebased.Task) { t.Name = strings.Repeat("a", 64) }},
		{"name", `"../x"`, func(t *rebased.Task) { t.Name = "../x" }},
		{"name", `"Squad"`, func(t *rebased.Task) { t.Name = "Squad" }},
		{"name", `"a\n"`, func(t *rebased.Task) { t.Name = "a\n" }},
		{"corpus", "required", func(t *rebased.Task) { t.Corpus = "" }},
		{"corpus", `".."`, func(t *rebased.Task) { t.Corpus = ".." }},
		{"corpus", `"a/b"`, func(t *rebased.Task) { t.Corpus = "a/b" }},
		{"corpus", "63", func(t *rebased.Task) { t.Corpus = strings.Repeat("a", 64) }},
		{"instruction", "required", func(t *rebased.Task) { t.Instruction = " \n" }},
		{"instruction", "16000 bytes, has 16001", func(t *rebased.Task) { t.Instruction = strings.Repeat("x", 16_001) }},
		{"examples", "at least one", func(t *rebased.Task) { t.Examples = nil }},
		{"examples", "32 entries, has 33", func(t *rebased.Task) { t.Examples = slices.Repeat(t.Examples, 33) }},
		{"examples[0].input", "empty", func(t *rebased.Task) { t.Examples[0].Input = "\t" }},
		{"examples[1].output", "empty", func(t *rebased.Task) { t.Examples = append(t.Examples, rebased.TaskExample{Input: "in"}) }},
		{"examples[0]", "32000 bytes, has 32001", func(t *rebased.Task) { t.Examples[0].Input = strings.Repeat("x", 32_001-len("out")) }},
		{"retrieve.encoder", "openai:<model>", func(t *rebased.Task) { t.Retrieve.Encoder = "" }},
		{"retrieve.encoder", `"openai:"`, func(t *rebased.Task) { t.Retrieve.Encoder = "openai:" }},
		{"retrieve.encoder", `"bert"`, func(t *rebased.Task) { t.Retrieve.Encoder = "bert" }},
		{"retrieve.rows", "got 0", func(t *rebased.Task) { t.Retrieve.Rows = 0 }},
		{"retrieve.rows", "1000000, got 1000001", func(t *rebased.Task) { t.Retrieve.Rows = 1_000_001 }},
		{"retrieve.mode", "diverse or paper", func(t *rebased.Task) { t.Retrieve.Mode = "" }},
		{"retrieve.max_per_dataset", "between 1 and 1000000, got 0", func(t *rebased.Task) { t.Retrieve.MaxPerDataset = 0 }},
		{"retrieve.max_per_dataset", "between 1 and 1000000, got 1000001", func(t *rebased.Task) { t.Retrieve.MaxPerDataset = 1_000_001 }},
		{"retrieve.exclude[1]", `"[a"`, func(t *rebased.Task) { t.Retrieve.Exclude = []string{"a", "[a"} }},
		{"retrieve.exclude[0]", `""`, func(t *rebased.Task) { t.Retrieve.Exclude = []string{""} }},
		{"transform.teacher.provider", `"acme"`, func(t *rebased.Task) { t.Transform.Teacher.Provider = "acme" }},
		{"transform.teacher.base_url", "http://", func(t *rebased.Task) { t.Transform.Teacher.BaseURL = "localhost:80" }},
		{"transform.teacher.base_url", "credentials", func(t *rebased.Task) { t.Transform.Teacher.BaseURL = "http://u:hush@host" }},
		{"transform.teacher.temperature", "2, got 2.5", func(t *rebased.Task) { t.Transform.Teacher.Temperature = 2.5 }},
		{"transform.teacher.temperature", "1 with provider anthropic, got 1.5", func(t *rebased.Task) {
			t.Transform.Teacher.Provider, t.Transform.Teacher.Temperature = rebased.ProviderAnthropic, 1.5
		}},
		{"transform.teacher.temperature", "1 with provider bedrock, got 1.5", func(t *rebased.Task) {
			t.Transform.Teacher.Provider, t.Transform.Teacher.Temperature = rebased.ProviderBedrock, 1.5
		}},
		{"transform.teacher.temperature", "got -0.1", func(t *rebased.Task) { t.Transform.Teacher.Temperature = -0.1 }},
		{"transform.teacher.temperature", "NaN", func(t *rebased.Task) { t.Transform.Teacher.Temperature = math.NaN() }},
		{"transform.teacher.max_tokens", "got 0", func(t *rebased.Task) { t.Transform.Teacher.MaxTokens = 0 }},
		{"transform.teacher.max_tokens", "128000, got 128001", func(t *rebased.Task) { t.Transform.Teacher.MaxTokens = 128_001 }},
		{"transform.teacher.timeout", "got 0", func(t *rebased.Task) { t.Transform.Teacher.Timeout = 0 }},
		{"transform.teacher.timeout", "3600 seconds, got 3601", func(t *rebased.Task) { t.Transform.Teacher.Timeout = 3601 }},
		{"transform.teacher.limits.in_flight", "got -1", func(t *rebased.Task) { t.Transform.Teacher.Limits.InFlight = -1 }},
		{"transform.teacher.limits.rpm", "got -1", func(t *rebased.Task) { t.Transform.Teacher.Limits.RPM = -1 }},
		{"transform.teacher.limits.tpm", "got -1", func(t *rebased.Task) { t.Transform.Teacher.Limits.TPM = -1 }},
		{"budget.usd", "at most 1000000, got 1.000001e+06", func(t *rebased.Task) { t.Budget.USD = 1_000_001 }},
		{"budget.usd", "NaN", func(t *rebased.Task) { t.Budget.USD = math.NaN() }},
		{"budget.tokens", "got -1", func(t *rebased.Task) { t.Budget.Tokens = -1 }},
		{"transform.teacher.limits.in_flight", "10000, got 10001", func(t *rebased.Task) { t.Transform.Teacher.Limits.InFlight = 10_001 }},
		{"reason.mode", `none, rationale or verified, got "deep"`, func(t *rebased.Task) { t.Reason.Mode = "deep" }},
		{"transform.constraints.pattern", `got "("`, func(t *rebased.Task) { t.Transform.Constraints.Pattern = "(" }},
		{"transform.constraints.pattern", "control characters", func(t *rebased.Task) { t.Transform.Constraints.Pattern = "a\nb" }},
		{"transform.constraints.format", `re2, got "cobol"`, func(t *rebased.Task) { t.Transform.Constraints.Format = "cobol" }},
		{"transform.constraints.schema", "needs format: json", func(t *rebased.Task) { t.Transform.Constraints.Schema = "{}" }},
		{"transform.constraints.min_chars", "max_chars (2), got 3", func(t *rebased.Task) { t.Transform.Constraints.MinChars, t.Transform.Constraints.MaxChars = 3, 2 }},
		{"transform.constraints.labels[1]", "white space", func(t *rebased.Task) { t.Transform.Constraints.Labels = []string{"a", " b"} }},
		{"transform.target_rows", "retrieve.rows (3000), got 3001", func(t *rebased.Task) { t.Transform.TargetRows = 3001 }},
		{"reason.samples", "1 and 64, got 65", func(t *rebased.Task) { t.Reason.Samples = 65 }},
		{"reason.agree", "reason.samples (3), got 4", func(t *rebased.Task) { t.Reason.Agree = 4 }},
		{"answer.type", `got "essay"`, func(t *rebased.Task) { t.Answer.Type = "essay" }},
		{"answer.pattern", `got "("`, func(t *rebased.Task) { t.Answer.Pattern, t.Reason.Mode = "(", rebased.ReasonVerified }},
		{"answer.pattern", "remove it", func(t *rebased.Task) { t.Answer.Pattern = "x" }},
		{"dedupe.minhash", "0.5 and 1, got 0.49", func(t *rebased.Task) { t.Dedupe.MinHash = 0.49 }},
		{"dedupe.minhash", "got 1.01", func(t *rebased.Task) { t.Dedupe.MinHash = 1.01 }},
		{"dedupe.minhash", "got -1", func(t *rebased.Task) { t.Dedupe.MinHash = -1 }},
		{"dedupe.minhash", "NaN", func(t *rebased.Task) { t.Dedupe.MinHash = math.NaN() }},
		{"output.validation", "0.5, got 0.51", func(t *rebased.Task) { t.Output.Validation = 0.51 }},
		{"output.validation", "got -0.1", func(t *rebased.Task) { t.Output.Validation = -0.1 }},
		{"output.validation", "NaN", func(t *rebased.Task) { t.Output.Validation = math.NaN() }},
		{"output.formats[1]", `preference, got "xml"`, func(t *rebased.Task) { t.Output.Formats = []string{"alpaca", "xml"} }},
		{"output.formats[1]", `repeats "alpaca"`, func(t *rebased.Task) { t.Output.Formats = []string{"alpaca", "alpaca"} }},
		{"handoff.approval_deadline", "1m to 8760h", func(t *rebased.Task) { t.Handoff.ApprovalDeadline = "3 days" }},
		{"handoff.approval_deadline", "1m to 8760h", func(t *rebased.Task) { t.Handoff.ApprovalDeadline = "30s" }},
		{"handoff.approval_default", "approve, reject", func(t *rebased.Task) { t.Handoff.ApprovalDefault = "yes" }},
		{"handoff.workflow.type", "required", func(t *rebased.Task) { t.Handoff.Workflow = &rebased.WorkflowSpec{TaskQueue: "q"} }},
		{"handoff.nexus.service", "required", func(t *rebased.Task) { t.Handoff.Nexus = &rebased.NexusSpec{Endpoint: "e", Operation: "o"} }},
		{"handoff.nexus.operation", "1000 bytes, has 1001", func(t *rebased.Task) {
			t.Handoff.Nexus = &rebased.NexusSpec{Endpoint: "e", Service: "s", Operation: strings.Repeat("o", 1001)}
		}},
		{"handoff.webhook.url", `https:// and a host, got "ftp://a"`, func(t *rebased.Task) { t.Handoff.Webhook = &rebased.WebhookSpec{URL: "ftp://a"} }},
		{"handoff.webhook.url", "https:// and a host", func(t *rebased.Task) { t.Handoff.Webhook = &rebased.WebhookSpec{URL: "https://:443/"} }},
		{"handoff.webhook.url", "credentials", func(t *rebased.Task) { t.Handoff.Webhook = &rebased.WebhookSpec{URL: "https://ann:hush@a/"} }},
		{"handoff.webhook.url", "fragment", func(t *rebased.Task) { t.Handoff.Webhook = &rebased.WebhookSpec{URL: "https://a/#b"} }},
		{"handoff.sqs.queue_url", "https:// and a host", func(t *rebased.Task) { t.Handoff.SQS = &rebased.SQSSpec{QueueURL: "versions"} }},
		{"handoff.command.name", "REBASED_HANDOFF_COMMANDS", func(t *rebased.Task) { t.Handoff.Command = &rebased.CommandSpec{Name: "../train"} }},
		{"handoff.command.timeout", "86400 seconds, got 86401", func(t *rebased.Task) { t.Handoff.Command = &rebased.CommandSpec{Name: "train", Timeout: 86_401} }},
		{"handoff.workflow.task_queue", "required", func(t *rebased.Task) { t.Handoff.Workflow = &rebased.WorkflowSpec{Type: "Train"} }},
	} {
		t.Run(fmt.Sprintf("%s says %s", c.path, c.says), func(t *testing.T) {
			task := smallTask()
			c.change(&task)
			err := task.Validate()
			var field *rebased.FieldError
			if !errors.As(err, &field) || field.Path != c.path || !strings.Contains(field.Message, c.says) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q shows a secret or is more than a line", err)
			}
		})
	}
}

func TestRetrievalAimsAtTheAnswerWhereThereIsOne(t *testing.T) {
	for want, e := range map[string]rebased.TaskExample{"out": {Output: "out"}, "short": {Output: "out", Answer: "short"}} {
		if got := e.Target(); got != want {
			t.Errorf("%+v: got %q, want %q", e, got, want)
		}
	}
}
