package rebased

import (
	"regexp"
	"strings"
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

// SameAnswer compares two final answers; case, white space and punctuation around them do not count.
func SameAnswer(a, b string) bool { return bareAnswer(a) == bareAnswer(b) }

func bareAnswer(s string) string {
	return strings.Trim(strings.ToLower(strings.Join(strings.Fields(s), " ")), " .,;:!?\"'`*()")
}
