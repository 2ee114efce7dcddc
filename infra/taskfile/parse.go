package taskfile

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds far above any task and far below what makes the parser slow: its time grows with the square of each but the first.
const (
	maxBytes      = 1 << 20
	maxNesting    = 32
	maxTokens     = 10_000
	maxEmptyLines = 100 // in a row
)

// parse gives the one mapping that a task file is.
func (r *reader) parse(data []byte) (ast.Node, error) {
	if len(data) > maxBytes {
		return nil, r.refuse(1, "", "has %d bytes: a task file has at most %d", len(data), maxBytes)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) // YAML reads both as one line break; the parser would count lines twice
	if at := invalidUTF8(data); at >= 0 {
		return nil, r.refuse(1+bytes.Count(data[:at], []byte("\n")), "", "is not UTF-8: save the file with that encoding")
	}
	if line := emptyRun(data); line > 0 {
		return nil, r.refuse(line, "", "has more than %d empty lines in a row", maxEmptyLines)
	}
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxTokens {
		return nil, r.refuse(tokens[maxTokens].Position.Line, "", "has more than %d words and signs: is it a task file?", maxTokens)
	}
	if deep := tooDeep(tokens); deep != nil {
		return nil, r.refuse(deep.Position.Line, "", "is nested more than %d deep", maxNesting)
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are found by reader.mapping, which knows the key's path
	if err != nil {
		return nil, r.syntax(err)
	}
	return r.document(file)
}

func invalidUTF8(data []byte) int {
	for at := 0; at < len(data); {
		c, size := utf8.DecodeRune(data[at:])
		if c == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// emptyRun finds the line where a run of empty lines grows too long; 0 when none does.
func emptyRun(data []byte) int {
	line, run := 0, 0
	for text := range bytes.Lines(data) {
		line++
		if len(bytes.TrimSpace(text)) > 0 {
			run = 0
		} else if run++; run > maxEmptyLines {
			return line
		}
	}
	return 0
}

// tooDeep finds the first token that nests deeper than maxNesting: by brackets, or by indicators that follow each other as in "- - - a".
// Nesting by indentation needs no check, since its depth costs the square of it in bytes.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, run := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		}
		switch t.Type {
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			run++
		default:
			run = 0
		}
		if max(brackets, run) > maxNesting {
			return t
		}
	}
	return nil
}

func (r *reader) syntax(err error) error {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil && syntax.Token.Position != nil {
		return r.refuse(syntax.Token.Position.Line, "", "is not YAML: %s", syntax.Message)
	}
	return r.refuse(1, "", "is not YAML: %s", err)
}

func (r *reader) document(file *ast.File) (ast.Node, error) {
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case doc.Body.Type() == ast.DirectiveType:
			return nil, r.refuse(position(doc.Body), "", "directives are not supported: remove the line that starts with %%")
		case root != nil:
			return nil, r.refuse(position(doc.Body), "", "holds a second document: write one task a file")
		default:
			root = doc.Body
		}
	}
	if root == nil {
		return nil, r.refuse(1, "", "is empty: name, corpus, instruction and examples are required")
	}
	return root, nil
}

// position is the line of a node, 1 where the parser gave it none.
func position(node ast.Node) int {
	if t := node.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}
