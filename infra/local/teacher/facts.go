package teacher

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// facts are the cells of a row by the part that they can play.
type facts struct {
	passage  string // the longest; "" when no cell holds a word
	question string // "" when no cell asks anything
	others   []cell // the rest, longest first, answers last
}

func findFacts(cells []cell) facts {
	var wordy []cell
	for _, c := range cells {
		if strings.ContainsFunc(c.text, unicode.IsLetter) {
			wordy = append(wordy, c)
		}
	}
	slices.SortStableFunc(wordy, func(a, b cell) int { return len(b.text) - len(a.text) })
	var f facts
	var answers []cell
	for i, c := range wordy {
		switch {
		case i == 0:
			f.passage = c.text
		case f.question == "" && len(c.text) <= 200 && (strings.HasSuffix(c.text, "?") || c.named("question")):
			f.question = c.text
		case c.named("answer"):
			answers = append(answers, c)
		default:
			f.others = append(f.others, c)
		}
	}
	f.others = append(f.others, answers...)
	return f
}

func (c cell) named(what string) bool { return strings.Contains(strings.ToLower(c.column), what) }

var names = regexp.MustCompile(`\p{Lu}[\p{L}\d]+(?: \p{Lu}[\p{L}\d]+)*|\d[\d.,]*\d|\d`)

// answer is a short text out of the passage: a short cell that stands in it, else one of its names or numbers, else its first words.
func (f facts) answer(chosen uint64) string {
	const short = 60
	for _, c := range slices.Backward(f.others) {
		if len(c.text) <= short && strings.Contains(f.passage, c.text) {
			return c.text
		}
	}
	if found := names.FindAllString(f.passage, -1); len(found) > 0 {
		return found[chosen%uint64(len(found))]
	}
	return opening(f.passage, 3)
}

// asked is the row's question, or one that the passage allows.
func (f facts) asked() string {
	if f.question != "" {
		return f.question
	}
	return "What is named in the text that begins with “" + opening(f.passage, 5) + "”?"
}
