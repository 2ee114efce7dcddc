package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// dump writes down what a file holds, a line a record.
func dump(t testing.TB, ext string, body []byte, limits Limits) string {
	t.Helper()
	format, ok := textFormats()[ext]
	if !ok {
		t.Fatalf("no format for %s", ext)
	}
	var out strings.Builder
	section := io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
	for record, err := range format.Records(context.Background(), section, limits) {
		switch {
		case err != nil:
			fmt.Fprintf(&out, "breaks off: %v\n", err)
		case record.Note != "":
			fmt.Fprintf(&out, "note: %s\n", record.Note)
		case record.why() != "":
			fmt.Fprintf(&out, "%d bad: %s\n", record.Line, record.why())
		default:
			fmt.Fprintf(&out, "%d", record.Line)
			for _, cell := range record.Cells.Cells() {
				fmt.Fprintf(&out, " %s=%q", cell.Column, cell.Text)
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func smallLimits() Limits {
	limits := DefaultLimits()
	limits.RowBytes, limits.Columns = 200, 5
	return limits
}

func TestJSONLines(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"order of the source":     {`{"b":"1","a":"2"}`, `1 b="1" a="2"`},
		"no end at the end":       {"{\"a\":\"x\"}\n{\"a\":\"y\"}", "1 a=\"x\"\n2 a=\"y\""},
		"windows ends, mark":      {"\ufeff{\"a\":\"x\"}\r\n\r\n{\"a\":\"y\"}\r\n", "1 a=\"x\"\n3 a=\"y\""},
		"numbers as written":      {`{"a":1e6,"b":1000000,"c":12345678901234567890,"d":0.10}`, `1 a="1e6" b="1000000" c="12345678901234567890" d="0.10"`},
		"truth and null":          {`{"a":true,"b":false,"c":null}`, `1 a="true" b="false"`},
		"empty text stays":        {`{"a":""}`, `1 a=""`},
		"nested objects":          {`{"a":{"b":{"c":"x"},"d":"y"}}`, `1 a.b.c="x" a.d="y"`},
		"a list is joined":        {`{"a":["x",1,null,"","y"]}`, `1 a="x\n1\n\ny"`},
		"a list of one":           {`{"answers":{"text":["Denver"],"start":[3]}}`, `1 answers.text="Denver" answers.start="3"`},
		"a list of objects":       {`{"t":[{"r":"u","s":"Hi"},{"s":"Hello","r":"b"}],"z":"1"}`, `1 t.r="u\nb" t.s="Hi\nHello" z="1"`},
		"lists in lists":          {`{"a":[[1,2],[],[3]]}`, `1 a="1\n2\n3"`},
		"rows of other columns":   {"{\"a\":1,\"b\":2}\n{\"b\":[\"x\",\"y\"],\"a\":\"z\"}\n{\"b\":1}\n{\"b\":1,\"a\":2}\n{\"b\":[1,2],\"a\":3}", "1 a=\"1\" b=\"2\"\n2 b=\"x\\ny\" a=\"z\"\n3 b=\"1\"\n4 b=\"1\" a=\"2\"\n5 b=\"1\\n2\" a=\"3\""},
		"one name from two sides": {`{"a.b":"x","a":{"b":"y"}}`, `1 a.b="x\ny"`},
		"escapes":                 {`{"a":"\u00e9\ud83d\ude00\n\"","k\u0041":"/\/"}`, `1 a="é😀\n\"" kA="//"`},
		"half a surrogate":        {`{"a":"\ud83d"}`, `1 a="` + "\ufffd" + `"`},
		"broken line, rest stays": {"{\"a\":\"x\"}\n{\"a\":\n{\"a\":\"y\"}", "1 a=\"x\"\n2 bad: is not JSON: unexpected end of JSON input\n3 a=\"y\""},
		"Python's NaN":            {`{"a":NaN}`, `1 bad: is not JSON: invalid character 'N' looking for beginning of value`},
		"no object":               {"[1]\n\"x\"\n3", "1 bad: is not a JSON object\n2 bad: is not a JSON object\n3 bad: is not a JSON object"},
		"no values":               {`{"a":null,"b":[],"c":{}}`, `1 bad: holds no value`},
		"other encodings":         {"{\"a\":\"caf\xe9\"}", "1 bad: is not UTF-8\nnote: is not UTF-8 at byte 9, on line 1, which is 0xe9, as in Latin-1 or Windows-1252: what is not UTF-8 is left out"},
		"UTF-16":                  {"\xff\xfe{\x00", "breaks off: is UTF-16 LE: save it as UTF-8"},
		"too many columns":        {`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}`, `1 bad: the row has more than 5 columns`},
		"too long":                {`{"a":"` + strings.Repeat("x", 200) + "\"}\n{\"a\":\"y\"}", "1 bad: the line is too long: over 200 bytes\n2 a=\"y\""},
		"far too long":            {`{"a":"` + strings.Repeat("x", 3*readBuffer) + "\"}\n{\"a\":\"y\"}", "1 bad: the line is too long: over 200 bytes\n2 a=\"y\""},
		"too long at the end":     {strings.Repeat("x", 3*readBuffer), "1 bad: the line is too long: over 200 bytes"},
		"names that multiply":     {`{"` + strings.Repeat("n", 60) + `":{"a":1,"b":1,"c":1,"d":1}}`, `1 bad: the row is larger than 200 bytes`},
		"too deep":                {strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "1 bad: is nested deeper than 32"},
		"empty file":              {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.TrimSuffix(dump(t, ".jsonl", []byte(c.in), smallLimits()), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestLongLinesArriveWhole(t *testing.T) {
	text := strings.Repeat("0123456789", readBuffer/5)
	got := dump(t, ".jsonl", []byte(`{"a":"`+text+"\"}\r\n{\"b\":\""+text+`"}`), DefaultLimits())
	if want := fmt.Sprintf("1 a=%q\n2 b=%q\n", text, text); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestJSONNestedTooDeepForTheStackIsRefused(t *testing.T) {
	deep := `{"a":` + strings.Repeat("[", 8<<20) + strings.Repeat("]", 8<<20) + "}"
	if got := dump(t, ".jsonl", []byte(deep), DefaultLimits()); !strings.HasPrefix(got, "1 bad: ") {
		t.Errorf("got %.100q", got)
	}
}

func TestCSV(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"header and rows":       {"q,a\nwhat,that\nwho,they\n", "2 q=\"what\" a=\"that\"\n3 q=\"who\" a=\"they\""},
		"quotes and newlines":   {"\ufeffq,a\r\n\"one\n\"\"two\"\"\",\"a,b\"\r\nx,y", "2 q=\"one\\n\\\"two\\\"\" a=\"a,b\"\n4 q=\"x\" a=\"y\""},
		"empty is absent":       {"a,b\n,2\n\"\",\n", "2 b=\"2\"\n3 bad: holds no value"},
		"ragged":                {"a,b\n1\n1,2,3\n1,2\n", "2 bad: has 1 fields, the header has 2\n3 bad: has 3 fields, the header has 2\n4 a=\"1\" b=\"2\""},
		"columns without names": {",b,\n1,2,3", `2 column_1="1" b="2" column_3="3"`},
		"columns of one name":   {"a,a\n1,2", `2 a="1\n2"`},
		"stray quote":           {"a,b\nsay \"x\",1\n1,2", "2 bad: bare \" in non-quoted-field\n3 a=\"1\" b=\"2\""},
		"open quote":            {"a,b\n1,2\n\"open,1\n3,4", "2 a=\"1\" b=\"2\"\n3 bad: extraneous or missing \" in quoted-field, at line 4"},
		"other encodings":       {"a\ncaf\xe9\nx", "2 bad: is not UTF-8\n3 a=\"x\"\nnote: is not UTF-8 at byte 5, on line 2, which is 0xe9, as in Latin-1 or Windows-1252: what is not UTF-8 is left out"},
		"header alone":          {"a,b\n", ""},
		"empty file":            {"", ""},
		"header not UTF-8":      {"caf\xe9\nx", "breaks off: the header is not UTF-8\nnote: is not UTF-8 at byte 3, on line 1, which is 0xe9, as in Latin-1 or Windows-1252: what is not UTF-8 is left out"},
		"row too large":         {"a\n" + strings.Repeat("x", 300) + "\ny", "2 bad: the row is larger than 200 bytes\n3 a=\"y\""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.TrimSuffix(dump(t, ".csv", []byte(c.in), smallLimits()), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAQuoteLeftOpenDoesNotTakeTheFileIntoMemory(t *testing.T) {
	body := []byte("a,b\n1,2\n\"open,1\n" + strings.Repeat("3,4\n", readBuffer))
	if got, want := dump(t, ".csv", body, smallLimits()), "2 a=\"1\" b=\"2\"\nbreaks off: "+errLongRecord.Error()+"\n"; got != want {
		t.Errorf("got %.200q, want %q", got, want)
	}
}

func gzipped(t testing.TB, body string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, body string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll([]byte(body), nil)
}

func TestCompressedFiles(t *testing.T) {
	rows, table := "{\"a\":\"x\"}\n{\"a\":\"y\"}\n", "a\nx\ny\n"
	wantRows, wantTable := "1 a=\"x\"\n2 a=\"y\"\n", "2 a=\"x\"\n3 a=\"y\"\n"
	for _, c := range []struct {
		ext  string
		body []byte
		want string
	}{
		{".jsonl.gz", gzipped(t, rows), wantRows},
		{".jsonl.gz", append(gzipped(t, rows[:10]), gzipped(t, rows[10:])...), wantRows}, // as made by pigz or cat
		{".jsonl.zst", zstandard(t, rows), wantRows},
		{".csv.gz", gzipped(t, table), wantTable},
		{".csv.zst", zstandard(t, table), wantTable},
		{".jsonl.gz", []byte(rows), "breaks off: gzip: invalid header\n"},
		{".jsonl.gz", nil, "breaks off: unexpected EOF\n"},
		{".jsonl.zst", []byte(rows), "breaks off: invalid input: magic number mismatch\n"},
	} {
		if got := dump(t, c.ext, c.body, DefaultLimits()); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.ext, got, c.want)
		}
	}
}

// incompressible makes lines of which a cut compressed file holds some, but not all.
func incompressible(rows int) string {
	var out strings.Builder
	for i := range rows {
		fmt.Fprintf(&out, "{\"n\":%d,\"text\":\"%x\"}\n", i, uint64(i)*0x9e3779b97f4a7c15)
	}
	return out.String()
}

func TestWhatStandsBeforeACutIsReadAndTheCutLineIsNot(t *testing.T) {
	text := incompressible(50_000)
	all := strings.Split(dump(t, ".jsonl", []byte(text), DefaultLimits()), "\n")
	for ext, whole := range map[string][]byte{".jsonl.gz": gzipped(t, text), ".jsonl.zst": zstandard(t, text)} {
		lines := strings.Split(strings.TrimSuffix(dump(t, ext, whole[:len(whole)/2], DefaultLimits()), "\n"), "\n")
		last := len(lines) - 1
		if last < 1000 || !strings.HasPrefix(lines[last], "breaks off: ") {
			t.Fatalf("%s: %d lines, the last %q", ext, len(lines), lines[last])
		}
		for i, line := range lines[:last] {
			if line != all[i] {
				t.Fatalf("%s: line %d: got %q, want %q", ext, i+1, line, all[i])
			}
		}
	}
}

func TestADecompressionBombIsCutOff(t *testing.T) {
	limits := DefaultLimits()
	limits.Bytes = 1 << 20
	bomb := strings.Repeat("{\"a\":\"x\"}\n", 1<<20)
	for ext, body := range map[string][]byte{".jsonl.gz": gzipped(t, bomb), ".jsonl.zst": zstandard(t, bomb)} {
		got := dump(t, ext, body, limits)
		if !strings.HasSuffix(got, "breaks off: decompresses to more bytes than allowed\n") {
			t.Errorf("%s: ends in %q", ext, got[max(0, len(got)-100):])
		}
	}
}
