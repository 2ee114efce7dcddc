package taskfile_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
)

const minimal = `name: squad
corpus: hub
instruction: Answer the question.
examples:
  - input: "Who wrote Emma?"
    output: Jane Austen
`

func TestDecodePutsWhatTheFileSaysOverTheDefaults(t *testing.T) {
	want := rebased.DefaultTask()
	want.Name, want.Corpus, want.Instruction = "squad", "hub", "Answer the question."
	want.Examples = []rebased.TaskExample{{Input: "Who wrote Emma?", Output: "Jane Austen"}}

	got, err := taskfile.Decode("task.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the four required keys alone (-want +got):\n%s", d)
	}

	want.Retrieve.Rows = 10
	want.Dedupe.MinHash = 0
	want.Transform.Teacher.Temperature = 1
	want.Handoff.Workflow = &rebased.WorkflowSpec{Type: "Train", TaskQueue: "gpu"}
	got, err = taskfile.Decode("task.yaml", []byte(minimal+`
retrieve: {rows: 10}
dedupe: {minhash: off}
transform: {teacher: {temperature: 1}}
handoff:
  workflow: {type: Train, task_queue: gpu}
`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("with some keys (-want +got):\n%s", d)
	}
}

func TestDecodeReadsJSONAndForeignLineEnds(t *testing.T) {
	want, err := taskfile.Decode("task.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"JSON":          `{"name":"squad","corpus":"hub","instruction":"Answer the question.","examples":[{"input":"Who wrote Emma?","output":"Jane Austen"}]}`,
		"CRLF and mark": "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"),
		"document mark": "---\n" + minimal + "...\n",
	} {
		got, err := taskfile.Decode("task.yaml", []byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestDecodeRefusesInOneLineWithFileLineAndKey(t *testing.T) {
	cases := []struct{ name, file, want string }{
		{"out of bounds", minimal + "retrieve:\n  rows: 0\n", "task.yaml:8: retrieve.rows: must be between 1 and 1000000, got 0"},
		{"missing", "corpus: hub\n", "task.yaml:1: name: is required"},
		{"missing in a list", strings.Replace(minimal, "    output: Jane Austen\n", "", 1), "task.yaml:5: examples[0].output: is required and must not be empty"},
		{"no examples", strings.Replace(minimal, "examples:\n  - input: \"Who wrote Emma?\"\n    output: Jane Austen\n", "examples: []\n", 1),
			"task.yaml:4: examples: needs at least one example with input and output (three work best)"},
		{"mistyped key", minimal + "retrieve:\n  row: 5\n", "task.yaml:8: retrieve.row: is not a key of the task file: did you mean retrieve.rows?"},
		{"key in the wrong place", minimal + "temperature: 1\n", "task.yaml:7: temperature: is not a key of the task file: did you mean transform.teacher.temperature?"},
		{"strange key", minimal + "dedupe: {wibble: 1}\n", "task.yaml:7: dedupe.wibble: is not a key of the task file: known here are exact, minhash, semantic, against"},
		{"queue as a list", minimal + "handoff: {sqs: []}\n", "task.yaml:7: handoff.sqs: must be a mapping of keys to values, got a list"},
		{"credentials of a webhook", minimal + "handoff:\n  webhook: {url: \"https://ann:hush@ci.test/\"}\n", "task.yaml:8: handoff.webhook.url: must not hold credentials: they come from the worker's environment"},
		{"command with a path", minimal + "handoff:\n  command: {name: /bin/sh}\n", `task.yaml:8: handoff.command.name: must be 1 to 63 of a-z, 0-9 and -, a name of the worker's REBASED_HANDOFF_COMMANDS, got "/bin/sh"`},
		{"meaning by words", minimal + "dedupe:\n  semantic: {encoder: static}\n", `task.yaml:8: dedupe.semantic.encoder: must be transformer:<model> or openai:<model>, ` +
			`got "static": a static encoder sums up words, so that rows which differ in their order, a number or a "not" are one to it`},
		{"meaning by nothing", minimal + "dedupe: {semantic: {threshold: 0.9}}\n",
			`task.yaml:7: dedupe.semantic.encoder: must be transformer:<model> or openai:<model>, got ""`},
		{"word for semantic", minimal + "dedupe: {semantic: none}\n", `task.yaml:7: dedupe.semantic: must be off or a mapping of keys to values, got the text "none"`},
		{"against itself", minimal + "dedupe:\n  against:\n    - other\n    - squad@0123456789ab\n", "task.yaml:10: dedupe.against[1]: is the task itself, " +
			"whose next build would remove its own rows: use output: {mode: delta} for versions that hold new rows only"},
		{"against no file of rows", minimal + "dedupe: {against: [held.txt]}\n",
			`task.yaml:7: dedupe.against[0]: must be a released version (task or task@version) or a file (.jsonl .csv .parquet), got "held.txt"`},
		{"against without a rule", minimal + "dedupe: {against: [other], exact: false, minhash: off}\n",
			"task.yaml:7: dedupe.against: needs a rule to compare by: exact, minhash or semantic"},
		{"delta without a rule", minimal + "dedupe: {exact: false, minhash: off}\noutput: {mode: delta}\n",
			"task.yaml:8: output.mode: delta needs a rule of dedupe that tells what is new: exact, minhash or semantic"},
		{"delta that must not drop", minimal + "gates: {max_drop: 0.2}\noutput: {mode: delta}\n",
			"task.yaml:7: gates.max_drop: compares with the latest version, of which a delta holds the new rows alone: remove it, or output.mode: delta"},
		{"rerank without an encoder", minimal + "retrieve:\n  rerank: {depth: 5000}\n",
			`task.yaml:8: retrieve.rerank.encoder: must be transformer:<model>, openai:<model> or static:<model>, got ""`},
		{"rerank by the same encoder", minimal + "retrieve:\n  encoder: 'openai:m'\n  rerank: {encoder: 'openai:m'}\n",
			`task.yaml:9: retrieve.rerank.encoder: must be another one than retrieve.encoder, got "openai:m"`},
		{"rerank of too few", minimal + "retrieve:\n  rerank: {encoder: 'openai:m', depth: 2999}\n",
			"task.yaml:8: retrieve.rerank.depth: must be between retrieve.rows (3000) and 10000000, got 2999"},
		{"rerank by one row", minimal + "retrieve:\n  rerank: {encoder: 'openai:m', sample: 1}\n",
			"task.yaml:8: retrieve.rerank.sample: must be between 2 and 1000, got 1"},
		{"cap of nothing", minimal + "budget: {usd: 0}\n", "task.yaml:7: budget.usd: must be none or more than 0, got 0"},
		{"cap below nothing", minimal + "budget: {tokens: -1}\n", "task.yaml:7: budget.tokens: must be none, or at least 1, got -1"},
		{"cap beyond counting", minimal + "budget: {usd: 10000000}\n", "task.yaml:7: budget.usd: must be none, or more than 0 and at most 1000000, got 1e+07"},
		{"word for a cap", minimal + "budget: {usd: off}\n", `task.yaml:7: budget.usd: must be none or a number, got the text "off"`},
		{"fraction of a request", minimal + "transform: {teacher: {limits: {rpm: 0.5}}}\n",
			"task.yaml:7: transform.teacher.limits.rpm: must be none or a whole number, got 0.5"},
		{"duplicate", minimal + "name: other\n", "task.yaml:7: name: is given twice, first in line 1"},
		{"text for a number", minimal + "retrieve: {rows: many}\n", `task.yaml:7: retrieve.rows: must be a whole number, got the text "many"`},
		{"fraction for a whole number", minimal + "retrieve: {rows: 1.5}\n", "task.yaml:7: retrieve.rows: must be a whole number, got 1.5"},
		{"huge number", minimal + "retrieve: {rows: 18446744073709551615}\n", "task.yaml:7: retrieve.rows: must be between 1 and 1000000, got 9223372036854775807"},
		{"no such trainer", minimal + "output: {configs: [trl, keras]}\n", `task.yaml:7: output.configs[1]: must be one of trl, axolotl, llamafactory, unsloth, got "keras"`},
		{"a trainer twice", minimal + "output: {configs: [trl, trl]}\n", `task.yaml:7: output.configs[1]: repeats "trl"`},
		{"a trainer without its format", minimal + "output: {formats: [alpaca], configs: [trl]}\n",
			"task.yaml:7: output.configs[0]: trl needs one of messages, prompt-completion among output.formats"},
		{"a student that nobody trains", minimal + "output: {student: a/b}\n",
			"task.yaml:7: output.student: is the model that output.configs train: name trainers there, or remove it"},
		{"a student that is no name", minimal + "output: {configs: [trl], student: \"a b: c\"}\n",
			`task.yaml:7: output.student: must be a model of the hub, owner/name, or a folder, of up to 200 letters, digits and ._/~-, got "a b: c"`},
		{"number for text", strings.Replace(minimal, "Jane Austen", "1815", 1), "task.yaml:6: examples[0].output: must be text, got 1815: put it in quotes"},
		{"list for text", minimal + "output: {license: [mit]}\n", "task.yaml:7: output.license: must be text, got a list"},
		{"text for a list", minimal + "output: {formats: messages}\n", `task.yaml:7: output.formats: must be a list, got the text "messages"`},
		{"text for a mapping", minimal + "retrieve: fast\n", `task.yaml:7: retrieve: must be a mapping of keys to values, got the text "fast"`},
		{"nothing", minimal + "retrieve:\n", "task.yaml:7: retrieve: must be a mapping of keys to values, got nothing: give a value or remove the key"},
		{"old boolean", minimal + "dedupe: {exact: yes}\n", `task.yaml:7: dedupe.exact: must be true or false, got the text "yes"`},
		{"word for minhash", minimal + "dedupe: {minhash: none}\n", `task.yaml:7: dedupe.minhash: must be off or a number, got the text "none"`},
		{"no number", minimal + "dedupe: {minhash: .nan}\n", "task.yaml:7: dedupe.minhash: must be off or a number, got .nan"},
		{"infinite", minimal + "output: {validation: .inf}\n", "task.yaml:7: output.validation: must be a number, got .inf"},
		{"alias", minimal + "retrieve: &a {rows: 1}\n", "task.yaml:7: retrieve: anchors and aliases are not supported: write the value out"},
		{"merge", minimal + "<<: {rows: 1}\n", "task.yaml:7: << is not a key: write key: value"},
		{"tag", minimal + "output: {license: !!str 1}\n", "task.yaml:7: output.license: tags are not supported: write the value alone"},
		{"two documents", minimal + "---\n" + minimal, "task.yaml:8: holds a second document: write one task a file"},
		{"directive", "%YAML 1.2\n---\n" + minimal, "task.yaml:1: directives are not supported: remove the line that starts with %"},
		{"empty", "# nothing\n", "task.yaml:1: is empty: name, corpus, instruction and examples are required"},
		{"not a mapping", "- a\n", "task.yaml:1: must be a mapping of keys to values, got a list"},
		{"not YAML", minimal + "retrieve: {rows: 1\n", "task.yaml:7: is not YAML: could not find flow mapping end token '}'"},
		{"not UTF-8", "name: a\ncorpus: \xff\n", "task.yaml:2: is not UTF-8: save the file with that encoding"},
		{"too large", minimal + strings.Repeat("# wide\n", 150_000), "task.yaml:1: has 1050121 bytes: a task file has at most 1048576"},
		{"deep brackets", strings.Repeat("[", 5_000), "task.yaml:1: is nested more than 32 deep"},
		{"deep lists", strings.Repeat("- ", 5_000), "task.yaml:1: is nested more than 32 deep"},
		{"many keys", minimal + strings.Repeat("k: 1\n", 100_000), "task.yaml:3334: has more than 10000 words and signs: is it a task file?"},
		{"many empty lines", minimal + strings.Repeat(" \n", 200), "task.yaml:107: has more than 100 empty lines in a row"},
		{"foreign line ends", strings.ReplaceAll(minimal+"retrieve:\n  rows: 0\n", "\n", "\r\n"), "task.yaml:8: retrieve.rows: must be between 1 and 1000000, got 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := taskfile.Decode("task.yaml", []byte(c.file))
			if err == nil {
				t.Fatalf("accepted; want %q", c.want)
			}
			if err.Error() != c.want {
				t.Errorf("\n got %s\nwant %s", err, c.want)
			}
			if kind := rebased.KindOf(err); kind != rebased.Invalid {
				t.Errorf("kind = %q, want invalid", kind)
			}
		})
	}
}

func TestErrorAtNamesTheLineOfAKeyOrOfTheOneAboveIt(t *testing.T) {
	for path, want := range map[string]string{
		"corpus":               `task.yaml:2: corpus: "hub" is not imported`,
		"examples[0].output":   `task.yaml:6: examples[0].output: "hub" is not imported`,
		"examples[0].answer":   `task.yaml:5: examples[0].answer: "hub" is not imported`,
		"retrieve.encoder":     `task.yaml:1: retrieve.encoder: "hub" is not imported`,
		"transform.teacher.at": `task.yaml:1: transform.teacher.at: "hub" is not imported`,
	} {
		if err := taskfile.ErrorAt("task.yaml", []byte(minimal), path, "%q is not imported", "hub"); err.Error() != want {
			t.Errorf("\n got %s\nwant %s", err, want)
		}
	}
}

// everyField gives each field of a task a value that is not its default.
func everyField() rebased.Task {
	return rebased.Task{
		APIVersion: rebased.APIVersion, Name: "a-1", Corpus: "c.1", Instruction: "First line.\n\nThird line: done.",
		Examples: []rebased.TaskExample{{Input: "in", Output: "out\n"}, {Input: "- \"x\"\t\u2028", Output: "yes", Answer: "007"}},
		Retrieve: rebased.Retrieve{Encoder: "openai:m", Rows: 7, Mode: rebased.ModePaper, MaxPerDataset: 2, Exclude: []string{"*squad*", "a/b"},
			Licenses: []string{"mit"}, MinScore: 0.25, Rerank: &rebased.Rerank{Encoder: "transformer:m", Depth: 70, Sample: 4}},
		Transform: rebased.Transform{Teacher: rebased.Teacher{
			Provider: "openai", Model: "m", BaseURL: "http://localhost:1/v1", Temperature: 0.25, MaxTokens: 9, Timeout: 8, Limits: rebased.Limits{InFlight: 3, RPM: 4, TPM: 5},
		}, Batch: true, CellChars: 900, TargetRows: 6, Constraints: rebased.Constraints{
			Span: true, Labels: []string{"(A)", "no"}, Pattern: `.+`, Format: "json", Schema: `{"type": "string"}`, MinChars: 1, MaxChars: 99, Language: "de",
		}},
		Answer: rebased.AnswerSpec{Type: rebased.AnswerNumber, Pattern: `#### (\d+)`},
		Reason: rebased.ReasonStep{Mode: rebased.ReasonVerified, Samples: 5, Agree: 4, Majority: true},
		Judge: &rebased.Judge{Rubric: "r", MinScore: 7.5, Teacher: &rebased.Teacher{
			Provider: "openai", Model: "j", BaseURL: "http://localhost:1/v1", Temperature: 0.5, MaxTokens: 90, Timeout: 80, Limits: rebased.Limits{InFlight: 30, RPM: 40, TPM: 50},
		}},
		Dedupe:        rebased.Dedupe{Exact: false, MinHash: 0.5, Semantic: &rebased.Semantic{Encoder: "openai:m", Threshold: 0.9}, Against: []string{"other", "held.jsonl"}},
		Decontaminate: rebased.Decontaminate{Files: []string{"dev.jsonl"}, NGram: 8},
		Output: rebased.Output{Formats: []string{"alpaca", "preference"}, Validation: 0.1, License: "cc-by-4.0", Tokenizer: "hf://owner/student@main", Balance: &rebased.Balance{MaxShare: 0.5},
			Configs: []string{"axolotl", "llamafactory"}, Student: "owner/student-1B", System: "Be brief."},
		Gates: rebased.Gates{MinParsed: 0.1, MinAgreement: 0.2, MinInInput: 0.3, MaxDuplicates: 0.4, MaxLabelShare: 0.5, MaxDrop: 0.6, MaxByRule: 0.7},
		Handoff: rebased.Handoff{
			Approval: true, ApprovalDeadline: "72h30m", ApprovalDefault: rebased.ApprovalApprove, Workflow: &rebased.WorkflowSpec{Type: "Train", TaskQueue: "gpu"},
			Nexus:   &rebased.NexusSpec{Endpoint: "e", Service: "s", Operation: "o"},
			Webhook: &rebased.WebhookSpec{URL: "https://ci.test/x?y=1"}, SQS: &rebased.SQSSpec{QueueURL: "https://sqs.eu-west-1.amazonaws.com/1/q.fifo"},
			Command: &rebased.CommandSpec{Name: "train", Timeout: 30},
		},
		Budget: rebased.Budget{USD: 0.5, Tokens: 6},
	}
}

func TestEncodeIsReadBackByDecode(t *testing.T) {
	minimalTask, err := taskfile.Decode("task.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	off := everyField()
	off.Transform.Teacher.Limits, off.Budget = rebased.Limits{}, rebased.Budget{}
	off.Retrieve.MinScore, off.Retrieve.Licenses, off.Decontaminate.Files = 0, []string{}, []string{}
	off.Transform.TargetRows, off.Gates = 0, rebased.Gates{}
	off.Transform.Constraints = rebased.Constraints{Labels: []string{}}
	off.Judge = nil
	off.Dedupe.Semantic, off.Dedupe.Against, off.Output.Mode = nil, nil, rebased.OutputDelta
	off.Output.Configs, off.Output.Student, off.Output.System = nil, "", rebased.SystemNone
	off.Dedupe.Exact, off.Dedupe.MinHash, off.Retrieve.Exclude, off.Output.Formats, off.Handoff = true, 0, []string{}, []string{}, rebased.Handoff{}
	for _, want := range []rebased.Task{minimalTask, everyField(), off} {
		data, err := taskfile.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := taskfile.Decode("task.yaml", data)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, data)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s\nthrough:\n%s", d, data)
		}
	}
}

func TestEveryFieldOfTheTaskIsCoveredByTheRoundTrip(t *testing.T) {
	requireNonDefault(t, reflect.ValueOf(everyField()), reflect.ValueOf(rebased.DefaultTask()), "task")
}

func requireNonDefault(t *testing.T, got, standard reflect.Value, at string) {
	for i := range got.NumField() {
		name := at + "." + got.Type().Field(i).Name
		if got.Field(i).Kind() == reflect.Struct {
			requireNonDefault(t, got.Field(i), standard.Field(i), name)
			continue
		}
		same := reflect.DeepEqual(got.Field(i).Interface(), standard.Field(i).Interface())
		if oneValue := name == "task.APIVersion" || name == "task.Transform.Teacher.Provider" || name == "task.Output.Mode"; same && !oneValue {
			t.Errorf("%s has its default in everyField", name)
		}
	}
}

// What a task does not use does not stand in its frozen form, which is a part of what its versions are named by.
func TestKeysThatAreNotUsedDoNotChangeTheFrozenTask(t *testing.T) {
	task, err := taskfile.Decode("task.yaml", []byte(minimal+"dedupe: {semantic: off, against: []}\ngates: {max_by_rule: none}\noutput: {mode: full}\n"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := taskfile.Encode(task)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"semantic", "against", "max_by_rule", "  mode: full"} {
		if strings.Contains(string(data), key) {
			t.Errorf("%s stands in:\n%s", key, data)
		}
	}
}

func TestEncodeGivesTheCanonicalForm(t *testing.T) {
	got, err := taskfile.Encode(everyField())
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: rebased/v1
name: a-1
corpus: c.1
instruction: |-
  First line.

  Third line: done.
examples:
  - input: in
    output: "out\n"
  - input: "- \"x\"\t\u2028"
    output: "yes"
    answer: "007"
retrieve:
  encoder: "openai:m"
  rows: 7
  mode: paper
  max_per_dataset: 2
  exclude:
    - "*squad*"
    - a/b
  licenses:
    - mit
  min_score: 0.25
  rerank:
    encoder: "transformer:m"
    depth: 70
    sample: 4
transform:
  teacher:
    provider: openai
    model: m
    base_url: "http://localhost:1/v1"
    temperature: 0.25
    max_tokens: 9
    timeout: 8
    limits:
      in_flight: 3
      rpm: 4
      tpm: 5
  batch: true
  cell_chars: 900
  target_rows: 6
  constraints:
    span: true
    labels:
      - "(A)"
      - "no"
    pattern: ".+"
    format: json
    schema: "{\"type\": \"string\"}"
    min_chars: 1
    max_chars: 99
    language: de
answer:
  type: number
  pattern: "#### (\\d+)"
reason:
  mode: verified
  samples: 5
  agree: 4
  majority: true
judge:
  rubric: r
  min_score: 7.5
  teacher:
    provider: openai
    model: j
    base_url: "http://localhost:1/v1"
    temperature: 0.5
    max_tokens: 90
    timeout: 80
    limits:
      in_flight: 30
      rpm: 40
      tpm: 50
dedupe:
  exact: false
  minhash: 0.5
  semantic:
    encoder: "openai:m"
    threshold: 0.9
  against:
    - other
    - held.jsonl
decontaminate:
  files:
    - dev.jsonl
  ngram: 8
gates:
  min_parsed: 0.1
  min_agreement: 0.2
  min_in_input: 0.3
  max_duplicates: 0.4
  max_label_share: 0.5
  max_drop: 0.6
  max_by_rule: 0.7
output:
  formats:
    - alpaca
    - preference
  validation: 0.1
  license: cc-by-4.0
  balance:
    max_share: 0.5
    per_label: none
    equal: false
  tokenizer: "hf://owner/student@main"
  configs:
    - axolotl
    - llamafactory
  student: owner/student-1B
  system: "Be brief."
handoff:
  approval: true
  approval_deadline: "72h30m"
  approval_default: approve
  workflow:
    type: Train
    task_queue: gpu
  nexus:
    endpoint: e
    service: s
    operation: o
  webhook:
    url: "https://ci.test/x?y=1"
  sqs:
    queue_url: "https://sqs.eu-west-1.amazonaws.com/1/q.fifo"
  command:
    name: train
    timeout: 30
budget:
  usd: 0.5
  tokens: 6
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEncodeRefusesWhatNoFileCanSay(t *testing.T) {
	text := everyField()
	text.Instruction = "\xff"
	if _, err := taskfile.Encode(text); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("text that is not UTF-8: %v", err)
	}
	number := everyField()
	number.Output.Validation = math.NaN()
	if _, err := taskfile.Encode(number); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a number that is none: %v", err)
	}
	large := everyField()
	large.Instruction = strings.Repeat("a\t", 600_000)
	if _, err := taskfile.Encode(large); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("more than a file may have: %v", err)
	}
}
