package rebased

import (
	"regexp"
	"strings"
)

// Answers are labels, which can be counted, where none has more bytes and no more of them differ.
const (
	LabelBytes = 64
	MaxLabels  = 1000
)

// marker introduces the final answer of a chain of thought, which ends 'the answer is X' (arXiv 2407.05463).
var marker = regexp.MustCompile(`(?i)the answer is:?\s`)

// FinalAnswer finds the final answer of a chain of thought: what follows the last "the answer is", without quotes, emphasis and full stop
// around it. found is false for a text without one.
func FinalAnswer(text string) (answer string, found bool) {
	places := marker.FindAllStringIndex(text, -1)
	if len(places) == 0 {
		return "", false
	}
	answer = strings.Trim(strings.TrimSpace(text[places[len(places)-1][1]:]), "*`\"")
	answer = strings.Trim(strings.TrimSuffix(strings.TrimSpace(answer), "."), "*`\" \t\r\n")
	return answer, answer != ""
}

// ShortAnswer is the final answer of an output: that of its chain of thought, or all of it when it is none.
func ShortAnswer(output string) string {
	if answer, found := FinalAnswer(output); found {
		return answer
	}
	return output
}

// SameAnswer compares two final answers. Case, white space, quotes and emphasis around them, punctuation after them and parentheses around the
// whole do not count: "(A)." is "a". What stands before a number does: ".5" is not "5". An answer of nothing but such signs is compared as it is.
func SameAnswer(a, b string) bool { return bareAnswer(a) == bareAnswer(b) }

// around are the quotes and the emphasis that may enclose an answer.
const around = " \"'`*"

func bareAnswer(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	bare := strings.TrimLeft(strings.TrimRight(s, around+".,;:!?"), around)
	if strings.HasPrefix(bare, "(") && strings.HasSuffix(bare, ")") {
		bare = strings.Trim(bare[1:len(bare)-1], around)
	}
	if bare == "" {
		return s
	}
	return bare
}
