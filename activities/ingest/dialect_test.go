package ingest

import (
	"bufio"
	"strings"
	"testing"
	"unicode/utf16"
)

func bufioReader(body string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(body), readBuffer)
}

func TestDialects(t *testing.T) {
	for name, c := range map[string]struct{ ext, in, want string }{
		"semicolons and decimal commas": {".csv", "a;b\n1,5;2,5\n3,5;4\n", "2 a=\"1,5\" b=\"2,5\"\n3 a=\"3,5\" b=\"4\""},
		"tabs":                          {".csv", "a\tb\n1, 2\t3\n", `2 a="1, 2" b="3"`},
		"bars":                          {".csv", "a|b|c\n1|2|3\n", `2 a="1" b="2" c="3"`},
		"quoted":                        {".csv", "\ufeffa;b\r\n\"x;\r\ny,\";\"say \"\"z\"\"\"\r\n1;2", "2 a=\"x;\\ny,\" b=\"say \\\"z\\\"\"\n4 a=\"1\" b=\"2\""},
		"commas stay commas":            {".csv", "a,b\nx;y,1\nu;v,2\n", "2 a=\"x;y\" b=\"1\"\n3 a=\"u;v\" b=\"2\""},
		"most records decide":           {".csv", "a;b,c\n1;2\n3;4\n5;6,7\n", "2 a=\"1\" b,c=\"2\"\n3 a=\"3\" b,c=\"4\"\n4 a=\"5\" b,c=\"6,7\""},
		"a column of texts":             {".csv", "text\n\"x; y, z\"\nu|v\n", "2 text=\"x; y, z\"\n3 text=\"u|v\""},
		"named by Excel":                {".csv", "sep=;\r\na;b,c\r\n1,2;3\r\n\"x\n", "3 a=\"1,2\" b,c=\"3\"\n4 bad: extraneous or missing \" in quoted-field"},
		"tabs by the file's name":       {".tsv", "a,b\tc\n1,2\t3\n", `2 a,b="1,2" c="3"`},
		"one column by its name":        {".tsv", "a,b\n1,2\n", `2 a,b="1,2"`},
		"a header alone":                {".csv", "a;b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.TrimSuffix(dump(t, c.ext, []byte(c.in), smallLimits()), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestTheDelimiterIsFoundInLongFiles(t *testing.T) {
	body := "a;b\n" + strings.Repeat("some text, with a comma;\"and, another; one\"\n", readBuffer/10)
	if got := sniff(bufioReader(body)); got != ';' {
		t.Errorf("got %q", got)
	}
	if got := sniff(bufioReader(strings.Repeat("x;y", readBuffer))); got != ',' {
		t.Errorf("a line longer than what is looked at: got %q", got)
	}
}

func TestOtherEncodingsAreNamed(t *testing.T) {
	encode := func(text string, width int, big bool) string {
		var out []byte
		units := utf16.Encode([]rune(text))
		for _, unit := range units {
			bytes := []byte{byte(unit), byte(unit >> 8)}
			if width == 4 {
				bytes = append(bytes, 0, 0)
			}
			if big {
				for i, j := 0, len(bytes)-1; i < j; i, j = i+1, j-1 {
					bytes[i], bytes[j] = bytes[j], bytes[i]
				}
			}
			out = append(out, bytes...)
		}
		return string(out)
	}
	for want, c := range map[string]struct {
		width int
		big   bool
	}{"UTF-16 LE": {2, false}, "UTF-16 BE": {2, true}, "UTF-32 LE": {4, false}, "UTF-32 BE": {4, true}} {
		for _, mark := range []string{"", "\ufeff"} {
			for _, ext := range []string{".jsonl", ".csv", ".tsv", ".txt", ".md", ".html"} {
				got := dump(t, ext, []byte(encode(mark+"a,b\n1,2\n", c.width, c.big)), smallLimits())
				if got != "breaks off: is "+want+": save it as UTF-8\n" {
					t.Errorf("%s, mark %q, %s: %q", want, mark, ext, got)
				}
			}
		}
	}
	for body, want := range map[string]string{
		"a\nx \x93y\x94\n":   "is not UTF-8 at byte 4, on line 2, which is 0x93, as in Windows-1252",
		"a\ncaf\xe9\n":       "is not UTF-8 at byte 5, on line 2, which is 0xe9, as in Latin-1 or Windows-1252",
		"a\n\x93\xfa\x96{\n": "is not UTF-8 at byte 2, on line 2, which is 0x93: what", // Shift JIS
		"a\n" + strings.Repeat("é\n", readBuffer) + "\xe9x\n": "is not UTF-8 at byte 196610, on line 65538, which is 0xe9, as",
	} {
		if got := dump(t, ".csv", []byte(body), smallLimits()); !strings.Contains(got, "note: "+want) {
			t.Errorf("%.40q: got %q, want %q", body, got[max(0, len(got)-200):], want)
		}
	}
}
