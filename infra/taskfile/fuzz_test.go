package taskfile_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
)

// FuzzDecode: whatever the file, Decode ends with a task that survives writing and reading, or with one line that names the file.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`{"name":"a","corpus":"b","instruction":"c","examples":[{"input":"d","output":"e"}]}`))
	f.Add([]byte(minimal + "retrieve: {rows: 0x10, exclude: ['*a*', \"b\\n\"]}\ndedupe: {minhash: off, exact: false}\n"))
	f.Add([]byte("a: &a [*a, *a]\n? b\n: !!str c\n<<: {}\n---\n...\n"))
	f.Add([]byte("name: |+2\n   a\n\n\ncorpus: >-\n  b\n\tc\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		task, err := taskfile.Decode("task.yaml", data)
		if err != nil {
			if rebased.KindOf(err) != rebased.Invalid || !strings.HasPrefix(err.Error(), "task.yaml:") || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("not a refusal in one line: %q", err)
			}
			return
		}
		requireRoundTrip(t, task)
	})
}

// FuzzEncode: any text comes back as it was.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"a", "yes", "1", "- a", "a: b", "a\nb\n", " a\n", "a\n\n\nb", "a" + strings.Repeat("\n", 101) + "b", "#", "|", "\u0085\u2028\ufeff", "'\"\\", "a\r\nb", "😀\x00\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || strings.TrimSpace(s) == "" || len(s) > 10_000 {
			return
		}
		task := everyField()
		task.Output.Balance = nil // which wants short answers
		task.Instruction, task.Output.License = s, s
		task.Examples[0] = rebased.TaskExample{Input: s, Output: s, Answer: s}
		requireRoundTrip(t, task)
	})
}

func requireRoundTrip(t *testing.T, task rebased.Task) {
	t.Helper()
	written, err := taskfile.Encode(task)
	if err != nil {
		t.Fatal(err)
	}
	read, err := taskfile.Decode("task.yaml", written)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, written)
	}
	if d := cmp.Diff(task, read); d != "" {
		t.Fatalf("(-want +got):\n%s\nthrough:\n%s", d, written)
	}
	again, err := taskfile.Encode(read)
	if err != nil || !bytes.Equal(written, again) {
		t.Fatalf("the same task gives other bytes (%v):\n%s\n%s", err, written, again)
	}
}
