// Package taskfile reads and writes task files: YAML to rebased.Task and back.
//
// It stands at both ends of a build's start. The starter decodes the user's file and refuses what is wrong in it with file, line and key before
// anything runs; the worker decodes the same bytes from the bucket, and writes the canonical form of the task in force next to the build.
package taskfile

import (
	_ "embed"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/rebased/rebased"
)

// maxMessage bounds what an error quotes of the file, in bytes.
const maxMessage = 400

// Decode reads a task file of at most 1 MiB: the defaults of rebased.DefaultTask, what the file says over them. A value that is wrong in any
// way is one error of kind Invalid in one line, "<name>:<line>: <key>: <what and bound>"; name is the file as the user knows it.
func Decode(name string, data []byte) (rebased.Task, error) {
	task := rebased.DefaultTask()
	r := reader{file: name, lines: map[string]int{}}
	root, err := r.parse(data)
	if err != nil {
		return rebased.Task{}, err
	}
	if err := r.value(root, reflect.ValueOf(&task).Elem(), ""); err != nil {
		return rebased.Task{}, err
	}
	if task.Output.Mode == rebased.OutputFull { // said or not said, it is one task
		task.Output.Mode = ""
	}
	if len(task.Dedupe.Against) == 0 {
		task.Dedupe.Against = nil
	}
	if len(task.Output.Configs) == 0 {
		task.Output.Configs = nil
	}
	if err := task.Validate(); err != nil {
		if field, ok := errors.AsType[*rebased.FieldError](err); ok {
			return rebased.Task{}, r.refuse(r.line(field.Path), field.Path, "%s", field.Message)
		}
		return rebased.Task{}, rebased.E(rebased.Invalid, "%s: %w", name, err)
	}
	return task, nil
}

// ErrorAt is an error of kind Invalid about one key of a task file that Decode accepts, in the form of Decode's own errors. It is for what only
// the world around the file can tell, for instance that the corpus does not exist.
func ErrorAt(name string, data []byte, path, format string, args ...any) error {
	r := reader{file: name, lines: map[string]int{}}
	var task rebased.Task
	if root, err := r.parse(data); err == nil {
		_ = r.value(root, reflect.ValueOf(&task).Elem(), "") // fills r.lines as far as the file is right
	}
	return r.refuse(r.line(path), path, format, args...)
}

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of the task file, for editors and for checks outside this program.
func Schema() []byte { return append([]byte(nil), schema...) }

// reader turns one file into values and remembers in which line each key stands.
type reader struct {
	file  string
	lines map[string]int // by dotted path; 1-based
}

// line finds the line of a path, or of the nearest key above it that the file holds.
func (r *reader) line(path string) int {
	for path != "" {
		if line, ok := r.lines[path]; ok {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return max(r.lines[""], 1)
}

// refuse makes the one-line error of a key; an empty path is the file as a whole.
func (r *reader) refuse(line int, path, format string, args ...any) error {
	message := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	if path == "" {
		return rebased.E(rebased.Invalid, "%s:%d: %s", r.file, line, message)
	}
	return rebased.E(rebased.Invalid, "%s:%d: %s: %s", r.file, line, path, message)
}
