package rebased

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The bounds of a task's values: whoever adds a key says here what it may be.

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
	checks := []func(Task) *FieldError{validateHead, validateExamples, validateRetrieve, validateLists, validateTeacher, validateConstraints, validateReason, validateJudge, validateGates, validateDedupe, validateGiven, validateBalance, validateOutput, validateApproval, validateHandoff, validateRest}
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

// The bounds of handoff.approval_deadline.
const (
	minApprovalDeadline = time.Minute
	maxApprovalDeadline = 365 * 24 * time.Hour
)

func validateApproval(t Task) *FieldError {
	h := t.Handoff
	if h.ApprovalDeadline != "" {
		if d, err := time.ParseDuration(h.ApprovalDeadline); err != nil || d < minApprovalDeadline || d > maxApprovalDeadline {
			return fieldError("handoff.approval_deadline", "must be a time from 1m to 8760h, such as 72h, got %.80q", h.ApprovalDeadline)
		}
	}
	if h.ApprovalDefault != "" && h.ApprovalDefault != ApprovalApprove && h.ApprovalDefault != ApprovalReject {
		return fieldError("handoff.approval_default", "must be one of %s, %s, got %.80q", ApprovalApprove, ApprovalReject, h.ApprovalDefault)
	}
	return nil
}

var studentPattern = regexp.MustCompile(`^[A-Za-z0-9._/~-]{1,200}$`)

func validateOutput(t Task) *FieldError {
	o := t.Output
	for i, trainer := range o.Configs {
		at := fmt.Sprintf("output.configs[%d]", i)
		switch {
		case !slices.Contains(Trainers(), trainer):
			return fieldError(at, "must be one of %s, got %q", strings.Join(Trainers(), ", "), trainer)
		case slices.Contains(o.Configs[:i], trainer):
			return fieldError(at, "repeats %q", trainer)
		case o.TrainerFormat(trainer) == "":
			return fieldError(at, "%s needs one of %s among output.formats", trainer, strings.Join(TrainerFormats(trainer), ", "))
		}
	}
	switch {
	case len(o.System) > 16_000:
		return fieldError("output.system", "must have at most 16000 bytes, has %d", len(o.System))
	case o.Student == "":
		return nil
	case len(o.Configs) == 0:
		return fieldError("output.student", "is the model that output.configs train: name trainers there, or remove it")
	case !studentPattern.MatchString(o.Student):
		return fieldError("output.student", "must be a model of the hub, owner/name, or a folder, of up to 200 letters, digits and ._/~-, got %.80q", o.Student)
	}
	return nil
}

func validateHandoff(t Task) *FieldError {
	const at = "handoff."
	h := t.Handoff
	var required [][3]string // key, value, what it is
	if w := h.Workflow; w != nil {
		required = append(required, [3]string{"workflow.type", w.Type, "the workflow type to start"},
			[3]string{"workflow.task_queue", w.TaskQueue, "the queue of the training pipeline's worker"})
	}
	if n := h.Nexus; n != nil {
		required = append(required, [3]string{"nexus.endpoint", n.Endpoint, "the name of the Nexus endpoint"},
			[3]string{"nexus.service", n.Service, "the service behind the endpoint"}, [3]string{"nexus.operation", n.Operation, "the operation of the service"})
	}
	for _, r := range required {
		switch key, value, what := at+r[0], r[1], r[2]; {
		case strings.TrimSpace(value) == "":
			return fieldError(key, "is required: %s", what)
		case len(value) > 1000:
			return fieldError(key, "must have at most 1000 bytes, has %d", len(value))
		}
	}
	if h.Webhook != nil {
		if err := validateAddress(at+"webhook.url", h.Webhook.URL); err != nil {
			return err
		}
	}
	if h.SQS != nil {
		if err := validateAddress(at+"sqs.queue_url", h.SQS.QueueURL); err != nil {
			return err
		}
	}
	switch {
	case h.Command == nil:
	case !namePattern.MatchString(h.Command.Name):
		return fieldError(at+"command.name", "must be 1 to 63 of a-z, 0-9 and -, a name of the worker's REBASED_HANDOFF_COMMANDS, got %.80q", h.Command.Name)
	case h.Command.Timeout < 0 || h.Command.Timeout > 86_400:
		return fieldError(at+"command.timeout", "must be at most 86400 seconds, got %d", h.Command.Timeout)
	}
	return nil
}

// validateAddress checks a URL that something is sent to.
func validateAddress(at, address string) *FieldError {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fieldError(at, "must be https:// and a host, got %.80q", address)
	case u.User != nil:
		return fieldError(at, "must not hold credentials: they come from the worker's environment")
	case u.Fragment != "" || len(address) > 2000:
		return fieldError(at, "must have at most 2000 bytes and no fragment (#), has %d bytes", len(address))
	}
	return nil
}

func validateRest(t Task) *FieldError {
	if !(t.Output.Validation >= 0 && t.Output.Validation <= 0.5) {
		return fieldError("output.validation", "must be between 0 and 0.5, got %v", t.Output.Validation)
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
