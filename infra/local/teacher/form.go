package teacher

import (
	"regexp"
	"slices"
	"strings"
)

// form is what the examples of a prompt show of how inputs and outputs look.
type form struct {
	section string   // of the prompt, that this is the form of
	parts   []part   // of an input that is made of labelled parts: "Question: … Context: …"
	labels  []string // the outputs to choose from; none when outputs are taken from the input
	reasons bool     // outputs are reasoning that ends in the answer
}

// part is one labelled part of an input.
type part struct {
	label string
	gap   string // what stands before the label: a blank or a line break
}

// formOf finds the form, which is the same for all prompts of a task: the one found last is kept.
func (s *Server) formOf(section string) *form {
	if f := s.form.Load(); f != nil && f.section == section {
		return f
	}
	examples := readExamples(section)
	f := &form{section: strings.Clone(section), labels: answerLabels(examples)}
	if len(examples) > 0 {
		f.parts = findParts(examples[0].Input)
		_, f.reasons = finalAnswer(examples[0].Output)
	}
	s.form.Store(f)
	return f
}

var labelled = regexp.MustCompile(`(?:^|\s)(\p{Lu}[\p{L} ]{0,30}): `)

// findParts finds up to four labels in an input that begins with one.
func findParts(input string) []part {
	var parts []part
	for i, at := range labelled.FindAllStringSubmatchIndex(input, 4) {
		if i == 0 && at[2] != 0 {
			return nil
		}
		parts = append(parts, part{label: input[at[2]:at[3]], gap: input[at[0]:at[2]]})
	}
	return parts
}

// fill gives a row's texts the form of the examples' inputs.
func (f *form) fill(row facts) string {
	if len(f.parts) == 0 {
		return strings.TrimSpace(row.passage + " " + row.question)
	}
	texts := []string{row.passage}
	for _, c := range row.others {
		texts = append(texts, c.text)
	}
	var out strings.Builder
	for _, p := range f.parts {
		out.WriteString(p.gap + p.label + ": ")
		if strings.Contains(strings.ToLower(p.label), "question") {
			out.WriteString(row.asked())
			continue
		}
		out.WriteString(texts[0])
		texts = texts[min(1, len(texts)-1):]
	}
	return out.String()
}

// answerLabels are the different answers of the examples when a task chooses between a few: short, and repeated or not found in their inputs.
func answerLabels(examples []example) []string {
	const short = 24
	if len(examples) < 2 {
		return nil
	}
	var labels []string
	fromInput := false
	for _, e := range examples {
		answer, _ := finalAnswer(e.Output)
		if len(answer) > short {
			return nil
		}
		fromInput = fromInput || strings.Contains(e.Input, answer)
		if !slices.Contains(labels, answer) {
			labels = append(labels, answer)
		}
	}
	if len(labels) == len(examples) && fromInput {
		return nil
	}
	return labels
}
