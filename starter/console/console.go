// Package console is what the command line says: results on standard output, as text or as JSON, and everything else on standard error.
//
// It stands between the commands and the two streams, so that no command thinks about terminals, JSON or who listens.
package console

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// Console writes for one run of a command.
type Console struct {
	Out  io.Writer        // results
	Err  io.Writer        // notes, progress and errors
	JSON bool             // results are JSON: one object, or one a line for lists
	Now  func() time.Time // paces the lines of progress
}

// New makes a console that writes text.
func New(out, err io.Writer) *Console { return &Console{Out: out, Err: err, Now: time.Now} }

// Result writes one result: v as JSON, or what text writes, made safe to show.
func (c *Console) Result(v any, text func(w io.Writer)) error {
	if c.JSON {
		return c.object(v)
	}
	var b strings.Builder
	text(&b)
	return write(c.Out, Indented(b.String(), ""))
}

// List writes entries: one JSON object a line, or a table of their cells under a header; empty is what the table says when there are none.
func List[T any](c *Console, entries []T, empty string, header []string, cells func(T) []string) error {
	if c.JSON {
		for _, entry := range entries {
			if err := c.object(entry); err != nil {
				return err
			}
		}
		return nil
	}
	if len(entries) == 0 {
		c.Notef("%s", empty)
		return nil
	}
	rows := make([][]string, len(entries))
	for i, entry := range entries {
		rows[i] = cells(entry)
	}
	var b strings.Builder
	Table(&b, header, rows)
	return write(c.Out, b.String())
}

// Table writes rows in aligned columns; a nil header is left out.
func Table(w io.Writer, header []string, rows [][]string) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if header != nil {
		rows = append([][]string{header}, rows...)
	}
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, OneLine(cell))
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush() // the writer is a buffer
}

// Notef says something on the side: one line on standard error.
func (c *Console) Notef(format string, args ...any) {
	fmt.Fprintln(c.Err, OneLine(fmt.Sprintf(format, args...)))
}

// OneLine makes text safe to show: names and messages come from datasets and servers, and must neither break a line nor steer a terminal.
func OneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " ")
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return '\ufffd'
		}
		return r
	}, s)
}

// steers tells what terminals do not show but obey.
func steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// Thousands writes a count with commas.
func Thousands(n int) string {
	s := strconv.Itoa(max(n, -n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n < 0 {
		return "-" + s
	}
	return s
}

func (c *Console) object(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the result as JSON: %w", err)
	}
	return write(c.Out, escaped(string(body))+"\n")
}

// escaped is JSON of one line that says the same and holds nothing that steers a terminal: encoding/json leaves what is above U+001F as it is.
func escaped(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if steers(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func write(w io.Writer, s string) error {
	if _, err := io.WriteString(w, s); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
