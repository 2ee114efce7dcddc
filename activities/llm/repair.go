package llm

import (
	"encoding/json"
	"strings"
)

// What models without a JSON mode write instead of JSON: single quotes as in Python, bare keys, commas at the end, raw line breaks and unescaped
// quotes inside of texts. Whatever breaks off is not mended: a text that was cut must not become a row.

// mended reads an object that is nearly JSON, from the brace that text begins with.
func mended(text string) (fields map[string]json.RawMessage, ok bool) {
	m := &mender{rest: text[1:]}
	fields = map[string]json.RawMessage{}
	for {
		m.space()
		if m.take('}') {
			return fields, true
		}
		key, ok := m.key()
		if !ok {
			return nil, false
		}
		value, ok := m.value()
		if !ok {
			return nil, false
		}
		if _, known := fields[key]; !known {
			fields[key] = value
		}
		if m.space(); !m.take(',') && !strings.HasPrefix(m.rest, "}") {
			return nil, false
		}
	}
}

type mender struct{ rest string }

func (m *mender) space() { m.rest = strings.TrimLeft(m.rest, " \t\r\n") }

func (m *mender) take(c byte) bool {
	if m.rest == "" || m.rest[0] != c {
		return false
	}
	m.rest = m.rest[1:]
	return true
}

// maxKey bounds a key, in bytes.
const maxKey = 100

// key reads "key":, 'key': or key:.
func (m *mender) key() (string, bool) {
	end := strings.IndexByte(m.rest[:min(len(m.rest), maxKey)], ':')
	if end < 0 {
		return "", false
	}
	key := strings.TrimSpace(m.rest[:end])
	m.rest = m.rest[end+1:]
	if len(key) > 1 && (key[0] == '"' || key[0] == '\'') && key[len(key)-1] == key[0] {
		key = key[1 : len(key)-1]
	}
	return key, key != "" && !strings.ContainsAny(key, "\"'{}[],\n")
}

// value reads a text, a number or a word. A list or an object is taken for what it is, and not read.
func (m *mender) value() (json.RawMessage, bool) {
	m.space()
	if m.rest == "" {
		return nil, false
	}
	switch c := m.rest[0]; c {
	case '"', '\'':
		text, ok := m.text(c)
		return json.RawMessage(Quote(text)), ok
	case '{', '[':
		return json.RawMessage("{}"), m.skip()
	}
	end := strings.IndexAny(m.rest, ",}\n")
	if end < 0 {
		return nil, false
	}
	word := strings.TrimSpace(m.rest[:end])
	m.rest = m.rest[end:]
	switch word {
	case "True", "False":
		word = strings.ToLower(word)
	case "None":
		word = "null"
	}
	return json.RawMessage(word), json.Valid([]byte(word))
}

// text reads up to the quote that ends it: the first one that stands where a text can end.
func (m *mender) text(quote byte) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(m.rest); i++ {
		switch c := m.rest[i]; {
		case c == '\\' && i+1 < len(m.rest):
			i += m.escape(&b, m.rest[i:], quote) - 1
		case c == quote && ends(m.rest[i+1:]):
			m.rest = m.rest[i+1:]
			return b.String(), true
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// escape writes what a backslash and what follows it stand for, and says how many bytes that was.
func (m *mender) escape(b *strings.Builder, at string, quote byte) int {
	const unicode = len(`\u0000`)
	if at[1] == quote {
		b.WriteByte(quote)
		return 2
	}
	n := 2
	if at[1] == 'u' {
		n = min(unicode, len(at))
		if pair := min(2*unicode, len(at)); strings.HasPrefix(at[n:], `\u`) && json.Valid([]byte(`"`+at[:pair]+`"`)) {
			n = pair
		}
	}
	var text string
	if json.Unmarshal([]byte(`"`+at[:n]+`"`), &text) != nil {
		b.WriteByte('\\') // no escape: a backslash
		return 1
	}
	b.WriteString(text)
	return n
}

// ends tells whether an object can go on like this behind a text: it ends, or another key begins.
func ends(rest string) bool {
	rest = strings.TrimLeft(rest, " \t\r\n")
	if strings.HasPrefix(rest, "}") {
		return true
	}
	if !strings.HasPrefix(rest, ",") {
		return false
	}
	rest = strings.TrimLeft(rest[1:], " \t\r\n")
	if strings.HasPrefix(rest, "}") {
		return true
	}
	_, ok := (&mender{rest: rest}).key()
	return ok
}

// skip passes over a list or an object, by its brackets outside of double quotes.
func (m *mender) skip() bool {
	depth, quoted := 0, false
	for i := 0; i < len(m.rest); i++ {
		switch c := m.rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				m.rest = m.rest[i+1:]
				return true
			}
		}
	}
	return false
}
