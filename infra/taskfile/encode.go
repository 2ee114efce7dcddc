package taskfile

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

// Encode writes every value of a task in force as YAML, keys in the order of the reference. The same task gives the same bytes, and Decode
// gives it back. A task that no file can say (a number that is none, text that is not UTF-8) is an error of kind Invalid.
func Encode(task rebased.Task) ([]byte, error) {
	var w writer
	w.mapping(reflect.ValueOf(task), 0, false)
	if w.err != nil {
		return nil, w.err
	}
	if w.out.Len() > maxBytes {
		return nil, rebased.E(rebased.Invalid, "encode task: has %d bytes with every value written out: a task file has at most %d", w.out.Len(), maxBytes)
	}
	return []byte(w.out.String()), nil
}

// writer knows the few forms of YAML that a task needs, so that the bytes do not change with a library.
type writer struct {
	out strings.Builder
	err error
}

// mapping writes a struct's keys; inline says that the first one goes on in a line already begun, after "- ".
func (w *writer) mapping(v reflect.Value, depth int, inline bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if strings.HasSuffix(field.Tag.Get("json"), ",omitempty") && v.Field(i).IsZero() {
			continue
		}
		if !inline {
			w.indent(depth)
		}
		inline = false
		w.out.WriteString(keyOf(field) + ":")
		if word := off(keyOf(field)); word != "" && v.Field(i).IsZero() {
			w.out.WriteString(" " + word + "\n")
			continue
		}
		w.value(v.Field(i), depth)
	}
}

// value writes what stands after "key:" or "-", line end included.
func (w *writer) value(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		w.value(v.Elem(), depth)
	case reflect.Struct:
		w.out.WriteByte('\n')
		w.mapping(v, depth+1, false)
	case reflect.Slice:
		w.list(v, depth)
	case reflect.String:
		w.text(v.String(), depth)
	case reflect.Bool:
		w.out.WriteString(" " + strconv.FormatBool(v.Bool()) + "\n")
	case reflect.Int, reflect.Int64:
		w.out.WriteString(" " + strconv.FormatInt(v.Int(), 10) + "\n")
	case reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			w.err = rebased.E(rebased.Invalid, "encode task: %v is not a number of a task file", v.Float())
		}
		w.out.WriteString(" " + strconv.FormatFloat(v.Float(), 'f', -1, 64) + "\n")
	default:
		panic("taskfile: rebased.Task has a field of kind " + v.Kind().String()) // a test encodes every field
	}
}

func (w *writer) list(v reflect.Value, depth int) {
	if v.Len() == 0 {
		w.out.WriteString(" []\n")
		return
	}
	w.out.WriteByte('\n')
	for i := range v.Len() {
		w.indent(depth + 1)
		w.out.WriteByte('-')
		if v.Index(i).Kind() == reflect.Struct {
			w.out.WriteByte(' ')
			w.mapping(v.Index(i), depth+2, true)
			continue
		}
		w.value(v.Index(i), depth+1)
	}
}

// plainText is text that YAML reads back as it stands, whatever the version of YAML.
var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// words are read by one version of YAML or another as something else than text.
var words = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null|y|n)$`)

// blockText is text of several lines that needs no escape: no control character, no line that starts or ends with white space.
var blockText = regexp.MustCompile(`^[^\s\p{C}\p{Z}]([^\p{C}\p{Zl}\p{Zp}]*[^\s\p{C}\p{Z}])?(\n+[^\s\p{C}\p{Z}]([^\p{C}\p{Zl}\p{Zp}]*[^\s\p{C}\p{Z}])?)+\n?$`)

func (w *writer) text(s string, depth int) {
	switch {
	case !utf8.ValidString(s):
		w.err = rebased.E(rebased.Invalid, "encode task: %.40q is not UTF-8", s)
	case blockText.MatchString(s) && !strings.Contains(s, strings.Repeat("\n", maxEmptyLines)):
		w.block(s, depth)
	default:
		w.out.WriteString(" " + Quote(s) + "\n")
	}
}

func (w *writer) block(s string, depth int) {
	body, ends := strings.CutSuffix(s, "\n")
	w.out.WriteString(" |")
	if !ends {
		w.out.WriteByte('-')
	}
	w.out.WriteByte('\n')
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			w.indent(depth + 1)
		}
		w.out.WriteString(line + "\n")
	}
}

// Quote writes text as one value of a task file: as it stands where YAML reads it back so, else in double quotes, with what an editor or a
// parser would lose escaped.
func Quote(s string) string {
	if plainText.MatchString(s) && !words.MatchString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\r':
			b.WriteString(`\r`)
		case c < 0x20 || c >= 0x7f && c < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c == 0x2028 || c == 0x2029 || c == 0xfeff: // line breaks of old YAML, and the mark that editors drop
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (w *writer) indent(depth int) {
	w.out.WriteString(strings.Repeat("  ", depth))
}
