package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestDocuments(t *testing.T) {
	for name, c := range map[string]struct{ ext, in, want string }{
		"paragraphs of a text":   {".txt", "one\ntwo\n\n\n \nthree\n", `1 text="one\ntwo\n\nthree"`},
		"a text has no headings": {".txt", "# one\n\ntwo", `1 text="# one\n\ntwo"`},
		"headings": {".md", "# Guide\nIntro.\n\n## Install\n### Linux ##\napt\n## Use\nrun", `2 title="Guide" text="Intro."
6 title="Guide" section="Install / Linux" text="apt"
8 title="Guide" section="Use" text="run"`},
		"underlined headings": {".md", "Guide\n=====\nIntro.\n\nUse\n---\nrun\n\na list\nof two\n---\n", `3 title="Guide" text="Intro."
7 title="Guide" section="Use" text="run\n\na list\nof two\n---"`},
		"no headings":               {".md", "#tag\n####### seven\n    # code", `1 text="#tag\n####### seven\n    # code"`},
		"code is kept as it is":     {".md", "Do:\n```sh\n# no heading\n\nmake\n```\n~~~\n```\n~~~\nend", "1 text=\"Do:\\n\\n```sh\\n# no heading\\n\\nmake\\n```\\n\\n~~~\\n```\\n~~~\\n\\nend\""},
		"code left open":            {".md", "```\na\n\nb", "1 text=\"```\\na\\n\\nb\""},
		"front matter":              {".md", "\ufeff---\ntitle: \"The Title\"\ndate: 2024\n---\n# One\ntext", `6 title="The Title" section="One" text="text"`},
		"front matter left open":    {".md", "---\ntitle: x\ntext", `1 text="---\ntitle: x\ntext"`},
		"a rule is no front matter": {".md", "text\n\n---\n\nmore", `1 text="text\n\n---\n\nmore"`},
		"a heading alone":           {".md", "# A\n## B\n", ``},
		"two of the first level":    {".md", "# A\nx\n# B\ny", "2 title=\"A\" text=\"x\"\n4 title=\"A\" section=\"B\" text=\"y\""},
		"empty":                     {".md", "", ""},
		"a page": {".html", `<!doctype html><html><head><title>The &amp; Page</title><style>p{}</style></head><body>
<nav><ul><li>Home<li>Up</ul></nav><h1>Guide</h1><p>Some <b>bold</b>
 text&nbsp;&mdash; here.<p>More<script>if (a<b) "</p>"</script>.
<h2>Parts</h2><ul><li>one</li><li>two <i>x</i></li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<pre>for x:
    y
</pre><div role="navigation"><div>skip</div>this</div><div hidden>no</div><footer>©</footer></body></html>`,
			`2 title="The & Page" section="Guide" text="Some bold text — here.\n\nMore."
4 title="The & Page" section="Guide / Parts" text="- one\n- two x\n\na | b\n1 | 2\n\nfor x:\n    y"`},
		"the title of a page without one":      {".html", "<h1>A<br>B</h1>x", `1 title="A B" text="x"`},
		"navigation that is not closed":        {".html", "a<nav>b<p>c", "1 text=\"a\"\nnote: the <nav> on line 1 is never closed: what follows it is left out"},
		"the main part ends what is left open": {".html", "<nav>b<main>c</main>", `1 text="c"`},
		"words stay words":                     {".html", "<p>un<b>believ</b>able <span>a</span><span> b</span><br>c<div>d</div>", `1 text="unbelievable a b\nc\n\nd"`},
		"broken markup":                        {".html", "a < b & c <p <x</p> </ul></li>d<!-- e", `1 text="a < b & c\n\nd"`},
		"not UTF-8":                            {".txt", "one\n\ntwo\ncaf\xe9 x", "1 text=\"one\\n\\ntwo\"\nbreaks off: is not UTF-8 at byte 12, on line 4, which is 0xe9, as in Latin-1 or Windows-1252"},
		"long heading":                         {".md", "# " + strings.Repeat("word ", 80) + "\nx", fmt.Sprintf("1 text=%q", strings.Repeat("word ", 79)+"word\n\nx")},
		"markdown line too long":               {".md", strings.Repeat("x", 3000), "breaks off: the line is too long: over 2000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			limits := DefaultLimits()
			limits.RowBytes = 2000
			if got := strings.TrimSuffix(dump(t, c.ext, []byte(c.in), limits), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// textsOf gives the texts of a document's passages.
func textsOf(t testing.TB, ext, body string) (texts []string) {
	t.Helper()
	section := io.NewSectionReader(strings.NewReader(body), 0, int64(len(body)))
	line := 0
	for record, err := range textFormats()[ext].Records(context.Background(), section, DefaultLimits()) {
		if err != nil || record.Note != "" {
			continue
		}
		if record.Line < line {
			t.Errorf("a passage of line %d after one of line %d", record.Line, line)
		}
		line = record.Line
		cells := record.Cells.Cells()
		last := cells[len(cells)-1]
		if n := utf8.RuneCountInString(last.Text); last.Column != textColumn || n == 0 || n > passageLetters {
			t.Errorf("column %s of %d letters", last.Column, n)
		}
		texts = append(texts, last.Text)
	}
	return texts
}

func TestPassagesAreFilledUpToTheirSize(t *testing.T) {
	paragraph := strings.Repeat("x", 400)
	texts := textsOf(t, ".txt", strings.Repeat(paragraph+"\n\n", 7))
	if len(texts) != 3 || len(texts[0]) != 3*400+2*2 || len(texts[2]) != 400 {
		t.Errorf("%d passages, the first of %d letters", len(texts), len(texts[0]))
	}
}

func TestALongParagraphIsCutWhereItHurtsLeast(t *testing.T) {
	sentence := strings.Repeat("word ", 99) + "end. "
	for name, c := range map[string]struct{ ext, in, end string }{
		"sentences":                 {".txt", strings.Repeat(sentence, 10), "end."},
		"no space after a sentence": {".txt", strings.Repeat(strings.Repeat("字", 400)+"。", 10), "。"},
		"words":                     {".txt", strings.Repeat("word ", 1000), "word"},
		"letters":                   {".txt", strings.Repeat("é", 5000), "é"},
		"lines of code":             {".md", "```\n" + strings.Repeat("f(a. b)\n", 500) + "```\n", "f(a. b)"},
	} {
		texts := textsOf(t, c.ext, c.in)
		if len(texts) < 3 || !strings.HasSuffix(texts[0], c.end) || utf8.RuneCountInString(texts[0]) < passageLetters/2 {
			t.Errorf("%s: %d passages, the first ends in %q", name, len(texts), texts[0][max(0, len(texts[0])-40):])
		}
	}
}

func TestAnEndlessParagraphIsNotHeld(t *testing.T) {
	limits := DefaultLimits()
	for _, ext := range []string{".txt", ".md", ".html"} {
		held := 0
		p := newPassages(limits, "", func(record Record, _ error) bool {
			held = max(held, len(record.Cells.Cells()[0].Text))
			return true
		})
		body := strings.Repeat("a line of words\n", 1<<17)
		if err := textFormats()[ext].(textFormat).document(bufioReader(body), limits, p); err != nil {
			t.Fatal(err)
		}
		if held == 0 || held > passageLetters || p.open.Cap() > 1<<16 {
			t.Errorf("%s: %d bytes", ext, held)
		}
	}
}

func TestPagesNestedDeepAreRead(t *testing.T) {
	if texts := textsOf(t, ".html", strings.Repeat("<div><nav>", 1<<18)+"x"); len(texts) != 0 {
		t.Errorf("%q", texts)
	}
	if texts := textsOf(t, ".html", strings.Repeat("<div><b>", 1<<18)+"x"); len(texts) != 1 || texts[0] != "x" {
		t.Errorf("%q", texts)
	}
}

func TestALineOfManyMegabytesIsCutInOneGo(t *testing.T) {
	for _, unit := range []string{"word ", "x"} {
		body := strings.Repeat(unit, 4<<20/len(unit))
		for _, ext := range []string{".txt", ".md", ".html"} {
			if texts := textsOf(t, ext, body); len(texts) < len(body)/passageLetters {
				t.Errorf("%s: %d passages", ext, len(texts))
			}
		}
	}
}

// letters drops white space, which passages may change.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// FuzzDocuments holds that a text's letters all arrive, in order, and that no document gives passages out of bounds.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{
		"one\n\ntwo", "# A\n\n## B\ntext\n```\ncode\n", "---\ntitle: x\n---\ny\n===\nz", "<title>a</title><h1>b<p>c<nav>d</nav><pre>\n e</pre>&amp;", "<p <x></nav><table><td>1<td>2", "\xef\xbb\xbfx", "a\u2028b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		texts := textsOf(t, ".txt", body)
		for _, ext := range []string{".md", ".html"} {
			for _, text := range textsOf(t, ext, body) {
				if !utf8.ValidString(text) {
					t.Fatalf("%q gives %q", body, text)
				}
			}
		}
		if !utf8.ValidString(body) || wideEncoding([]byte(body)) != "" {
			return
		}
		if got, want := letters(strings.Join(texts, "")), letters(strings.TrimPrefix(body, string(byteOrderMark))); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// FuzzEncodingWatch holds that bytes pass unchanged however they come, and that the first wrong one is found where it is.
func FuzzEncodingWatch(f *testing.F) {
	for _, seed := range []string{"plain", "caf\xe9", "é\nü\xc3", "\xf0\x9f\x98\x80\xf0\x9f", strings.Repeat("x", 5000) + "\xff"} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, step uint8) {
		want := 0
		for want < len(body) {
			letter, size := utf8.DecodeRune(body[want:])
			if letter == utf8.RuneError && size == 1 {
				break
			}
			want += size
		}
		watch := &encodingWatch{r: stepReader{bytes.NewReader(body), int(step)%7 + 1}}
		if got, err := io.ReadAll(watch); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q came as %q: %v", body, got, err)
		}
		if found := watch.found != ""; found != (want < len(body)) || found && watch.offset != int64(want) {
			t.Fatalf("%q: found %q at %d, want %d", body, watch.found, watch.offset, want)
		}
		strict := &encodingWatch{r: stepReader{bytes.NewReader(body), int(step)%7 + 1}, strict: true}
		if got, err := io.ReadAll(strict); (err != nil) != (want < len(body)) || !bytes.HasPrefix(body, got) || len(got) < want || len(got) > want+3 {
			t.Fatalf("%q came as %q: %v", body, got, err)
		}
	})
}

// stepReader gives so many bytes at a time.
type stepReader struct {
	r    io.Reader
	step int
}

func (s stepReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.step)]) }
