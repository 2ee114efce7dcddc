package ingest

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// block gathers the lines of a paragraph.
type block struct {
	text strings.Builder
	line int // of its first
	code bool
}

func (b *block) add(line []byte, number int) {
	if b.text.Len() == 0 {
		b.line = number
	} else {
		b.text.WriteByte('\n')
	}
	b.text.Write(bytes.TrimRight(line, " \t\r"))
}

// end gives the paragraph to the passages.
func (b *block) end(p *passages) {
	p.paragraph(b.text.String(), b.line, b.code)
	b.text.Reset()
	b.code = false
}

// plainText reads a text without marks: paragraphs stand between empty lines.
func plainText(r *bufio.Reader, limits Limits, p *passages) error {
	lines := newLineReader(r, limits.RowBytes)
	var open block
	for !p.stopped {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			open.end(p)
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 || open.text.Len() > paragraphBytes {
			open.end(p)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			open.add(line, lines.line)
		}
	}
	open.end(p)
	return nil
}

// markdownReader goes through the lines of one text.
type markdownReader struct {
	p     *passages
	open  block
	fence []byte // that closes the code; nil outside
}

// markdown reads headings ("# …" and underlined ones), paragraphs, and code between fences. Front matter gives the title and nothing else.
func markdown(r *bufio.Reader, limits Limits, p *passages) error {
	lines := newLineReader(r, limits.RowBytes)
	m := markdownReader{p: p}
	defer func() { m.open.end(p) }()
	front, closed, err := frontMatter(lines)
	if closed {
		p.title = cmp.Or(frontTitle(front), p.title)
	} else {
		for i, line := range front {
			m.read(line, i+1)
		}
	}
	for err == nil && !p.stopped {
		var line []byte
		if line, err = lines.next(); err == nil {
			m.read(line, lines.line)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

const frontMatterLines = 200

// frontMatter reads the lines between two lines of dashes at the start of a text. Without closed there are none, and what was read is text: the first
// line alone, or all that follows a line of dashes for up to 200 lines.
func frontMatter(lines *lineReader) (front [][]byte, closed bool, err error) {
	for len(front) < frontMatterLines {
		line, err := lines.next()
		if err != nil {
			return front, false, err
		}
		marker := string(bytes.TrimRight(line, " \t"))
		closed = len(front) > 0 && (marker == "---" || marker == "...")
		front = append(front, bytes.Clone(line))
		if closed || string(bytes.TrimRight(front[0], " \t")) != "---" {
			return front, closed, nil
		}
	}
	return front, false, nil
}

func frontTitle(front [][]byte) (title string) {
	for _, line := range front {
		if value, ok := bytes.CutPrefix(line, []byte("title:")); ok {
			title = strings.TrimSpace(string(value))
		}
	}
	for _, quote := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(title, quote); ok {
			title = strings.TrimSuffix(inner, quote)
		}
	}
	if utf8.RuneCountInString(title) > headingLetters {
		return ""
	}
	return title
}

func (m *markdownReader) read(line []byte, number int) {
	text := bytes.TrimSpace(line)
	level, heading := atxHeading(line)
	underlined := underlineLevel(line)
	switch {
	case m.open.text.Len() > paragraphBytes:
		code := m.open.code
		m.open.end(m.p)
		m.open.code = code
		m.open.add(line, number)
	case m.fence != nil:
		m.open.add(line, number)
		if bytes.HasPrefix(text, m.fence) && len(bytes.Trim(text, string(m.fence[:1]))) == 0 {
			m.fence = nil
			m.open.end(m.p)
		}
	case len(text) == 0:
		m.open.end(m.p)
	case fenceOf(text) != nil:
		m.open.end(m.p)
		m.fence = bytes.Clone(fenceOf(text))
		m.open.code = true
		m.open.add(line, number)
	case level > 0:
		m.open.end(m.p)
		m.p.heading(level, heading, number)
	case underlined > 0 && m.open.text.Len() > 0 && !strings.Contains(m.open.text.String(), "\n"):
		heading := m.open.text.String()
		m.open.text.Reset()
		m.p.heading(underlined, heading, m.open.line)
	default:
		m.open.add(line, number)
	}
}

// atxHeading reads "## Heading ##"; level is 0 for another line.
func atxHeading(line []byte) (level int, text string) {
	if len(line)-len(bytes.TrimLeft(line, " ")) > 3 {
		return 0, ""
	}
	line = bytes.TrimSpace(line)
	text = string(bytes.TrimLeft(line, "#"))
	level = len(line) - len(text)
	if level == 0 || level > 6 || text != "" && text[0] != ' ' && text[0] != '\t' {
		return 0, ""
	}
	text = strings.TrimSpace(text)
	if closed := strings.TrimRight(text, "#"); closed == "" || strings.HasSuffix(closed, " ") {
		text = strings.TrimSpace(closed)
	}
	return level, text
}

// underlineLevel reads the line under a heading: = is of the first level, - of the second; 0 for another line.
func underlineLevel(line []byte) int {
	line = bytes.TrimRight(line, " \t")
	switch {
	case len(line) < 2:
	case len(bytes.Trim(line, "=")) == 0:
		return 1
	case len(bytes.Trim(line, "-")) == 0:
		return 2
	}
	return 0
}

// fenceOf gives the marks that open a block of code, at least three; nil for another line.
func fenceOf(text []byte) []byte {
	for _, mark := range []string{"`", "~"} {
		n := len(text) - len(bytes.TrimLeft(text, mark))
		if n >= 3 && (mark == "~" || !bytes.Contains(text[n:], []byte("`"))) {
			return text[:n]
		}
	}
	return nil
}
