package rebased

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// AnswerType says what final answers of a task look like, and so how two of them are compared.
type AnswerType string

// The types of answers.
const (
	AnswerInferred AnswerType = "inferred" // from the task's examples
	AnswerChoice   AnswerType = "choice"   // an option: "(A)", "B. Paris", "option c"
	AnswerNumber   AnswerType = "number"   // "1,000", "$3.50", "7 apples"
	AnswerBoolean  AnswerType = "boolean"  // yes or no, true or false
	AnswerSpan     AnswerType = "span"     // words of the input, compared as SQuAD's are
	AnswerFree     AnswerType = "free"     // any text
)

// AnswerTypes lists the types that a task can name.
func AnswerTypes() []AnswerType {
	return []AnswerType{AnswerInferred, AnswerChoice, AnswerNumber, AnswerBoolean, AnswerSpan, AnswerFree}
}

// AnswerSpec is how a task describes its final answers.
type AnswerSpec struct {
	Type AnswerType `json:"type"`
	// Pattern finds the answer in what a teacher says: a regular expression (RE2), its last match counts, of that the first group where it has one.
	// "" = what follows the last "the answer is".
	Pattern string `json:"pattern"`
}

// AnswerForm finds and compares the final answers of one task.
type AnswerForm struct {
	Type    AnswerType // never AnswerInferred
	Why     string     // the type is this one, for people
	pattern *regexp.Regexp
}

// AnswerForm gives the form of a valid task's answers.
func (t Task) AnswerForm() AnswerForm {
	form := AnswerForm{Type: t.Answer.Type, Why: "answer.type says so"}
	if form.Type == AnswerInferred {
		form.Type, form.Why = inferAnswer(t.Examples)
	}
	if t.Answer.Pattern != "" {
		form.pattern = regexp.MustCompile(t.Answer.Pattern)
	}
	return form
}

// inferAnswer takes the narrowest type that the targets of all examples have, and says why it is that.
func inferAnswer(examples []TaskExample) (of AnswerType, why string) {
	every := func(fits func(target, input string) bool) bool {
		for _, e := range examples {
			if !fits(ShortAnswer(e.Target()), e.Input) {
				return false
			}
		}
		return len(examples) > 0
	}
	switch {
	case every(func(target, _ string) bool { return truth(bareAnswer(target)) != "" }):
		return AnswerBoolean, "every example's answer is yes, no, true or false"
	case every(func(target, _ string) bool { return enclosed.MatchString(strings.TrimSpace(target)) }):
		return AnswerChoice, "every example's answer begins with an option such as (A)"
	case every(func(target, _ string) bool { _, ok := amount(bareAnswer(target)); return ok }):
		return AnswerNumber, "every example's answer holds one number"
	case every(func(target, input string) bool { return len(target) <= maxSpan && strings.Contains(input, target) }):
		return AnswerSpan, "every example's answer stands in its input"
	}
	return AnswerFree, "the examples' answers have no narrower type in common"
}

// maxSpan is the longest target, in bytes, that is taken for a span of its input.
const maxSpan = 200

// Find gives the final answer in what a teacher says; found is false for a text without one.
func (f AnswerForm) Find(text string) (answer string, found bool) {
	if f.pattern == nil {
		return FinalAnswer(text)
	}
	all := f.pattern.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return "", false
	}
	last := all[len(all)-1]
	answer = strings.TrimSpace(last[min(1, len(last)-1)])
	return answer, answer != ""
}

// Missing says what Find did not find, for a re-ask.
func (f AnswerForm) Missing() string {
	if f.pattern == nil {
		return `it does not end with "The answer is X."`
	}
	return fmt.Sprintf("nothing in it matches %.200q, which stands for the answer", f.pattern)
}

// Same reports whether two final answers say the same.
func (f AnswerForm) Same(a, b string) bool { return f.Normal(a) == f.Normal(b) }

// Normal gives the form in which answers are compared: equal for answers that say the same. Case, white space, quotes, emphasis and punctuation
// around an answer never count. What has not the form of the type is compared as free text.
func (f AnswerForm) Normal(answer string) string {
	bare := bareAnswer(answer)
	switch f.Type {
	case AnswerChoice:
		if option := optionOf(bare); option != "" {
			return option
		}
		return bare
	case AnswerBoolean:
		if t := truth(bare); t != "" {
			return t
		}
		return bare
	case AnswerNumber:
		if n, ok := amount(bare); ok {
			return n
		}
		return bare
	case AnswerSpan:
		return words(bare)
	}
	if n, ok := amount(bare); ok && !strings.ContainsFunc(bare, unicode.IsLetter) {
		return n
	}
	if day, ok := date(bare); ok {
		return day
	}
	return articles.ReplaceAllString(bare, "")
}

var (
	// enclosed is an option as benchmarks write it: (A).
	enclosed = regexp.MustCompile(`^\([A-Za-z]\)`)
	option   = regexp.MustCompile(`^(?:option|choice|answer)?\s*\(?([a-z])(?:\)|[.:]\s|[.:)]?$|\)\s)`)
	articles = regexp.MustCompile(`^(?:an|a|the)\s+`)
	article  = regexp.MustCompile(`\b(?:an|a|the)\b`)
	figure   = regexp.MustCompile(`[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:/\d+)?`)
)

// optionOf gives the letter of an option, "" for an answer that names none.
func optionOf(bare string) string {
	if m := option.FindStringSubmatch(bare); m != nil {
		return m[1]
	}
	return ""
}

// truth gives yes or no, "" for what is neither.
func truth(bare string) string {
	switch bare {
	case "yes", "true", "y":
		return "yes"
	case "no", "false", "n":
		return "no"
	}
	return ""
}

var numerals = map[string]string{
	"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
	"eleven": "11", "twelve": "12",
}

// maxAmount is the longest answer, in bytes, that is taken for a number.
const maxAmount = 100

// amount gives the only number of an answer as a fraction in lowest terms, whatever its unit; a percent sign counts.
func amount(bare string) (number string, ok bool) {
	if n, word := numerals[bare]; word {
		return n, true
	}
	if len(bare) > maxAmount {
		return "", false
	}
	found := ""
	for _, m := range figure.FindAllString(bare, -1) {
		if strings.Trim(m, "+-") == "" {
			continue
		}
		if found != "" {
			return "", false
		}
		found = m
	}
	rat, ok := new(big.Rat).SetString(strings.ReplaceAll(found, ",", ""))
	if !ok {
		return "", false
	}
	if strings.Contains(bare, "%") {
		return rat.RatString() + "%", true
	}
	return rat.RatString(), true
}

// layouts are dates of one meaning; those of figures alone are not among them but for ISO 8601's.
var layouts = []string{"2006-01-02", "2006/01/02", "january 2, 2006", "january 2 2006", "2 january 2006", "jan 2, 2006", "2 jan 2006", "jan. 2, 2006"}

// date gives a day in the form of ISO 8601.
func date(bare string) (day string, ok bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, bare); err == nil {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}

// words is SQuAD's normal form: no punctuation, no articles, single spaces (https://rajpurkar.github.io/SQuAD-explorer, evaluation script).
func words(bare string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) {
			return -1
		}
		return r
	}, bare)
	if kept := strings.Join(strings.Fields(article.ReplaceAllString(plain, " ")), " "); kept != "" {
		return kept
	}
	return bare
}
