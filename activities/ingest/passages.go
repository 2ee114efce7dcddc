package ingest

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The columns of a passage.
const (
	titleColumn   = "title"
	sectionColumn = "section"
	textColumn    = "text"
)

const (
	passageLetters = 1500     // the most of one passage
	headingLetters = 300      // a longer one is a paragraph
	paragraphBytes = 64 << 10 // from which a paragraph is cut before its end has been read
)

// passages cuts one document into passages. A passage holds paragraphs of one section, as many as fit into 1,500 letters, with an empty line between
// two; a longer paragraph is cut behind a sentence where one ends in the second half, else between words, else between letters. A heading begins a
// section; the first of the first level is the document's title where nothing else is. A heading without text below it makes no passage.
type passages struct {
	title    string   // the document's own
	fallback string   // where it has none
	headings []string // of the section, by level
	yield    func(Record, error) bool
	cells    *RowCells
	stopped  bool // yield wants no more

	open    strings.Builder
	letters int
	line    int // of the first paragraph in open
}

func newPassages(limits Limits, fallback string, yield func(Record, error) bool) *passages {
	return &passages{fallback: fallback, cells: NewRowCells(limits), yield: yield}
}

// heading ends the section before. level is 1 to 6.
func (p *passages) heading(level int, text string, line int) {
	text = strings.Join(strings.Fields(text), " ")
	switch {
	case text == "":
		return
	case lettersOf(text) > headingLetters:
		p.paragraph(text, line, false)
		return
	}
	p.flush()
	if level == 1 && p.title == "" {
		p.title, p.headings = text, nil
		return
	}
	for len(p.headings) < level {
		p.headings = append(p.headings, "")
	}
	p.headings = append(p.headings[:level-1], text)
}

// section is where a passage stands: its headings from the outermost.
func (p *passages) section() string {
	var names []string
	for _, heading := range p.headings {
		if heading != "" && heading != p.title {
			names = append(names, heading)
		}
	}
	return strings.Join(names, " / ")
}

// paragraph adds one. Code is cut between its lines.
func (p *passages) paragraph(text string, line int, code bool) {
	for text = trimParagraph(text); text != ""; {
		letters := lettersOf(text)
		if p.letters > 0 && p.letters+len("\n\n")+letters > passageLetters {
			p.flush()
		}
		piece := text
		if letters > passageLetters {
			piece = text[:cut(text, code)]
		}
		if text = trimParagraph(text[len(piece):]); !code {
			text = strings.TrimLeftFunc(text, unicode.IsSpace)
		}
		p.add(trimParagraph(piece), line)
	}
}

// lettersOf counts letters as far as they fit into a passage, and one more.
func lettersOf(text string) (n int) {
	for range text {
		if n++; n > passageLetters {
			break
		}
	}
	return n
}

func (p *passages) add(piece string, line int) {
	if piece == "" {
		return
	}
	if p.letters > 0 {
		p.open.WriteString("\n\n")
		p.letters += len("\n\n")
	} else {
		p.line = line
	}
	p.open.WriteString(piece)
	p.letters += lettersOf(piece)
}

// flush gives the open passage; without text there is none.
func (p *passages) flush() {
	if p.letters == 0 || p.stopped {
		return
	}
	text := p.open.String()
	p.open.Reset()
	p.letters = 0
	p.cells.Reset()
	record := Record{Line: p.line, Cells: p.cells}
	for _, cell := range []struct{ column, text string }{{titleColumn, cmp.Or(p.title, p.fallback)}, {sectionColumn, p.section()}, {textColumn, text}} {
		if cell.text == "" {
			continue
		}
		if err := p.cells.Add(cell.column, cell.text); err != nil {
			record = Record{Line: p.line, Bad: err.Error()}
			break
		}
	}
	p.stopped = !p.yield(record, nil)
}

// trimParagraph takes empty lines and the space at the end away; that before the first letter may be the indent of code.
func trimParagraph(text string) string {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	start := 0
	for at, letter := range text {
		if !unicode.IsSpace(letter) {
			break
		}
		if letter == '\n' {
			start = at + 1
		}
	}
	return text[start:]
}

// cut finds where the first piece of a text of more than 1,500 letters ends, in bytes.
func cut(text string, code bool) int {
	end, letters := 0, 0 // of the most that fits
	sentence, word, line := 0, 0, 0
	var before rune
	for at, letter := range text {
		if letters == passageLetters {
			end = at
			break
		}
		letters++
		switch {
		case letter == '\n':
			line, word = at, at
		case unicode.IsSpace(letter):
			word = at
		case strings.ContainsRune("。！？", letter):
			sentence = at + utf8.RuneLen(letter)
		}
		if unicode.IsSpace(letter) && strings.ContainsRune(".!?", before) {
			sentence = at
		}
		before = letter
	}
	switch {
	case code && line > 0:
		return line
	case sentence > end/2:
		return sentence
	case word > 0:
		return word
	}
	return end
}
