package taskfile

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// off is the word that stands for 0 under a key: "" where a number cannot be switched off.
func off(key string) string {
	switch key {
	case "minhash", "semantic":
		return "off"
	case "in_flight", "rpm", "tpm", "usd", "tokens", "max_chars", "target_rows", "min_score",
		"min_parsed", "min_agreement", "min_in_input", "max_duplicates", "max_label_share", "max_drop", "max_by_rule", "max_share", "per_label":
		return "none"
	}
	return ""
}

// offAt is off for a dotted path.
func offAt(path string) string { return off(path[strings.LastIndexByte(path, '.')+1:]) }

// value puts a node into a field of the task. What the node does not mention keeps its default.
func (r *reader) value(node ast.Node, into reflect.Value, path string) error {
	if err := r.plain(node, path); err != nil {
		return err
	}
	if word := offAt(path); word != "" && text(node) == word {
		into.SetZero()
		return nil
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return r.value(node, into.Elem(), path)
	case reflect.Struct:
		return r.mapping(node, into, path)
	case reflect.Slice:
		return r.list(node, into, path)
	default:
		return r.scalar(node, into, path)
	}
}

// plain refuses what YAML has and a task file has no use for. Without aliases a file cannot say more than it holds.
func (r *reader) plain(node ast.Node, path string) error {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode:
		return r.refuse(position(node), path, "anchors and aliases are not supported: write the value out")
	case *ast.TagNode:
		return r.refuse(position(node), path, "tags are not supported: write the value alone")
	}
	return nil
}

func (r *reader) mapping(node ast.Node, into reflect.Value, path string) error {
	entries, ok := node.(ast.MapNode)
	if !ok {
		return r.wrongType(node, path, orOff(path, "a mapping of keys to values"))
	}
	known := fields(into)
	for entry := entries.MapRange(); entry.Next(); {
		key, line := entry.Key(), position(entry.Key())
		name, ok := key.(*ast.StringNode)
		if !ok {
			return r.refuse(line, path, "%s is not a key: write key: value", key.String())
		}
		at := join(path, name.Value)
		if first, ok := r.lines[at]; ok {
			return r.refuse(line, at, "is given twice, first in line %d", first)
		}
		r.lines[at] = line
		field, ok := known[name.Value]
		if !ok {
			return r.unknown(line, path, name.Value, into.Type())
		}
		if err := r.value(entry.Value(), field, at); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) list(node ast.Node, into reflect.Value, path string) error {
	entries, ok := node.(*ast.SequenceNode)
	if !ok {
		return r.wrongType(node, path, "a list")
	}
	list := reflect.MakeSlice(into.Type(), len(entries.Values), len(entries.Values))
	for i, entry := range entries.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = position(entry)
		if err := r.value(entry, list.Index(i), at); err != nil {
			return err
		}
	}
	into.Set(list)
	return nil
}

func (r *reader) scalar(node ast.Node, into reflect.Value, path string) error {
	switch into.Kind() {
	case reflect.String:
		return r.string(node, into, path)
	case reflect.Bool:
		if v, ok := node.(*ast.BoolNode); ok {
			into.SetBool(v.Value)
			return nil
		}
		return r.wrongType(node, path, "true or false")
	case reflect.Int, reflect.Int64:
		if v, ok := whole(node); ok {
			into.SetInt(v)
			return r.notZero(node, path, v == 0)
		}
		return r.wrongType(node, path, orOff(path, "a whole number"))
	case reflect.Float64:
		if v, ok := number(node); ok {
			into.SetFloat(v)
			return r.notZero(node, path, v == 0)
		}
		return r.wrongType(node, path, orOff(path, "a number"))
	}
	panic("taskfile: rebased.Task has a field of kind " + into.Kind().String() + " at " + path) // a test decodes every field
}

// notZero refuses 0 where none stands for it: a cap of 0 would read as one that lets nothing through.
func (r *reader) notZero(node ast.Node, path string, zero bool) error {
	if offAt(path) == "none" && zero {
		return r.refuse(position(node), path, "must be none or more than 0, got 0")
	}
	return nil
}

func orOff(path, want string) string {
	if word := offAt(path); word != "" {
		return word + " or " + want
	}
	return want
}

func (r *reader) string(node ast.Node, into reflect.Value, path string) error {
	switch v := node.(type) {
	case *ast.StringNode:
		into.SetString(v.Value)
	case *ast.LiteralNode:
		into.SetString(v.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NanNode, *ast.InfinityNode:
		return r.refuse(position(node), path, "must be text, got %s: put it in quotes", describe(node))
	default:
		return r.wrongType(node, path, "text")
	}
	return nil
}

func whole(node ast.Node) (int64, bool) {
	v, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch n := v.Value.(type) {
	case int64:
		return n, true
	case uint64:
		return int64(min(n, math.MaxInt64)), true
	}
	return 0, false
}

func number(node ast.Node) (float64, bool) {
	if v, ok := node.(*ast.FloatNode); ok {
		return v.Value, !math.IsInf(v.Value, 0)
	}
	v, ok := whole(node)
	return float64(v), ok
}

func text(node ast.Node) string {
	if v, ok := node.(*ast.StringNode); ok {
		return v.Value
	}
	return ""
}

func (r *reader) wrongType(node ast.Node, path, want string) error {
	if node.Type() == ast.NullType {
		return r.refuse(position(node), path, "must be %s, got nothing: give a value or remove the key", want)
	}
	return r.refuse(position(node), path, "must be %s, got %s", want, describe(node))
}

// describe names a value as its writer sees it.
func describe(node ast.Node) string {
	switch v := node.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.LiteralNode:
		return "text"
	case *ast.StringNode:
		return "the text " + strconv.Quote(v.Value)
	}
	return node.GetToken().Value
}
