package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// readJSONL reads one JSON object a line. Empty lines are passed over.
func readJSONL(r *bufio.Reader, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		lines := newLineReader(r, limits.RowBytes)
		cells := NewRowCells(limits)
		for {
			line, err := lines.next()
			record := Record{Line: lines.line, Cells: cells}
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.Is(err, errLongLine):
				record = Record{Line: lines.line, Bad: err.Error()}
			case err != nil:
				yield(Record{}, err)
				return
			case len(bytes.TrimSpace(line)) == 0:
				continue
			default:
				if err := flattenJSON(cells, line); err != nil {
					record = Record{Line: lines.line, Bad: err.Error()}
				}
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// flattenJSON puts the fields of a JSON object into cells. Numbers keep their text.
func flattenJSON(cells *RowCells, object []byte) error {
	cells.Reset()
	if !utf8.Valid(object) {
		return errors.New("is not UTF-8")
	}
	if !validJSON(object) { // the walk below relies on it
		return whyNotJSON(object)
	}
	value := gjson.ParseBytes(object)
	if !value.IsObject() {
		return errors.New("is not a JSON object")
	}
	return addJSON(cells, "", value, 0)
}

// flatBrackets is how many brackets a text may have for its depth to be no danger to a checker that calls itself.
const flatBrackets = 10_000

// validJSON asks the faster of two checkers, which knows no bound of depth, where there is no depth.
func validJSON(text []byte) bool {
	if bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) > flatBrackets {
		return json.Valid(text)
	}
	return gjson.ValidBytes(text)
}

func addJSON(cells *RowCells, name string, value gjson.Result, depth int) (err error) {
	switch value.Type {
	case gjson.Null:
		return nil
	case gjson.String:
		return cells.Add(name, value.Str)
	case gjson.JSON:
	default:
		return cells.Add(name, value.Raw)
	}
	if depth == maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	isObject := value.IsObject()
	value.ForEach(func(key, element gjson.Result) bool {
		inner := name
		if isObject {
			if inner, err = DottedName(name, key.Str); err != nil {
				return false
			}
		}
		err = addJSON(cells, inner, element, depth+1)
		return err == nil
	})
	return err
}

// whyNotJSON finds the message for bytes that are known not to be valid.
func whyNotJSON(object []byte) error {
	var raw json.RawMessage
	if err := json.Unmarshal(object, &raw); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	return errors.New("is not JSON")
}
