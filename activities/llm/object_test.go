package llm

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnObjectIsTheFirstThatHasAKeyThatIsAskedFor(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1} {"b": 2} {"b": 3}`: "2", `{"a": {"b": 4}}`: "4", `{b: 5,}`: "5", `{'b': 6} {"b": 7}`: "7", `{"a": 8}`: "", ``: "", `{"b": [9]}`: "",
		`{"b": "t\u00e9"}`: "té", `{'b': 'it's', 'c': True}`: "it's", `{"b": null}`: "",
	} {
		fields, found := Object(text, "b", "none")
		got, _ := Scalar(fields["b"])
		if got != want || found != (want != "" || strings.Contains(text, "[9]") || strings.Contains(text, "null")) {
			t.Errorf("%s: got %q, %v; want %q", text, got, found, want)
		}
	}
}

// Whatever a teacher says is read in time: what is JSON as JSON says, and what is mended as fields that are JSON themselves.
func FuzzObjects(f *testing.F) {
	for _, seed := range []string{
		"", "{", `{"a": "x"}`, `{'a': 'it's "so"', b: True,}`, `{"a": "\ud83d\ude42 \u12`, `{a: [1, {"b": "]"}], c: "d}`, "{\"a\": \"x\ny\", 'a': 'z'}", `{"a": "x"} {"a": "y"}`,
		`{"a":"\`, `{"a": 1e999, "b": -}`, "{\"\xff\": \"\xff\"}", strings.Repeat(`{"a":`, 50), strings.Repeat(`{'a': [`, 50) + `'`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, found := Object(text, "a", "b")
		if !found && fields != nil || found && fields["a"] == nil && fields["b"] == nil {
			t.Fatalf("%q: found %v with %v", text, found, fields)
		}
		for key, raw := range fields {
			if !json.Valid(raw) {
				t.Fatalf("%q: field %q is %q", text, key, raw)
			}
			if got, ok := Scalar(raw); ok && raw[0] == '"' {
				var want string
				if err := json.Unmarshal(raw, &want); err != nil || got != want {
					t.Fatalf("%q: field %q is %q, read as %q", text, key, raw, got)
				}
			}
		}
		var whole map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &whole) != nil || whole["a"] == nil && whole["b"] == nil {
			return
		}
		if !maps.EqualFunc(whole, fields, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%q is JSON, read as %q", text, fields)
		}
		// Said in another way it is the same.
		if again, _ := Object("Here it is:\n```json\n"+text+"\n``` done", "a", "b"); len(again) != len(whole) {
			t.Fatalf("%q in fences gives %q", text, again)
		}
	})
}

// What is mended of an object of texts with keys and quotes as Python writes them is what it says.
func FuzzMendedTexts(f *testing.F) {
	f.Add("x", "y")
	f.Add("it's", "a \"b\" c")
	f.Add("\n\t", "\\ \\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsAny(a+b, "'\\") || !utf8.ValidString(a) || !utf8.ValidString(b) {
			return // these would have to be escaped
		}
		fields, found := Object(`{'a': '`+a+`', 'b': '`+b+`',}`, "a")
		gotA, _ := Scalar(fields["a"])
		gotB, _ := Scalar(fields["b"])
		if !found || gotA != a || gotB != b {
			t.Fatalf("%q and %q are read as %q and %q", a, b, gotA, gotB)
		}
	})
}
