package ingest

import (
	"bufio"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// splitColumn makes passages of the records that have a column of documents: HTML where the text begins as a page does, Markdown else, which plain
// text is too. The document's title is the record's "title", where it has one; its other columns are left out. Records without the column stay as
// they are. What that does to a file is said in a note.
func splitColumn(records iter.Seq2[Record, error], column string, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s := columnSplitter{column: column, limits: limits, yield: yield}
		for record, err := range records {
			var more bool
			if err != nil || record.Note != "" || record.why() != "" {
				more = yield(record, err)
			} else {
				more = s.split(record)
			}
			if !more {
				return
			}
		}
		if note := s.note(); note != "" {
			yield(Record{Note: note}, nil)
		}
	}
}

// columnSplitter goes through the records of one file.
type columnSplitter struct {
	column string
	limits Limits
	yield  func(Record, error) bool

	found, others bool     // records with the column, and without
	left          []string // columns that are left out, the first hundred
}

// split gives the passages of a record; false when yield wants no more.
func (s *columnSplitter) split(record Record) bool {
	cells := record.Cells.Cells()
	at := slices.IndexFunc(cells, func(c rebased.Cell) bool { return c.Column == s.column })
	if at < 0 {
		s.others = true
		return s.yield(record, nil)
	}
	s.found = true
	title := ""
	for i, cell := range cells {
		switch {
		case i == at:
		case strings.EqualFold(cell.Column, titleColumn):
			title = cell.Text
		case len(s.left) < 100 && !slices.Contains(s.left, cell.Column):
			s.left = append(s.left, cell.Column)
		}
	}
	return s.passages(title, cells[at].Text, record.Line)
}

// note says what became of the file's columns; "" when nothing was lost.
func (s *columnSplitter) note() string {
	switch {
	case !s.found && s.others:
		return fmt.Sprintf("has no column %s of documents: its rows are taken as they are", s.column)
	case len(s.left) > 0:
		slices.Sort(s.left)
		return fmt.Sprintf("column %s is split into passages; columns that are left out: %s", s.column, strings.Join(s.left, ", "))
	}
	return ""
}

// passages gives those of one text.
func (s *columnSplitter) passages(title, text string, line int) bool {
	passed := 0
	p := newPassages(s.limits, "", func(record Record, err error) bool {
		passed++
		record.Line = line
		return s.yield(record, err)
	})
	p.title = title
	read := markdown
	if isPage(text) {
		read = hypertext
	}
	err := read(bufio.NewReaderSize(strings.NewReader(text), min(readBuffer, max(16, len(text)))), s.limits, p)
	p.flush()
	switch {
	case p.stopped:
		return false
	case err != nil:
		return s.yield(Record{Line: line, Bad: fmt.Sprintf("its document breaks off: %v", err)}, nil)
	case passed == 0:
		return s.yield(Record{Line: line, Bad: "its document says nothing"}, nil)
	}
	return true
}

// isPage says whether a text begins as HTML.
func isPage(text string) bool {
	start := strings.ToLower(strings.TrimSpace(text[:min(len(text), 1024)]))
	return slices.ContainsFunc([]string{"<!doctype html", "<html", "<head", "<body"}, func(tag string) bool { return strings.HasPrefix(start, tag) })
}
