package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzFlattenJSON holds the flattener against the standard library: it takes the same lines, and finds the same scalars under the same names.
func FuzzFlattenJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[1,{"c":null}],"d":{"e":"x\u00e9\ud83d\ude00"}}`, `{"":{"":""}}`, `{"a":[[],[[]]]}`, `[]`, `{"a":1e400}`, `{"a":"\ud83d"}`, `{"a":"\ud83d\u0041\ude00\ud83d\uDE00\\\"\/\b\f\n\r\t"}`, `{"a":-0.5e+3,"b":01}`, `{"a":[true,false,null]}x`, ` { } `, `{"a.b":1,"a":{"b":2}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		cells := NewRowCells(DefaultLimits())
		flat := flattener{cells: cells}
		err := flat.flatten(line, false)
		var want map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(line)))
		decoder.UseNumber()
		if decoder.Decode(&want) != nil || want == nil || !json.Valid(line) || !utf8.Valid(line) {
			if err == nil {
				t.Fatalf("%q is taken", line)
			}
			return
		}
		if err != nil {
			if !strings.Contains(err.Error(), "is nested deeper") && !strings.Contains(err.Error(), "longer than") {
				t.Fatalf("%q: %v", line, err)
			}
			return
		}
		got := map[string]string{}
		for _, cell := range cells.Cells() {
			if !utf8.ValidString(cell.Column) || !utf8.ValidString(cell.Text) {
				t.Fatalf("%q gives %q = %q", line, cell.Column, cell.Text)
			}
			got[cell.Column] = cell.Text
		}
		checkScalars(t, "", want, got)
	})
}

// checkScalars finds every scalar of a decoded value among the joined cells.
func checkScalars(t *testing.T, name string, value any, got map[string]string) {
	t.Helper()
	text := ""
	switch value := value.(type) {
	case nil:
		return
	case map[string]any:
		for key, inner := range value {
			dotted := key
			if name != "" {
				dotted = name + "." + key
			}
			checkScalars(t, dotted, inner, got)
		}
		return
	case []any:
		for _, element := range value {
			checkScalars(t, name, element, got)
		}
		return
	case string:
		text = value
	case json.Number:
		text = value.String()
	case bool:
		text = map[bool]string{true: "true", false: "false"}[value]
	}
	cell, ok := got[name]
	if !ok || !strings.Contains("\n"+cell+"\n", "\n"+text+"\n") {
		t.Fatalf("%q: cell %q does not hold %q", name, cell, text)
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "a\n\"x\ny\"\n", "\ufeffa,a\r\n1,\r\n", "a,b\n\"1,2\n3,4", ",\n,\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		last := 1 // of the header
		for record, err := range readCSV(bufio.NewReader(bytes.NewReader(body)), func() bool { return false }, smallLimits()) {
			if err != nil {
				return
			}
			if record.Line <= last || record.Line > bytes.Count(body, []byte("\n"))+1 {
				t.Fatalf("%q: a record on line %d after line %d", body, record.Line, last)
			}
			last = record.Line
			if record.why() == "" && record.Cells.Len() > 5 {
				t.Fatalf("%q: %d cells", body, record.Cells.Len())
			}
		}
	})
}
