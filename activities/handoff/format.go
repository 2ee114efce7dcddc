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
	count               int
	format, instruction string
	buffered            *bufio.Writer
	encoder             *json.Encoder
}

func newLines(w io.Writer, format, instruction string) *lines {
	l := &lines{format: format, instruction: instruction, buffered: bufio.NewWriter(w)}
	l.encoder = json.NewEncoder(l.buffered)
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *lines) add(e *rebased.Example) error {
	if l.format == rebased.FormatPreference {
		return l.addPairs(e)
	}
	l.count++
	line, err := lineOf(l.format, l.instruction, *e)
	if err != nil {
		return err
	}
	return l.encoder.Encode(line)
}

func (l *lines) addPairs(e *rebased.Example) error {
	line := preferenceLine{Prompt: []message{{"system", l.instruction}, {"user", e.Input}}, Chosen: []message{{"assistant", e.Output}}}
	for _, wrong := range e.Rejected {
		line.Rejected = []message{{"assistant", wrong}}
		if err := l.encoder.Encode(line); err != nil {
			return err
		}
		l.count++
	}
	return nil
}

func (l *lines) flush() error { return l.buffered.Flush() }

func lineOf(format, instruction string, e rebased.Example) (any, error) {
	switch format {
	case rebased.FormatMessages:
		return messagesLine{[]message{{"system", instruction}, {"user", e.Input}, {"assistant", e.Output}}}, nil
	case rebased.FormatPromptCompletion:
		// Trainers join the two as they are: the blank line keeps them apart, and tokenizers do not merge it with what follows.
		return promptLine{instruction + "\n\n" + e.Input + "\n\n", e.Output}, nil
	case rebased.FormatAlpaca:
		return alpacaLine{instruction, e.Input, e.Output}, nil
	case rebased.FormatShareGPT:
		return shareGPTLine{[]turn{{"system", instruction}, {"human", e.Input}, {"gpt", e.Output}}}, nil
	}
	return nil, rebased.E(rebased.Invalid, "format %q is not known: use %s, or one of %v", format, FormatParquet, rebased.Formats())
}
