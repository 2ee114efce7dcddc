package handoff

import (
	"strings"
	"testing"
	"unicode"

	"github.com/rebased/rebased"
)

const hostile = "x|y <img src=x onerror=alert(1)> [a](javascript:b) `c` **d** _e_ ~~f~~ $g$ \\h &lt; https://i.example www.j.example k@l.example\r\n# m\n---\n- n\u202eo\x00p"

func TestEscapedTextHoldsNothingThatMarkdownOrHTMLActOn(t *testing.T) {
	got := escape(hostile)
	rest := got
	for _, reference := range []string{"&#124;", "&#60;", "&#62;", "&#91;", "&#93;", "&#58;", "&#96;", "&#42;", "&#95;", "&#126;", "&#36;", "&#92;", "&#38;", "&#46;", "&#64;", "&#35;"} {
		if !strings.Contains(got, reference) {
			t.Errorf("%s is missing in %q", reference, got)
		}
		rest = strings.ReplaceAll(rest, reference, "")
	}
	if strings.ContainsAny(rest, "\\`*_[]<>|&~$:@#!\n\r") || strings.Contains(rest, "www.") || strings.ContainsFunc(rest, unicode.IsControl) {
		t.Errorf("left over: %q", rest)
	}
}

func TestACardOfHostileTextKeepsItsShape(t *testing.T) {
	in := input()
	calm := string(card(in.Task, manifestOf(t, in, examples())))
	in.Task.Instruction = "```\n````\n" + hostile
	in.Task.Output.License = "mine: \"x\"\n---\nconfigs: []"
	in.Revision, in.Encoder, in.Task.Transform.Teacher.Model, in.Tokenizer = hostile, hostile, hostile, words{hostile}
	in.Skipped = map[string]int{hostile: 3}
	in.Steps[0].Step, in.Steps[0].Rejected = hostile, map[rebased.Reason]int{hostile: 3}
	rows := examples()
	for i := range rows {
		rows[i].Name, rows[i].License, rows[i].Teacher, rows[i].Answer = hostile, hostile, hostile, "|<img>|"
	}
	got := string(card(in.Task, manifestOf(t, in, rows)))
	front, body, _ := strings.Cut(strings.TrimPrefix(got, "---\n"), "\n---\n")
	if !strings.Contains(front, "license: other\nlicense_name: \"mine: \\\"x\\\"\\n---\\nconfigs: []\"\n") {
		t.Errorf("front matter:\n%s", front)
	}
	const fence = "\n`````text\n"
	before, rest, found := strings.Cut(body, fence)
	_, after, closed := strings.Cut(rest, "\n`````\n")
	if !found || !closed {
		t.Fatalf("the instruction is not fenced:\n%s", body)
	}
	_, calmBody, _ := strings.Cut(calm, "\n---\n")
	if headings(before+after) != headings(calmBody) || strings.Contains(before+after, "<img") {
		t.Errorf("the text of the data became part of the card:\n%s", before+after)
	}
}

func headings(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# no heading") {
			n++
		}
	}
	return n
}

func manifestOf(t *testing.T, in Input, rows []rebased.Example) Manifest {
	t.Helper()
	survey, err := newSurvey(t.Context(), newRows(parts(rows, 5)), nil, measuresOf(in.Task, in.Tokenizer), 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newManifest(in, survey)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheCardWarnsOfAnswersOfADemoTeacher(t *testing.T) {
	for model, want := range map[string]bool{"rebased-demo-1": true, "rebased-replay": true, "gpt-5": false, "": false} {
		in := input()
		in.Task.Transform.Teacher.Model = ""
		rows := examples()
		for i := range rows {
			rows[i].Teacher = "another"
		}
		rows[5].Teacher = model // one row is enough
		if got := strings.Contains(string(card(in.Task, manifestOf(t, in, rows))), "Not for training"); got != want {
			t.Errorf("%q: %v", model, got)
		}
	}
}

func TestLicencesAndSizesAreGivenAsHubsKnowThem(t *testing.T) {
	for stated, want := range map[string][2]string{"": {"unknown", ""}, "MIT": {"mit", ""}, "cc-by-sa-4.0": {"cc-by-sa-4.0", ""}, "In house": {"other", "In house"}} {
		if id, name := hubLicense(stated); id != want[0] || name != want[1] {
			t.Errorf("%q: %q %q", stated, id, name)
		}
	}
	for rows, want := range map[int]string{1: "n<1K", 1000: "1K<n<10K", 99_999: "10K<n<100K", 100_000: "100K<n<1M", 1_000_000: "1M<n<10M"} {
		if got := sizeCategory(rows); got != want {
			t.Errorf("%d: %s", rows, got)
		}
	}
}

func TestUnknownFormatsAreRefusedByName(t *testing.T) {
	if _, err := lineOf("csv", frame{}, rebased.Example{}); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), `"csv"`) {
		t.Error(err)
	}
}
