package rebased

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// APIVersion is the version of the task file that this program writes.
const APIVersion = "rebased/v1"

// Task is what a user asks for: the content of a task file with every default in place.
type Task struct {
	APIVersion    string        `json:"apiVersion"`
	Name          string        `json:"name"`
	Corpus        string        `json:"corpus"`
	Instruction   string        `json:"instruction"`
	Examples      []TaskExample `json:"examples"`
	Retrieve      Retrieve      `json:"retrieve"`
	Transform     Transform     `json:"transform"`
	Answer        AnswerSpec    `json:"answer"`
	Reason        ReasonStep    `json:"reason"`
	Judge         *Judge        `json:"judge,omitempty"`
	Dedupe        Dedupe        `json:"dedupe"`
	Decontaminate Decontaminate `json:"decontaminate"`
	Gates         Gates         `json:"gates"`
	Output        Output        `json:"output"`
	Handoff       Handoff       `json:"handoff"`
	Budget        Budget        `json:"budget"`
}

// TaskExample is one given example. Answer is the short final answer; retrieval uses it in place of Output when it is there.
type TaskExample struct {
	Input  string `json:"input"`
	Output string `json:"output"`
	Answer string `json:"answer,omitempty"`
}

// Target is the text that retrieval compares with S_out: the answer when given, else the output.
func (e TaskExample) Target() string {
	if e.Answer != "" {
		return e.Answer
	}
	return e.Output
}

// Retrieval modes.
const (
	ModeDiverse = "diverse"
	ModePaper   = "paper"
)

// Retrieve says which rows are taken.
type Retrieve struct {
	Encoder       string   `json:"encoder"` // of the index: static, static:<model>, transformer:<model> or openai:<model>
	Rows          int      `json:"rows"`
	Mode          string   `json:"mode"`            // diverse or paper
	MaxPerDataset int      `json:"max_per_dataset"` // diverse only
	Exclude       []string `json:"exclude"`         // globs over dataset names, any case
	Licenses      []string `json:"licenses"`        // of the datasets that rows may come from, any case; none = all, those without a license too
	MinScore      float64  `json:"min_score"`       // rows that score less are not taken; 0 = none
	Rerank        *Rerank  `json:"rerank,omitempty"`
}

// Rerank says how a better encoder ranks what the index's proposes.
type Rerank struct {
	Encoder string `json:"encoder"`
	Depth   int    `json:"depth"`  // rows that it ranks; 0 = ten times the rows to take
	Sample  int    `json:"sample"` // rows of each dataset that it sees first; 0 = 8
}

// Defaults of Rerank.
const (
	rerankTimes  = 10
	rerankSample = 8
)

// RerankDepth is how many rows the better encoder ranks at most; 0 without one.
func (r Retrieve) RerankDepth() int {
	switch {
	case r.Rerank == nil:
		return 0
	case r.Rerank.Depth == 0:
		return rerankTimes * r.Rows
	}
	return r.Rerank.Depth
}

// SampleRows is how many rows of each dataset the better encoder sees first.
func (r Rerank) SampleRows() int {
	if r.Sample == 0 {
		return rerankSample
	}
	return r.Sample
}

// Transform says who rewrites the rows.
type Transform struct {
	Teacher Teacher `json:"teacher"`
	// Batch has the provider answer in batches: within a day, for less. It holds for every step that asks the teacher.
	Batch bool `json:"batch"`
	// CellChars is how much the teacher is shown of a cell, in characters from its start.
	CellChars int `json:"cell_chars"`
	// TargetRows is how many rows are wanted, after everything that removes rows: further candidates are taken until they are there. 0 = all candidates
	// are used.
	TargetRows int `json:"target_rows"`
	// Constraints hold for every example that is made: one that breaks one is asked for again, with the constraint named, and then rejected.
	Constraints Constraints `json:"constraints"`
}

// Constraints are what a task's examples must be like. Zero values do not constrain.
type Constraints struct {
	Span     bool     `json:"span"`               // the answer stands in the input
	Labels   []string `json:"labels"`             // the answer is one of these, in this spelling
	Pattern  string   `json:"pattern"`            // the answer as a whole matches a regular expression (RE2)
	Format   string   `json:"format"`             // what the output is written in: one of Syntaxes
	Schema   string   `json:"schema"`             // JSON Schema of an output in JSON
	MinChars int      `json:"min_chars"`          // of the output
	MaxChars int      `json:"max_chars"`          // of the output; 0 = none
	Language string   `json:"language,omitempty"` // of the output: one of Languages; "" = any
}

// Syntaxes lists what outputs can be held to be written in.
func Syntaxes() []string {
	return []string{"json", "go", "bash", "yaml", "xml", "csv", "re2"}
}

// Languages lists the languages that outputs can be held to, by ISO 639-1.
func Languages() []string { return strings.Fields(languages) }

const languages = "af ak am ar az be bg bh bn cs da de el en eo es et fa fi fr gu ha he hi hr ht hu id ig it ja jv ka km kn ko ku lt lv mg mk ml mr my nb ne nl nn ny om or pa pl pt rn ro ru rw si sl sn so sr sv ta te th ti tk tl tr ug uk ur uz vi yo zh zu"

// Providers of teachers.
const (
	ProviderOpenAI    = "openai" // any server that speaks its chat completions
	ProviderAnthropic = "anthropic"
	ProviderBedrock   = "bedrock" // Amazon Bedrock's Converse API
)

// Teacher is an LLM behind a provider, and how it is asked. It holds no secret: keys come from the worker's environment.
type Teacher struct {
	Provider    string  `json:"provider"` // openai, anthropic or bedrock
	Model       string  `json:"model"`    // "" = the only model that the server lists
	BaseURL     string  `json:"base_url"` // "" = the worker's own for the provider
	Temperature float64 `json:"temperature"`
	MaxTokens   int     `json:"max_tokens"`
	Timeout     Seconds `json:"timeout"` // of one call
	Limits      Limits  `json:"limits"`
}

// Seconds is a duration as a whole number of seconds.
type Seconds int

// Duration converts to time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Limits cap the calls of one build over all its shards and workers; 0 = none.
type Limits struct {
	InFlight int `json:"in_flight"` // calls under way; without a cap their number adapts by itself
	RPM      int `json:"rpm"`       // requests a minute
	TPM      int `json:"tpm"`       // tokens a minute, input and output
}

// Budget is a hard cap on what one build spends; 0 = none. It holds across crashes: what may have been billed counts as spent.
type Budget struct {
	USD    float64 `json:"usd"`
	Tokens int64   `json:"tokens"` // input and output
}

// Modes of the reason step.
const (
	ReasonNone      = "none"
	ReasonRationale = "rationale"
	ReasonVerified  = "verified"
)

// ReasonStep says whether and how the teacher reasons about the answers.
type ReasonStep struct {
	Mode string `json:"mode"` // none, rationale or verified
	// Of mode verified: the teacher answers a row's input by itself, Samples times at most, and the row is kept when at least Agree of these
	// answers are the transformed one.
	Samples int `json:"samples"`
	Agree   int `json:"agree"`
	// Majority takes the answer that at least Agree samples give in place of another transformed one.
	Majority bool `json:"majority"`
}

// Judge has a teacher score each example by a rubric, once its output is final.
type Judge struct {
	Rubric   string  `json:"rubric"`
	MinScore float64 `json:"min_score"` // of 1 to 10: rows that score less are rejected; 0 = none are
	// Teacher is who is asked, nil = that of Transform; see Task.JudgeTeacher.
	Teacher *Teacher `json:"teacher,omitempty"`
}

// JudgeTeacher is who judges, in a task with a judge: the task's teacher at temperature 0, with what the judge's own says over it. One of another
// server has a model and limits of its own only.
func (t Task) JudgeTeacher() Teacher {
	judge := t.Transform.Teacher
	judge.Temperature = 0
	own := t.Judge.Teacher
	if own == nil {
		return judge
	}
	elsewhere := own.Provider != "" && own.Provider != judge.Provider || own.BaseURL != "" && own.BaseURL != judge.BaseURL
	if elsewhere {
		judge.Provider = cmp.Or(own.Provider, judge.Provider)
		judge.BaseURL, judge.Model, judge.Limits = own.BaseURL, own.Model, own.Limits
	}
	judge.Model = cmp.Or(own.Model, judge.Model)
	if own.Limits != (Limits{}) {
		judge.Limits = own.Limits
	}
	judge.Temperature = own.Temperature
	judge.MaxTokens = cmp.Or(own.MaxTokens, judge.MaxTokens)
	judge.Timeout = cmp.Or(own.Timeout, judge.Timeout)
	return judge
}

// Dedupe says which rows count as repeats.
type Dedupe struct {
	Exact    bool      `json:"exact"`
	MinHash  float64   `json:"minhash"`            // threshold of true Jaccard; 0 = off
	Semantic *Semantic `json:"semantic,omitempty"` // nil = off
	// Against is what rows must not repeat besides: released versions of tasks, as task or task@version, and files. A file is the user's path in a
	// task file as it is written, and a BenchmarkRef in one that a workflow was started with. A frozen task has every version, those of a delta included.
	Against []string `json:"against,omitempty"`
}

// Semantic says from when on rows mean the same.
type Semantic struct {
	Encoder   string  `json:"encoder"`   // transformer:<model> or openai:<model>
	Threshold float64 `json:"threshold"` // of the cosine; 0 = 0.95
}

// Least is the threshold in force.
func (s *Semantic) Least() float64 {
	const standard = 0.95
	if s.Threshold == 0 {
		return standard
	}
	return s.Threshold
}

var versionRef = regexp.MustCompile(`^([a-z0-9-]{1,63})(?:@([0-9a-f]{12}))?$`)

// ParseVersionRef takes task or task@version apart; ok is false when it is something else, such as a file, whose name has a dot.
func ParseVersionRef(ref string) (task, version string, ok bool) {
	match := versionRef.FindStringSubmatch(ref)
	if match == nil {
		return "", "", false
	}
	return match[1], match[2], true
}

// VersionRef names a version of a task.
func VersionRef(task, version string) string { return task + "@" + version }

// Decontaminate names benchmarks whose texts must not be in the training set.
type Decontaminate struct {
	// Files are the user's paths in a task file as it is written, and BenchmarkRefs in one that a workflow was started with.
	Files []string `json:"files"`
	NGram int      `json:"ngram"` // words in a row that a text must share with one of a benchmark to be of it
}

// BenchmarkRef names an uploaded benchmark file: its content, and the name that the user knows it by.
func BenchmarkRef(sha256, name string) string { return UploadKey(sha256) + "#" + name }

// ParseBenchmarkRef takes a BenchmarkRef apart; ok is false when it is something else, such as a path.
func ParseBenchmarkRef(ref string) (key, name string, ok bool) {
	match := benchmarkRef.FindStringSubmatch(ref)
	if match == nil {
		return "", "", false
	}
	return match[1], match[2], true
}

var benchmarkRef = regexp.MustCompile(`^(uploads/[0-9a-f]{64})#(.+)$`)

// Gates are thresholds, shares of rows, that hold a release for approval when the version does not pass them; 0 = none.
type Gates struct {
	MinParsed     float64 `json:"min_parsed"`            // of the retrieved rows: a usable example came of them
	MinAgreement  float64 `json:"min_agreement"`         // of the rows that were reasoned about: their answer stood
	MinInInput    float64 `json:"min_in_input"`          // of the version's rows: their answer stands in the input
	MaxDuplicates float64 `json:"max_duplicates"`        // of the rows before deduplication: they repeat others
	MaxLabelShare float64 `json:"max_label_share"`       // of the version's rows: they have the most frequent answer
	MaxDrop       float64 `json:"max_drop"`              // of the latest version's rows: so many fewer
	MaxByRule     float64 `json:"max_by_rule,omitempty"` // of the rows before deduplication: one of its rules removes them
}

// Output formats.
const (
	FormatMessages         = "messages"
	FormatPromptCompletion = "prompt-completion"
	FormatAlpaca           = "alpaca"
	FormatShareGPT         = "sharegpt"
	FormatPreference       = "preference" // pairs of a kept output and one that ends in a wrong answer
)

// Formats lists the JSONL formats of a version.
func Formats() []string {
	return []string{FormatMessages, FormatPromptCompletion, FormatAlpaca, FormatShareGPT, FormatPreference}
}

// Trainers that a version can have ready configurations for.
const (
	TrainerTRL          = "trl"
	TrainerAxolotl      = "axolotl"
	TrainerLLaMAFactory = "llamafactory"
	TrainerUnsloth      = "unsloth"
)

// Trainers lists them.
func Trainers() []string {
	return []string{TrainerTRL, TrainerAxolotl, TrainerLLaMAFactory, TrainerUnsloth}
}

// TrainerFormats lists the formats that a trainer is configured to train on, the one that is taken first where a version has several.
func TrainerFormats(trainer string) []string {
	switch trainer {
	case TrainerAxolotl:
		return []string{FormatMessages, FormatShareGPT, FormatAlpaca}
	case TrainerLLaMAFactory:
		return []string{FormatMessages, FormatShareGPT, FormatAlpaca, FormatPromptCompletion}
	}
	return []string{FormatMessages, FormatPromptCompletion}
}

// TrainerFormat is the format of the task that a trainer trains on; "" = the task has none that it reads.
func (o Output) TrainerFormat(trainer string) string {
	for _, format := range TrainerFormats(trainer) {
		if slices.Contains(o.Formats, format) {
			return format
		}
	}
	return ""
}

// DefaultStudent is the model of arXiv 2407.05463, Llama3-8B, in the form that has a chat template.
const DefaultStudent = "meta-llama/Meta-Llama-3-8B-Instruct"

// Output shapes the released files.
type Output struct {
	Formats    []string `json:"formats"`
	Validation float64  `json:"validation"` // share of rows in the validation split, [0, 0.5]
	License    string   `json:"license"`
	Balance    *Balance `json:"balance,omitempty"`
	// Tokenizer is that of the student, whose tokens are counted: a folder with its tokenizer.json, or hf://owner/name[@revision]; "" = none are.
	Tokenizer string `json:"tokenizer,omitempty"`
	// Mode delta leaves out what the released versions of the task have: a version then holds new rows only. A task file may say full for "".
	Mode string `json:"mode,omitempty"`
	// Configs are Trainers whose configuration stands in the version, ready to run; none = no configuration does.
	Configs []string `json:"configs,omitempty"`
	// Student is the model that they train, a name of the hub or a folder; "" = DefaultStudent.
	Student string `json:"student,omitempty"`
	// System is the system turn of conversations; "" = the instruction, SystemNone = there is none. With either of the others the instruction stands before the
	// input.
	System string `json:"system,omitempty"`
}

// SystemNone leaves the system turn out.
const SystemNone = "none"

// Balance says how the answers of a version are shared out, when they are labels; at most one of its fields. What an answer has too many of is left
// out in the order of ranks; no row is ever copied.
type Balance struct {
	MaxShare float64 `json:"max_share"` // of the version's rows that have one answer; 0 = any
	PerLabel int     `json:"per_label"` // rows of each answer; 0 = any
	Equal    bool    `json:"equal"`     // as many rows of each answer
}

// Active reports whether anything is to be balanced.
func (b *Balance) Active() bool { return b != nil && *b != (Balance{}) }

// Target is how many rows a build is to make, after everything that removes rows, and the key of the task that says so; 0 = as many as there are.
func (t Task) Target() (rows int, key string) {
	rows, key = t.Transform.TargetRows, "transform.target_rows"
	if b := t.Output.Balance; b.Active() && b.PerLabel > 0 {
		if all := b.PerLabel * len(t.Transform.Constraints.Labels); all > 0 && (rows == 0 || all < rows) {
			return all, "output.balance.per_label"
		}
	}
	return rows, key
}

// Modes of the output.
const (
	OutputFull  = "full"
	OutputDelta = "delta"
)

// Delta reports whether versions hold new rows only.
func (o Output) Delta() bool { return o.Mode == OutputDelta }

// Handoff says what happens when a version is ready: which targets are told of it.
type Handoff struct {
	Approval bool `json:"approval"` // wait for a person
	// ApprovalDeadline is how long a version waits for approval, as time.ParseDuration reads it; "" = until a person decides.
	ApprovalDeadline string `json:"approval_deadline,omitempty"`
	// ApprovalDefault is what is decided then, approve or reject; "" = reject.
	ApprovalDefault string        `json:"approval_default,omitempty"`
	Workflow        *WorkflowSpec `json:"workflow,omitempty"`
	Nexus           *NexusSpec    `json:"nexus,omitempty"`
	Webhook         *WebhookSpec  `json:"webhook,omitempty"`
	SQS             *SQSSpec      `json:"sqs,omitempty"`
	Command         *CommandSpec  `json:"command,omitempty"`
}

// The values of Handoff.ApprovalDefault.
const (
	ApprovalApprove = "approve"
	ApprovalReject  = "reject"
)

// Deadline is ApprovalDeadline; 0 = none.
func (h Handoff) Deadline() time.Duration {
	d, _ := time.ParseDuration(h.ApprovalDeadline) // Validate has read it
	return d
}

// WorkflowSpec names a workflow of the training pipeline to start with the release record's reference.
type WorkflowSpec struct {
	Type      string `json:"type"`
	TaskQueue string `json:"task_queue"`
}

// NexusSpec names an operation of another Temporal namespace.
type NexusSpec struct {
	Endpoint  string `json:"endpoint"`
	Service   string `json:"service"`
	Operation string `json:"operation"`
}

// WebhookSpec says where a signed request is sent. The secret is the worker's.
type WebhookSpec struct {
	URL string `json:"url"`
}

// SQSSpec names a queue of Amazon SQS. The credentials are the worker's.
type SQSSpec struct {
	QueueURL string `json:"queue_url"`
}

// CommandSpec names a command of the worker's own list.
type CommandSpec struct {
	Name    string  `json:"name"`
	Timeout Seconds `json:"timeout,omitempty"` // 0 = ten minutes
}

// Limit is how long the command may take.
func (c CommandSpec) Limit() time.Duration {
	const standard = 10 * time.Minute
	if c.Timeout == 0 {
		return standard
	}
	return c.Timeout.Duration()
}

// Targets of a hand-off, called as their keys of the task file.
const (
	TargetWorkflow = "workflow"
	TargetNexus    = "nexus"
	TargetWebhook  = "webhook"
	TargetSQS      = "sqs"
	TargetCommand  = "command"
)

// Targets lists what a version is handed to, in the order of the task file's reference.
func (h Handoff) Targets() []string {
	var all []string
	for _, target := range []struct {
		name  string
		given bool
	}{
		{TargetWorkflow, h.Workflow != nil},
		{TargetNexus, h.Nexus != nil},
		{TargetWebhook, h.Webhook != nil},
		{TargetSQS, h.SQS != nil},
		{TargetCommand, h.Command != nil},
	} {
		if target.given {
			all = append(all, target.name)
		}
	}
	return all
}

// DefaultTask holds every default of the task file.
func DefaultTask() Task {
	return Task{
		APIVersion: APIVersion,
		Retrieve:   Retrieve{Encoder: "static", Rows: 3000, Mode: ModeDiverse, MaxPerDataset: 300, Exclude: []string{}, Licenses: []string{}},
		Transform: Transform{
			Teacher:     Teacher{Provider: ProviderOpenAI, Temperature: 0.7, MaxTokens: 1000, Timeout: 120},
			CellChars:   250, // as published, arXiv 2407.05463
			Constraints: Constraints{Labels: []string{}},
		},
		Answer:        AnswerSpec{Type: AnswerInferred},
		Reason:        ReasonStep{Mode: ReasonNone, Samples: 3, Agree: 2},
		Dedupe:        Dedupe{Exact: true, MinHash: 0.8},
		Decontaminate: Decontaminate{Files: []string{}, NGram: 13},
		Output:        Output{Formats: []string{FormatMessages}},
	}
}
