package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// readJSONL reads one JSON object a line. Empty lines are passed over.
func readJSONL(r *bufio.Reader, isUTF8 func() bool, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		lines := newLineReader(r, limits.RowBytes)
		cells := NewRowCells(limits)
		flat := flattener{cells: cells}
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
				if err := flat.flatten(line, isUTF8()); err != nil {
					record = Record{Line: lines.line, Bad: err.Error()}
				}
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// flattener puts the fields of JSON objects into cells. It checks an object and takes its values in one pass, without copies but of names and of
// strings that hold escapes. What it takes for JSON is what encoding/json does, which the fuzz test holds.
type flattener struct {
	cells *RowCells
	text  []byte // of the object
	at    int    // place in it
	name  []byte // dotted, of the value at the place
	plain []byte // the strings of the object that held escapes
}

// flatten makes the cells of one object. Numbers keep their text. isUTF8 says that it is known to be UTF-8.
func (f *flattener) flatten(object []byte, isUTF8 bool) error {
	f.cells.Reset()
	if !isUTF8 && !utf8.Valid(object) {
		return errors.New("is not UTF-8")
	}
	f.text, f.at, f.name, f.plain = object, 0, f.name[:0], f.plain[:0]
	err := f.record()
	if err != nil && !json.Valid(object) { // of what is no JSON that is to be told, and where it ends
		return whyNotJSON(object)
	}
	return err
}

var (
	errNotJSON   = errors.New("is not JSON")
	errNotObject = errors.New("is not a JSON object")
)

func (f *flattener) record() error {
	if f.next() != '{' {
		return errNotObject
	}
	if err := f.object(0); err != nil {
		return err
	}
	if f.next(); f.at < len(f.text) {
		return errNotJSON
	}
	return nil
}

// next passes over white space and gives the byte that stands there, 0 at the end.
func (f *flattener) next() byte {
	for ; f.at < len(f.text); f.at++ {
		switch c := f.text[f.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// value reads what stands at the place.
func (f *flattener) value(depth int) error {
	switch c := f.next(); c {
	case '"':
		text, err := f.string()
		if err != nil {
			return err
		}
		return f.cells.Add(view(f.name), text)
	case '{', '[':
		if depth == maxDepth {
			return fmt.Errorf("is nested deeper than %d", maxDepth)
		}
		if c == '{' {
			return f.object(depth)
		}
		return f.array(depth)
	case 'n':
		return f.literal("null")
	case 't', 'f':
		literal := "true"
		if c == 'f' {
			literal = "false"
		}
		if err := f.literal(literal); err != nil {
			return err
		}
		return f.cells.Add(view(f.name), literal)
	}
	number := f.number()
	if number == nil {
		return errNotJSON
	}
	return f.cells.Add(view(f.name), view(number))
}

// object reads from '{' to behind '}'.
func (f *flattener) object(depth int) error {
	f.at++
	if f.next() == '}' {
		f.at++
		return nil
	}
	outer := len(f.name)
	for {
		if f.next() != '"' {
			return errNotJSON
		}
		key, err := f.string()
		if err != nil {
			return err
		}
		if outer+1+len(key) > maxNameBytes {
			return errLongName
		}
		if outer > 0 {
			f.name = append(f.name, '.')
		}
		f.name = append(f.name, key...)
		if f.next() != ':' {
			return errNotJSON
		}
		f.at++
		if err := f.value(depth + 1); err != nil {
			return err
		}
		f.name = f.name[:outer]
		switch f.next() {
		case ',':
			f.at++
		case '}':
			f.at++
			return nil
		default:
			return errNotJSON
		}
	}
}

// array reads from '[' to behind ']'; its elements have its name.
func (f *flattener) array(depth int) error {
	f.at++
	if f.next() == ']' {
		f.at++
		return nil
	}
	for {
		if err := f.value(depth + 1); err != nil {
			return err
		}
		switch f.next() {
		case ',':
			f.at++
		case ']':
			f.at++
			return nil
		default:
			return errNotJSON
		}
	}
}

func (f *flattener) literal(want string) error {
	if !bytes.HasPrefix(f.text[f.at:], []byte(want)) {
		return errNotJSON
	}
	f.at += len(want)
	return nil
}

// number gives the text of one; nil: there is none.
func (f *flattener) number() []byte {
	start := f.at
	if f.skip("-"); !f.skip("0") && !f.digits() {
		return nil
	}
	if f.skip(".") && !f.digits() {
		return nil
	}
	if f.skip("eE") {
		if f.skip("+-"); !f.digits() {
			return nil
		}
	}
	return f.text[start:f.at]
}

// skip passes over one of some bytes, if it stands there.
func (f *flattener) skip(these string) bool {
	if f.at < len(f.text) && strings.IndexByte(these, f.text[f.at]) >= 0 {
		f.at++
		return true
	}
	return false
}

func (f *flattener) digits() bool {
	start := f.at
	for f.at < len(f.text) && '0' <= f.text[f.at] && f.text[f.at] <= '9' {
		f.at++
	}
	return f.at > start
}

// whyNotJSON finds the message for bytes that are known not to be valid.
func whyNotJSON(object []byte) error {
	var raw json.RawMessage
	if err := json.Unmarshal(object, &raw); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	return errNotJSON
}
