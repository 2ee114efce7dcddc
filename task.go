package rebased

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
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
}

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

// Handoff says what happens when a version is ready.
type Handoff struct {
	Approval bool          `json:"approval"` // wait for a person
	Workflow *WorkflowSpec `json:"workflow,omitempty"`
}

// WorkflowSpec names a workflow of the training pipeline to start with the release record's reference.
type WorkflowSpec struct {
	Type      string `json:"type"`
	TaskQueue string `json:"task_queue"`
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

// FieldError is a value of a task that is out of bounds. Path is dotted with list indexes, for instance "examples[0].input".
type FieldError struct {
	Path    string
	Message string // what is wrong and the bound
}

// Error implements error.
func (e *FieldError) Error() string { return e.Path + ": " + e.Message }

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
	corpusPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
)

// ValidCorpusName reports whether a corpus may be called so.
func ValidCorpusName(name string) bool { return corpusPattern.MatchString(name) }

// Validate checks every bound and gives the first value that is out of it, as a *FieldError.
func (t Task) Validate() error {
	checks := []func(Task) *FieldError{validateHead, validateExamples, validateRetrieve, validateLists, validateTeacher, validateConstraints, validateReason, validateJudge, validateGates, validateDedupe, validateGiven, validateBalance, validateRest}
	for _, check := range checks {
		if err := check(t); err != nil {
			return err
		}
	}
	return nil
}

func fieldError(path, format string, args ...any) *FieldError {
	return &FieldError{Path: path, Message: fmt.Sprintf(format, args...)}
}

func validateHead(t Task) *FieldError {
	switch {
	case t.APIVersion != APIVersion:
		return fieldError("apiVersion", "must be %q, got %q", APIVersion, t.APIVersion)
	case t.Name == "":
		return fieldError("name", "is required")
	case !namePattern.MatchString(t.Name):
		return fieldError("name", "must be 1 to 63 of a-z, 0-9 and -, got %q", t.Name)
	case t.Corpus == "":
		return fieldError("corpus", "is required: the name of an imported corpus")
	case !ValidCorpusName(t.Corpus):
		return fieldError("corpus", "must be 1 to 63 of a-z, 0-9, '.', '_' and -, starting with a letter or digit, got %q", t.Corpus)
	case strings.TrimSpace(t.Instruction) == "":
		return fieldError("instruction", "is required")
	case len(t.Instruction) > 16_000:
		return fieldError("instruction", "must have at most 16000 bytes, has %d", len(t.Instruction))
	}
	return nil
}

func validateExamples(t Task) *FieldError {
	if len(t.Examples) == 0 {
		return fieldError("examples", "needs at least one example with input and output (three work best)")
	}
	if len(t.Examples) > 32 {
		return fieldError("examples", "must have at most 32 entries, has %d", len(t.Examples))
	}
	for i, e := range t.Examples {
		at := fmt.Sprintf("examples[%d]", i)
		switch {
		case strings.TrimSpace(e.Input) == "":
			return fieldError(at+".input", "is required and must not be empty")
		case strings.TrimSpace(e.Output) == "":
			return fieldError(at+".output", "is required and must not be empty")
		case len(e.Input)+len(e.Output) > 32_000:
			return fieldError(at, "must have at most 32000 bytes, has %d", len(e.Input)+len(e.Output))
		}
	}
	return nil
}

func validateRetrieve(t Task) *FieldError {
	r := t.Retrieve
	switch {
	case !encoderPattern.MatchString(r.Encoder):
		return fieldError("retrieve.encoder", "must be %s, got %q", encoderNames, r.Encoder)
	case r.Rows < 1 || r.Rows > 1_000_000:
		return fieldError("retrieve.rows", "must be between 1 and 1000000, got %d", r.Rows)
	case r.Mode != ModeDiverse && r.Mode != ModePaper:
		return fieldError("retrieve.mode", "must be diverse or paper, got %q", r.Mode)
	case r.MaxPerDataset < 1 || r.MaxPerDataset > 1_000_000:
		return fieldError("retrieve.max_per_dataset", "must be between 1 and 1000000, got %d", r.MaxPerDataset)
	case !(r.MinScore >= 0 && r.MinScore <= 1):
		return fieldError("retrieve.min_score", "must be none, or more than 0 and at most 1, got %v", r.MinScore)
	}
	if err := validateRerank(r); err != nil {
		return err
	}
	for i, glob := range r.Exclude {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			return fieldError(fmt.Sprintf("retrieve.exclude[%d]", i), "must be a glob such as \"*squad*\", got %q", glob)
		}
	}
	return nil
}

// encoderNames says what encoders are called, and encoderPattern looks for it.
const encoderNames = "static, static:<model>, transformer:<model> or openai:<model>"

var (
	encoderPattern = regexp.MustCompile(`^(static|(static|transformer|openai):.+)$`)
	betterPattern  = regexp.MustCompile(`^(static|transformer|openai):.+$`)
)

// maxDepth is as many rows as one worker ranks in memory.
const maxDepth = 10_000_000

func validateRerank(r Retrieve) *FieldError {
	switch {
	case r.Rerank == nil:
		return nil
	case !betterPattern.MatchString(r.Rerank.Encoder):
		return fieldError("retrieve.rerank.encoder", "must be transformer:<model>, openai:<model> or static:<model>, got %q", r.Rerank.Encoder)
	case r.Rerank.Encoder == r.Encoder:
		return fieldError("retrieve.rerank.encoder", "must be another one than retrieve.encoder, got %q", r.Rerank.Encoder)
	case r.Rerank.Depth != 0 && (r.Rerank.Depth < r.Rows || r.Rerank.Depth > maxDepth):
		return fieldError("retrieve.rerank.depth", "must be between retrieve.rows (%d) and %d, got %d", r.Rows, maxDepth, r.Rerank.Depth)
	case r.Rerank.Sample != 0 && (r.Rerank.Sample < 2 || r.Rerank.Sample > 1000):
		return fieldError("retrieve.rerank.sample", "must be between 2 and 1000, got %d", r.Rerank.Sample)
	}
	return nil
}

// maxBenchmarks is how many benchmark files a task may name.
const maxBenchmarks = 1000

func validateLists(t Task) *FieldError {
	for i, license := range t.Retrieve.Licenses {
		if strings.TrimSpace(license) == "" {
			return fieldError(fmt.Sprintf("retrieve.licenses[%d]", i), "must be the name of a license such as mit, got %q", license)
		}
	}
	d := t.Decontaminate
	switch {
	case d.NGram < 5 || d.NGram > 50:
		return fieldError("decontaminate.ngram", "must be between 5 and 50, got %d", d.NGram)
	case len(d.Files) > maxBenchmarks:
		return fieldError("decontaminate.files", "must have at most %d entries, has %d", maxBenchmarks, len(d.Files))
	}
	for i, file := range d.Files {
		if strings.TrimSpace(file) == "" {
			return fieldError(fmt.Sprintf("decontaminate.files[%d]", i), "must be the path of a benchmark file, got %q", file)
		}
	}
	return nil
}

func validateTeacher(t Task) *FieldError {
	const at = "transform.teacher."
	teacher := t.Transform.Teacher
	if err := checkTeacher(at, teacher); err != nil {
		return err
	}
	if t.Transform.Batch && teacher.Provider != ProviderOpenAI && teacher.Provider != ProviderAnthropic {
		return fieldError("transform.batch", "must be false with provider %s: it has no batches here", teacher.Provider)
	}
	if n := t.Transform.CellChars; n < 50 || n > 16_000 {
		return fieldError("transform.cell_chars", "must be between 50 and 16000, got %d", n)
	}
	if n := t.Transform.TargetRows; n < 0 || n > t.Retrieve.Rows {
		return fieldError("transform.target_rows", "must be none, or between 1 and retrieve.rows (%d), got %d", t.Retrieve.Rows, n)
	}
	if err := validateLimits(at, teacher.Limits); err != nil {
		return err
	}
	return validateBudget(t.Budget)
}

// checkTeacher checks what stands under a path.
func checkTeacher(at string, teacher Teacher) *FieldError {
	switch {
	case teacher.Provider != ProviderOpenAI && teacher.Provider != ProviderAnthropic && teacher.Provider != ProviderBedrock:
		return fieldError(at+"provider", "must be openai, anthropic or bedrock, got %q", teacher.Provider)
	case teacher.BaseURL != "" && !strings.HasPrefix(teacher.BaseURL, "http://") && !strings.HasPrefix(teacher.BaseURL, "https://"):
		return fieldError(at+"base_url", "must start with http:// or https://, got %q", teacher.BaseURL)
	case strings.Contains(teacher.BaseURL, "@"):
		return fieldError(at+"base_url", "must not hold credentials: they come from the worker's environment")
	case !(teacher.Temperature >= 0 && teacher.Temperature <= 2): // so that NaN is refused too
		return fieldError(at+"temperature", "must be between 0 and 2, got %v", teacher.Temperature)
	case teacher.Provider != ProviderOpenAI && teacher.Temperature > 1:
		return fieldError(at+"temperature", "must be between 0 and 1 with provider %s, got %v", teacher.Provider, teacher.Temperature)
	case teacher.MaxTokens < 1 || teacher.MaxTokens > 128_000:
		return fieldError(at+"max_tokens", "must be between 1 and 128000, got %d", teacher.MaxTokens)
	case teacher.Timeout < 1 || teacher.Timeout > 3600:
		return fieldError(at+"timeout", "must be between 1 and 3600 seconds, got %d", teacher.Timeout)
	}
	return nil
}

// validateLimits checks what 0 switches off.
func validateLimits(at string, l Limits) *FieldError {
	at += "limits."
	switch {
	case l.InFlight < 0 || l.InFlight > 10_000:
		return fieldError(at+"in_flight", "must be none, or between 1 and 10000, got %d", l.InFlight)
	case l.RPM < 0 || l.RPM > 10_000_000:
		return fieldError(at+"rpm", "must be none, or between 1 and 10000000, got %d", l.RPM)
	case l.TPM < 0 || l.TPM > 10_000_000_000:
		return fieldError(at+"tpm", "must be none, or between 1 and 10000000000, got %d", l.TPM)
	}
	return nil
}

func validateBudget(b Budget) *FieldError {
	switch {
	case !(b.USD >= 0 && b.USD <= MaxBudgetUSD):
		return fieldError("budget.usd", "must be none, or more than 0 and at most %d, got %v", MaxBudgetUSD, b.USD)
	case b.Tokens < 0:
		return fieldError("budget.tokens", "must be none, or at least 1, got %d", b.Tokens)
	}
	return nil
}

func validateConstraints(t Task) *FieldError {
	const at, most = "transform.constraints.", 1000
	c := t.Transform.Constraints
	_, unreadable := regexp.Compile(c.Pattern)
	switch {
	case len(c.Labels) > most:
		return fieldError(at+"labels", "must have at most %d entries, has %d", most, len(c.Labels))
	case unreadable != nil || len(c.Pattern) > most || strings.ContainsFunc(c.Pattern, unicode.IsControl):
		return fieldError(at+"pattern", "must be a regular expression (RE2) of at most %d bytes without control characters, got %.80q", most, c.Pattern)
	case c.Format != "" && !slices.Contains(Syntaxes(), c.Format):
		return fieldError(at+"format", "must be one of %s, got %q", strings.Join(Syntaxes(), ", "), c.Format)
	case c.Schema != "" && c.Format != "json":
		return fieldError(at+"schema", "needs format: json")
	case c.Language != "" && !slices.Contains(Languages(), c.Language):
		return fieldError(at+"language", "must be one of %s, got %.40q", languages, c.Language)
	case len(c.Schema) > 64_000:
		return fieldError(at+"schema", "must have at most 64000 bytes, has %d", len(c.Schema))
	case c.MinChars < 0 || c.MinChars > 1_000_000:
		return fieldError(at+"min_chars", "must be between 0 and 1000000, got %d", c.MinChars)
	case c.MaxChars < 0 || c.MaxChars > 1_000_000:
		return fieldError(at+"max_chars", "must be none, or between 1 and 1000000, got %d", c.MaxChars)
	case c.MaxChars != 0 && c.MinChars > c.MaxChars:
		return fieldError(at+"min_chars", "must be at most max_chars (%d), got %d", c.MaxChars, c.MinChars)
	}
	for i, label := range c.Labels {
		if strings.TrimSpace(label) != label || label == "" {
			return fieldError(fmt.Sprintf("%slabels[%d]", at, i), "must be text without white space around it, got %q", label)
		}
	}
	return nil
}

func validateReason(t Task) *FieldError {
	r, a := t.Reason, t.Answer
	_, unreadable := regexp.Compile(a.Pattern)
	switch {
	case r.Mode != ReasonNone && r.Mode != ReasonRationale && r.Mode != ReasonVerified:
		return fieldError("reason.mode", "must be none, rationale or verified, got %q", r.Mode)
	case r.Samples < 1 || r.Samples > 64:
		return fieldError("reason.samples", "must be between 1 and 64, got %d", r.Samples)
	case r.Agree < 1 || r.Agree > r.Samples:
		return fieldError("reason.agree", "must be between 1 and reason.samples (%d), got %d", r.Samples, r.Agree)
	case !slices.Contains(AnswerTypes(), a.Type):
		return fieldError("answer.type", "must be inferred, choice, number, boolean, span or free, got %q", a.Type)
	case unreadable != nil || len(a.Pattern) > 1000:
		return fieldError("answer.pattern", "must be a regular expression (RE2) of at most 1000 bytes, got %.80q", a.Pattern)
	case a.Pattern == "" || r.Mode != ReasonNone:
		return nil
	}
	return fieldError("answer.pattern", "is of use with reason.mode rationale or verified only: remove it")
}

func validateJudge(t Task) *FieldError {
	const at = "judge."
	switch j := t.Judge; {
	case j == nil:
		return nil
	case strings.TrimSpace(j.Rubric) == "":
		return fieldError(at+"rubric", "is required: what makes an example good, and what makes it bad")
	case len(j.Rubric) > 16_000:
		return fieldError(at+"rubric", "must have at most 16000 bytes, has %d", len(j.Rubric))
	case j.MinScore != 0 && !(j.MinScore >= 1 && j.MinScore <= MaxScore):
		return fieldError(at+"min_score", "must be none, or between 1 and %d, got %v", MaxScore, j.MinScore)
	case j.Teacher == nil:
		return nil
	}
	judge, teacher := t.JudgeTeacher(), t.Transform.Teacher
	if err := checkTeacher(at+"teacher.", judge); err != nil {
		return err
	}
	if t.Transform.Batch && (judge.Provider != teacher.Provider || judge.BaseURL != teacher.BaseURL) {
		return fieldError(at+"teacher", "must have the provider and the base_url of transform.teacher with transform.batch: the batches of a build are of one server")
	}
	return validateLimits(at+"teacher.", t.Judge.Teacher.Limits)
}

// MaxScore is the best score of a judge; the worst is 1.
const MaxScore = 10

func validateGates(t Task) *FieldError {
	g := t.Gates
	for _, gate := range []struct {
		key   string
		value float64
	}{
		{"min_parsed", g.MinParsed},
		{"min_agreement", g.MinAgreement},
		{"min_in_input", g.MinInInput},
		{"max_duplicates", g.MaxDuplicates},
		{"max_label_share", g.MaxLabelShare},
		{"max_drop", g.MaxDrop},
		{"max_by_rule", g.MaxByRule},
	} {
		if !(gate.value >= 0 && gate.value <= 1) {
			return fieldError("gates."+gate.key, "must be none, or a share of more than 0 and at most 1, got %v", gate.value)
		}
	}
	return nil
}

func validateBalance(t Task) *FieldError {
	const at = "output.balance"
	b, labels, target := t.Output.Balance, len(t.Transform.Constraints.Labels), t.Transform.TargetRows
	if !b.Active() {
		return nil
	}
	switch {
	case !(b.MaxShare >= 0 && b.MaxShare <= 1):
		return fieldError(at+".max_share", "must be none, or a share of more than 0 and at most 1, got %v", b.MaxShare)
	case b.PerLabel < 0 || b.PerLabel > 1_000_000:
		return fieldError(at+".per_label", "must be none, or between 1 and 1000000, got %d", b.PerLabel)
	case b.MaxShare > 0 && b.PerLabel > 0 || b.Equal && (b.MaxShare > 0 || b.PerLabel > 0):
		return fieldError(at, "must have one of max_share, per_label and equal")
	case b.MaxShare > 0 && labels > 0 && b.MaxShare*float64(labels) < 1-1e-9:
		return fieldError(at+".max_share", "must be at least one part in %d, the number of transform.constraints.labels, got %v", labels, b.MaxShare)
	case b.PerLabel*labels > t.Retrieve.Rows:
		return fieldError(at+".per_label", "wants %d rows of %d labels: retrieve.rows is %d", b.PerLabel, labels, t.Retrieve.Rows)
	case b.Equal && target > 0 && target < labels:
		return fieldError(at+".equal", "needs a transform.target_rows of at least %d, one row a label, got %d", labels, target)
	}
	for i, e := range t.Examples {
		if label := strings.TrimSpace(ShortAnswer(e.Target())); len(label) > LabelBytes {
			return fieldError(at, "needs answers that are labels, of at most %d bytes: that of examples[%d] has %d; give it a short answer, or remove balance", LabelBytes, i, len(label))
		}
	}
	return nil
}

var semanticPattern = regexp.MustCompile(`^(transformer|openai):.+$`)

func validateDedupe(t Task) *FieldError {
	d := t.Dedupe
	if d.MinHash != 0 && !(d.MinHash >= 0.5 && d.MinHash <= 1) {
		return fieldError("dedupe.minhash", "must be off, or a Jaccard threshold between 0.5 and 1, got %v", d.MinHash)
	}
	s := d.Semantic
	switch {
	case s == nil:
		return nil
	case s.Encoder == EncoderStatic || strings.HasPrefix(s.Encoder, EncoderStatic+":"):
		return fieldError("dedupe.semantic.encoder", "must be transformer:<model> or openai:<model>, got %q: a static encoder sums up words, "+
			"so that rows which differ in their order, a number or a \"not\" are one to it", s.Encoder)
	case !semanticPattern.MatchString(s.Encoder):
		return fieldError("dedupe.semantic.encoder", "must be transformer:<model> or openai:<model>, got %q", s.Encoder)
	case s.Threshold != 0 && !(s.Threshold >= 0.5 && s.Threshold <= 0.999):
		return fieldError("dedupe.semantic.threshold", "must be a cosine between 0.5 and 0.999, got %v", s.Threshold)
	}
	return nil
}

// validateGiven checks what rows must not repeat besides.
func validateGiven(t Task) *FieldError {
	const most = 3000 // versions of eight years of nights
	d, delta := t.Dedupe, t.Output.Delta()
	noRule := !d.Exact && d.MinHash == 0 && d.Semantic == nil
	switch {
	case t.Output.Mode != "" && t.Output.Mode != OutputFull && !delta:
		return fieldError("output.mode", "must be full or delta, got %q", t.Output.Mode)
	case len(d.Against) > most:
		return fieldError("dedupe.against", "must have at most %d entries, has %d", most, len(d.Against))
	case len(d.Against) > 0 && noRule:
		return fieldError("dedupe.against", "needs a rule to compare by: exact, minhash or semantic")
	case delta && noRule:
		return fieldError("output.mode", "delta needs a rule of dedupe that tells what is new: exact, minhash or semantic")
	case delta && t.Gates.MaxDrop != 0:
		return fieldError("gates.max_drop", "compares with the latest version, of which a delta holds the new rows alone: remove it, or output.mode: delta")
	}
	for i, ref := range d.Against {
		at := fmt.Sprintf("dedupe.against[%d]", i)
		task, _, version := ParseVersionRef(ref)
		switch {
		case version && task == t.Name && !delta:
			return fieldError(at, "is the task itself, whose next build would remove its own rows: use output: {mode: delta} for versions that hold new rows only")
		case !version && !slices.ContainsFunc(AgainstFiles(), func(ext string) bool { return strings.HasSuffix(ref, ext) }):
			return fieldError(at, "must be a released version (task or task@version) or a file (%s), got %q", strings.Join(AgainstFiles(), " "), ref)
		}
	}
	return nil
}

// AgainstFiles lists what the names of files in dedupe.against end with.
func AgainstFiles() []string {
	return []string{".jsonl", ".csv", ".parquet"}
}

func validateRest(t Task) *FieldError {
	switch {
	case !(t.Output.Validation >= 0 && t.Output.Validation <= 0.5):
		return fieldError("output.validation", "must be between 0 and 0.5, got %v", t.Output.Validation)
	case t.Handoff.Workflow != nil && t.Handoff.Workflow.Type == "":
		return fieldError("handoff.workflow.type", "is required: the workflow type to start")
	case t.Handoff.Workflow != nil && t.Handoff.Workflow.TaskQueue == "":
		return fieldError("handoff.workflow.task_queue", "is required: the queue of the training pipeline's worker")
	}
	if name := t.Output.Tokenizer; name != strings.TrimSpace(name) || len(name) > 1000 {
		return fieldError("output.tokenizer", "must be a folder with a tokenizer.json, or hf://owner/name, got %.80q", name)
	}
	seen := map[string]bool{}
	for i, f := range t.Output.Formats {
		at := fmt.Sprintf("output.formats[%d]", i)
		known := false
		for _, k := range Formats() {
			known = known || k == f
		}
		if !known {
			return fieldError(at, "must be one of %s, got %q", strings.Join(Formats(), ", "), f)
		}
		if f == FormatPreference && t.Reason.Mode != ReasonVerified {
			return fieldError(at, "preference needs reason.mode: verified, whose answers are compared")
		}
		if seen[f] {
			return fieldError(at, "repeats %q", f)
		}
		seen[f] = true
	}
	return nil
}
