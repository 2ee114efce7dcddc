package ingest

import (
	"bufio"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// splitColumn makes passages of the records that have a column of documents: HTML where the text begins as a page does, Markdown else, which plain
// text is too. The document's title is the record's "title", where it has one; its other columns are left out. Records without the column stay as
// they are. What that does to a file is said in two notes.
func splitColumn(records iter.Seq2[Record, error], column string, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var left []string // columns, the first hundred
		found, others := false, false
		for record, err := range records {
			if err != nil || record.Note != "" || record.why() != "" {
				if !yield(record, err) {
					return
				}
				continue
			}
			title, text, has := "", "", false
			for _, cell := range record.Cells.Cells() {
				switch {
				case cell.Column == column:
					text, has = cell.Text, true
				case strings.EqualFold(cell.Column, titleColumn):
					title = cell.Text
				case !slices.Contains(left, cell.Column) && len(left) < 100:
					left = append(left, cell.Column)
				}
			}
			if !has {
				if others = true; !yield(record, nil) {
					return
				}
				continue
			}
			found = true
			if !splitText(title, text, record.Line, limits, yield) {
				return
			}
		}
		switch {
		case !found && others:
			yield(Record{Note: fmt.Sprintf("has no column %s of documents: its rows are taken as they are", column)}, nil)
		case found && len(left) > 0:
			slices.Sort(left)
			yield(Record{Note: fmt.Sprintf("column %s is split into passages; columns that are left out: %s", column, strings.Join(left, ", "))}, nil)
		}
	}
}

// splitText gives the passages of one text; false when yield wants no more.
func splitText(title, text string, line int, limits Limits, yield func(Record, error) bool) bool {
	p := newPassages(limits, "", func(record Record, err error) bool {
		record.Line = line
		return yield(record, err)
	})
	passed := 0
	inner := p.yield
	p.yield = func(record Record, err error) bool {
		passed++
		return inner(record, err)
	}
	p.title = title
	read := markdown
	if isPage(text) {
		read = hypertext
	}
	err := read(bufio.NewReaderSize(strings.NewReader(text), min(readBuffer, max(16, len(text)))), limits, p)
	p.flush()
	switch {
	case p.stopped:
		return false
	case err != nil:
		return yield(Record{Line: line, Bad: fmt.Sprintf("its document breaks off: %v", err)}, nil)
	case passed == 0:
		return yield(Record{Line: line, Bad: "its document says nothing"}, nil)
	}
	return true
}

// isPage says whether a text begins as HTML.
func isPage(text string) bool {
	start := strings.ToLower(strings.TrimSpace(text[:min(len(text), 1024)]))
	return slices.ContainsFunc([]string{"<!doctype html", "<html", "<head", "<body"}, func(tag string) bool { return strings.HasPrefix(start, tag) })
}
