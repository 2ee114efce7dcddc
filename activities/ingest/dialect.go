package ingest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
)

// delimiters are those that are looked for, the first before the others.
const delimiters = ",;\t|"

const sniffedRecords = 100

// namedDelimiter takes the line that Excel puts before the header to name the delimiter ("sep=;"), where there is one.
func namedDelimiter(r *bufio.Reader) (delimiter rune, named bool) {
	start, _ := r.Peek(len("sep=;\r\n"))
	line, _, ok := bytes.Cut(start, []byte("\n"))
	name, isName := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\r")), []byte("sep="))
	if !ok || !isName || len(name) != 1 || !bytes.Contains([]byte(delimiters), name) {
		return 0, false
	}
	_, _ = r.Discard(len(line) + 1) // they are in the buffer
	return rune(name[0]), true
}

// sniff finds the delimiter: of those that give the header two fields or more, the one by which the largest share of the first records (up to 100, of
// the first 64 KiB) has as many fields as the header; among equals the one of more fields, then the first of , ; tab |. It is the comma where none
// does, as in a file of one column.
func sniff(r *bufio.Reader) rune {
	start, err := r.Peek(readBuffer)
	if err == nil {
		start = start[:bytes.LastIndexByte(start, '\n')+1] // the last record is cut
	}
	best, bestShare, bestFields := rune(delimiters[0]), -1.0, 0
	for _, delimiter := range delimiters {
		fields, share := fit(start, delimiter)
		if fields >= 2 && (share > bestShare || share == bestShare && fields > bestFields) {
			best, bestShare, bestFields = delimiter, share, fields
		}
	}
	return best
}

// fit gives the number of fields of the header and the share of the records after it that have as many.
func fit(start []byte, delimiter rune) (fields int, share float64) {
	reader := csv.NewReader(bytes.NewReader(start))
	reader.Comma, reader.FieldsPerRecord, reader.ReuseRecord = delimiter, -1, true
	header, err := reader.Read()
	if err != nil {
		return 0, 0
	}
	fields = len(header)
	records, alike := 0, 0
	for records < sniffedRecords {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if records++; err == nil && len(record) == fields {
			alike++
		}
	}
	if records == 0 {
		return fields, 0
	}
	return fields, float64(alike) / float64(records)
}
