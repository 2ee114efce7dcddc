package handoff

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// wwwDot finds what renderers of Markdown make a link of without being asked.
var wwwDot = regexp.MustCompile(`(?i)\b(www)\.`)

// escape makes a text mean itself in a paragraph or a table cell of Markdown, on one line: every character that Markdown or HTML could act
// on becomes a character reference, which never acts. (GitHub still links an address of e-mail, which does no harm.)
func escape(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune("\\`*_[]<>|&~$:@#!", r):
			fmt.Fprintf(&out, "&#%d;", r)
		case unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r):
			out.WriteByte(' ')
		default:
			out.WriteRune(r)
		}
	}
	return wwwDot.ReplaceAllString(out.String(), "$1&#46;")
}

// fenced shows a text of several lines as it is, in a fence longer than any run of backticks in it.
func fenced(s string) string {
	s = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\r\n", "\n"))
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "text\n" + s + "\n" + fence
}
