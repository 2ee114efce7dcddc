package transform

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// checker holds examples to a task's constraints.
type checker struct {
	rebased.Constraints
	pattern *regexp.Regexp     // of the whole answer; nil = any
	schema  *jsonschema.Schema // nil = any
}

// Check reports whether the constraints of a valid task can be held to. Invalid: the schema is none, or an example of the task's own breaks one.
func Check(task rebased.Task) error {
	c, err := newChecker(task.Transform.Constraints)
	if err != nil {
		return err
	}
	for i, e := range task.Examples {
		if problem := c.check(example{e.Input, e.Output}); problem != nil {
			return rebased.E(rebased.Invalid, "examples[%d] breaks transform.constraints: %s", i, problem.Detail)
		}
	}
	return nil
}

func newChecker(c rebased.Constraints) (*checker, error) {
	out := &checker{Constraints: c}
	var err error
	if c.Pattern != "" {
		if out.pattern, err = regexp.Compile(`\A(?:` + c.Pattern + `)\z`); err != nil {
			return nil, rebased.E(rebased.Invalid, "transform.constraints.pattern: %w", err)
		}
	}
	if c.Schema != "" {
		if out.schema, err = compileSchema(c.Schema); err != nil {
			return nil, rebased.E(rebased.Invalid, "transform.constraints.schema: %w", err)
		}
	}
	return out, nil
}

// noLoader keeps a schema from reading files and servers.
type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("refers to %s: it must stand alone", url)
}

func compileSchema(text string) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	const name = "schema.json"
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// check gives the first constraint that an example breaks, in words for the teacher; nil when it breaks none.
func (c *checker) check(e example) *llm.Problem {
	answer := rebased.ShortAnswer(e.output)
	chars := utf8.RuneCountInString(e.output)
	switch {
	case len(c.Labels) > 0 && !slices.Contains(c.Labels, answer):
		return broken("its answer %.80q is none of %s", answer, quoted(c.Labels))
	case c.Span && !within(e.input, answer):
		return broken("its answer %.80q does not stand in its input word for word", answer)
	case c.pattern != nil && !c.pattern.MatchString(answer):
		return broken("its answer %.80q does not match %s", answer, c.Pattern)
	case chars < c.MinChars:
		return broken("its output has %d characters, at least %d are wanted", chars, c.MinChars)
	case c.MaxChars > 0 && chars > c.MaxChars:
		return broken("its output has %d characters, at most %d are wanted", chars, c.MaxChars)
	}
	if problem := c.syntax(e.output); problem != nil {
		return problem
	}
	if c.Language != "" {
		if found := languageOf(e.output); found != "" && found != c.Language {
			names := languageNames()
			return broken("its output is in %s, not in %s", names[found], names[c.Language])
		}
	}
	return nil
}

func broken(format string, args ...any) *llm.Problem {
	detail := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	const most = 500
	for end := most; len(detail) > most; end-- {
		if utf8.RuneStart(detail[end]) {
			detail = detail[:end]
		}
	}
	return &llm.Problem{Reason: rebased.ReasonConstraint, Detail: detail}
}

// quoted lists labels, the first ones of many.
func quoted(labels []string) string {
	const most = 20
	words := make([]string, 0, most+1)
	for _, label := range labels[:min(most, len(labels))] {
		words = append(words, fmt.Sprintf("%q", label))
	}
	if len(labels) > most {
		words = append(words, "…")
	}
	return strings.Join(words, ", ")
}

// within reports whether an answer stands in an input; the white space between words does not count.
func within(input, answer string) bool {
	return strings.Contains(strings.Join(strings.Fields(input), " "), strings.Join(strings.Fields(answer), " "))
}

// syntax checks what an output is written in, and JSON by its schema.
func (c *checker) syntax(output string) *llm.Problem {
	if c.Format == "" {
		return nil
	}
	g := grammars()[c.Format]
	switch err := g.check(output); {
	case errors.Is(err, errBare):
		return broken("its output is not %s", g.name)
	case err != nil:
		return broken("its output is not %s: %v", g.name, err)
	}
	if c.schema == nil {
		return nil
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(output))
	if err == nil {
		err = c.schema.Validate(document)
	}
	if err != nil {
		return broken("its output does not keep to the schema: %v", err)
	}
	return nil
}

// demands says constraints to a teacher, a line each.
func demands(c rebased.Constraints) (lines []string) {
	say := func(when bool, format string, args ...any) {
		if when {
			lines = append(lines, "- "+fmt.Sprintf(format, args...))
		}
	}
	say(len(c.Labels) > 0, "The answer is one of %s.", quoted(c.Labels))
	say(c.Span, "The answer stands in the input, word for word.")
	say(c.Pattern != "", "The answer matches the regular expression %s", c.Pattern)
	say(c.MinChars > 0, "The output has at least %d characters.", c.MinChars)
	say(c.MaxChars > 0, "The output has at most %d characters.", c.MaxChars)
	say(c.Format == "json", "The output is one JSON document, written as a string.")
	say(c.Format == "go", "The output is Go code.")
	say(c.Format != "" && c.Format != "json" && c.Format != "go", "The output is %s and nothing else: no fences, no explanation.", grammars()[c.Format].name)
	say(c.Language != "", "The output is written in %s.", languageNames()[c.Language])
	say(c.Schema != "", "The JSON document keeps to this schema: %s", strings.Join(strings.Fields(c.Schema), " "))
	return lines
}
