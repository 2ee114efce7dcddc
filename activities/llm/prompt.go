package llm

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/rebased/rebased"
)

// TaskSections opens a prompt: the task's instruction and its examples, one JSON object a line.
func TaskSections(task rebased.Task) string {
	var b strings.Builder
	b.WriteString("## Task\n")
	b.WriteString(strings.TrimSpace(task.Instruction))
	b.WriteString("\n\n## Examples\n")
	for _, e := range task.Examples {
		b.WriteString(`{"input": ` + Quote(e.Input) + `, "output": ` + Quote(e.Output) + "}\n")
	}
	return b.String()
}

// Quote writes a JSON string on one line, leaving <, > and & as they are.
func Quote(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
