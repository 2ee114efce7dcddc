package transform

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"regexp/syntax"
	"strings"

	"github.com/goccy/go-yaml"
	shell "mvdan.cc/sh/v3/syntax"
)

// grammar says of a text why it is not written in a language; nil = it is.
type grammar struct {
	name  string // for people
	parse func(text string) error
	long  bool // it parses any text in time and without going too deep
}

// grammars are what rebased.Syntaxes names.
func grammars() map[string]grammar {
	return map[string]grammar{
		"json": {name: "one JSON document", parse: parseJSON, long: true},
		"go":   {name: "Go", parse: parseGo, long: true},
		"bash": {name: "Bash", parse: parseBash},
		"yaml": {name: "YAML", parse: parseYAML},
		"xml":  {name: "XML", parse: parseXML},
		"csv":  {name: "CSV", parse: parseCSV},
		"re2":  {name: "a regular expression of RE2", parse: parseRE2},
	}
}

// Bounds of a text that most grammars take, in bytes and in brackets that are open: their parsers take the square of either.
const (
	maxParsed = 50_000
	maxOpen   = 200
)

// nests reports whether more brackets are open somewhere than are looked into.
func nests(text string) bool {
	open := 0
	for i := range len(text) {
		switch text[i] {
		case '(', '[', '{':
			open++
		case ')', ']', '}':
			open = max(0, open-1)
		}
		if open > maxOpen {
			return true
		}
	}
	return false
}

// check reports what is wrong with a text, in one line.
func (g grammar) check(text string) (err error) {
	defer func() { // a parser of a library must not end the worker
		if r := recover(); r != nil {
			err = errors.New("it cannot be parsed")
		}
	}()
	switch {
	case g.long:
	case len(text) > maxParsed:
		return fmt.Errorf("it has %d bytes, at most %d can be checked", len(text), maxParsed)
	case nests(text):
		return fmt.Errorf("more than %d brackets are open, too many to be checked", maxOpen)
	}
	return g.parse(text)
}

// errBare says no more than that a text is not written so.
var errBare = errors.New("it is not")

// parseJSON takes one document.
func parseJSON(text string) error {
	if !json.Valid([]byte(text)) {
		return errBare
	}
	return nil
}

// parseGo takes a file, declarations or statements.
func parseGo(text string) error {
	_, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	for _, around := range [][2]string{{"package p\n", ""}, {"package p\nfunc _() {\n", "\n}"}} {
		if err == nil {
			return nil
		}
		if _, other := parser.ParseFile(token.NewFileSet(), "", around[0]+text+around[1], parser.SkipObjectResolution); other == nil {
			return nil
		}
	}
	return err
}

func parseBash(text string) error {
	_, err := shell.NewParser(shell.Variant(shell.LangBash)).Parse(strings.NewReader(text), "")
	return err
}

// parseYAML takes one document or several, of anything but a lone text: all prose would be YAML.
func parseYAML(text string) error {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for n := 0; ; n++ {
		var document any
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it is empty")
		case err != nil:
			return err
		}
		if _, prose := document.(string); prose {
			return errors.New("it is a lone text")
		}
	}
}

// parseXML takes one element, with what may stand before it and behind.
func parseXML(text string) error {
	decoder := xml.NewDecoder(strings.NewReader(text))
	depth, roots := 0, 0
	for {
		t, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF) && roots == 1:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("it has %d root elements", roots)
		case err != nil:
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("text stands outside of the root element")
			}
		}
	}
}

// parseCSV takes records of one number of fields, two or more.
func parseCSV(text string) error {
	reader := csv.NewReader(strings.NewReader(text))
	for n := 0; ; n++ {
		switch record, err := reader.Read(); {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it is empty")
		case err != nil:
			return err
		case len(record) < 2:
			return errors.New("its records have one field")
		}
	}
}

func parseRE2(text string) error {
	_, err := syntax.Parse(text, syntax.Perl)
	return err
}
