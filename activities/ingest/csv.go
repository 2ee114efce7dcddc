package ingest

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"
)

// errLongRecord ends a CSV file: behind a quote that is never closed there is no telling where the next record starts.
var errLongRecord = errors.New("a record is too long; is a quote left open?")

// readCSV reads records (RFC 4180) under a header, with the delimiter that sniff finds. An empty field gives no cell, as null does elsewhere.
func readCSV(r *bufio.Reader, isUTF8 func() bool, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		skipped := 0
		delimiter, named := namedDelimiter(r)
		if named {
			skipped = 1
		} else {
			delimiter = sniff(r)
		}
		readSeparated(r, isUTF8, delimiter, skipped, limits)(yield)
	}
}

// readTSV reads records with tabs between their fields.
func readTSV(r *bufio.Reader, isUTF8 func() bool, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		readSeparated(r, isUTF8, '\t', 0, limits)(yield)
	}
}

// readSeparated reads what stands behind so many skipped lines.
func readSeparated(r io.Reader, isUTF8 func() bool, delimiter rune, skipped int, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		guard := &recordGuard{r: r, max: int64(limits.RowBytes) + readBuffer}
		reader := csv.NewReader(guard)
		reader.Comma, reader.FieldsPerRecord, reader.ReuseRecord = delimiter, -1, true
		header, err := readHeader(reader)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				yield(Record{}, err)
			}
			return
		}
		cells := NewRowCells(limits)
		for {
			guard.recordStart = reader.InputOffset()
			fields, err := reader.Read()
			record := Record{Cells: cells}
			var syntax *csv.ParseError
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &syntax):
				record = Record{Line: skipped + syntax.StartLine, Bad: syntaxMessage(syntax, skipped)}
			case err != nil:
				yield(Record{}, err)
				return
			default:
				record.Line, _ = reader.FieldPos(0)
				record.Line += skipped
				if err := addCSV(cells, header, fields, isUTF8()); err != nil {
					record = Record{Line: record.Line, Bad: err.Error()}
				}
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// readHeader gives the names of the columns; one without a name is called after its place, 1-based.
func readHeader(reader *csv.Reader) ([]string, error) {
	fields, err := reader.Read()
	if err != nil {
		return nil, err
	}
	header := make([]string, len(fields))
	for i, name := range fields {
		switch {
		case !utf8.ValidString(name):
			return nil, errors.New("the header is not UTF-8")
		case len(name) > maxNameBytes:
			return nil, fmt.Errorf("a column's name is longer than %d bytes", maxNameBytes)
		case name == "":
			name = fmt.Sprintf("column_%d", i+1)
		}
		header[i] = name
	}
	return header, nil
}

func addCSV(cells *RowCells, header, fields []string, isUTF8 bool) error {
	cells.Reset()
	if len(fields) != len(header) {
		return fmt.Errorf("has %d fields, the header has %d", len(fields), len(header))
	}
	for i, field := range fields {
		if field == "" {
			continue
		}
		if !isUTF8 && !utf8.ValidString(field) {
			return errors.New("is not UTF-8")
		}
		if err := cells.Add(header[i], field); err != nil {
			return err
		}
	}
	return nil
}

func syntaxMessage(err *csv.ParseError, skipped int) string {
	if err.Line != err.StartLine {
		return fmt.Sprintf("%v, at line %d", err.Err, skipped+err.Line)
	}
	return err.Err.Error()
}

// recordGuard fails once the record being read has taken more than max bytes, since csv.Reader itself reads on to the next quote at any price.
type recordGuard struct {
	r           io.Reader
	max         int64
	read        int64
	recordStart int64 // offset
}

// Read implements io.Reader.
func (g *recordGuard) Read(p []byte) (int, error) {
	if g.read-g.recordStart > g.max {
		return 0, errLongRecord
	}
	n, err := g.r.Read(p)
	g.read += int64(n)
	return n, err
}
