package handoff

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/rebased/rebased"
)

// FormatParquet is the format of exports that keeps every column; the others are rebased.Formats().
const FormatParquet = "parquet"

// The lines of the JSONL formats. Every value is a string, so that loaders infer the same types from any part of a file.
type (
	messagesLine struct {
		Messages []message `json:"messages"`
	}
	message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	promptLine struct {
		Prompt     string `json:"prompt"`
		Completion string `json:"completion"`
	}
	alpacaLine struct {
		Instruction string `json:"instruction"`
		Input       string `json:"input"`
		Output      string `json:"output"`
	}
	shareGPTLine struct {
		Conversations []turn `json:"conversations"`
	}
	turn struct {
		From  string `json:"from"`
		Value string `json:"value"`
	}
	// preferenceLine is TRL's conversational preference format with an explicit prompt (huggingface.co/docs/trl/dataset_formats).
	preferenceLine struct {
		Prompt   []message `json:"prompt"`
		Chosen   []message `json:"chosen"`
		Rejected []message `json:"rejected"`
	}
)

// lines writes one line a row; in preference format one for each output of it that was wrong.
type lines struct {
	count    int
	format   string
	frame    frame
	buffered *bufio.Writer
	encoder  *json.Encoder
}

// frame is what a task puts around an input.
type frame struct {
	instruction string
	system      string // rebased.Output.System
}

func frameOf(task rebased.Task) frame { return frame{task.Instruction, task.Output.System} }

// turns are those before the answer. What the system turn does not say of the instruction stands before the input.
func (f frame) turns(input string) []message {
	switch f.system {
	case "":
		return []message{{roleSystem, f.instruction}, {roleUser, input}}
	case rebased.SystemNone:
		return []message{{roleUser, f.instruction + "\n\n" + input}}
	}
	return []message{{roleSystem, f.system}, {roleUser, f.instruction + "\n\n" + input}}
}

// The roles of turns.
const (
	roleSystem    = "system"
	roleUser      = "user"
	roleAssistant = "assistant"
)

func newLines(w io.Writer, format string, frame frame) *lines {
	l := &lines{format: format, frame: frame, buffered: bufio.NewWriter(w)}
	l.encoder = json.NewEncoder(l.buffered)
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *lines) add(e *rebased.Example) error {
	if l.format == rebased.FormatPreference {
		return l.addPairs(e)
	}
	l.count++
	line, err := lineOf(l.format, l.frame, *e)
	if err != nil {
		return err
	}
	return l.encoder.Encode(line)
}

func (l *lines) addPairs(e *rebased.Example) error {
	line := preferenceLine{Prompt: l.frame.turns(e.Input), Chosen: []message{{roleAssistant, e.Output}}}
	for _, wrong := range e.Rejected {
		line.Rejected = []message{{roleAssistant, wrong}}
		if err := l.encoder.Encode(line); err != nil {
			return err
		}
		l.count++
	}
	return nil
}

func (l *lines) flush() error { return l.buffered.Flush() }

func lineOf(format string, frame frame, e rebased.Example) (any, error) {
	switch format {
	case rebased.FormatMessages:
		return messagesLine{append(frame.turns(e.Input), message{roleAssistant, e.Output})}, nil
	case rebased.FormatPromptCompletion:
		// Trainers join the two as they are: the blank line keeps them apart, and tokenizers do not merge it with what follows.
		return promptLine{frame.instruction + "\n\n" + e.Input + "\n\n", e.Output}, nil
	case rebased.FormatAlpaca:
		return alpacaLine{frame.instruction, e.Input, e.Output}, nil
	case rebased.FormatShareGPT:
		line := shareGPTLine{}
		for _, m := range frame.turns(e.Input) {
			line.Conversations = append(line.Conversations, turn{map[string]string{roleSystem: "system", roleUser: "human"}[m.Role], m.Content})
		}
		line.Conversations = append(line.Conversations, turn{"gpt", e.Output})
		return line, nil
	}
	return nil, rebased.E(rebased.Invalid, "format %q is not known: use %s, or one of %v", format, FormatParquet, rebased.Formats())
}
