package taskfile_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
)

// node is what the task file's schema says of one value.
type node struct {
	Description          string          `json:"description"`
	Type                 string          `json:"type"`
	Properties           map[string]node `json:"properties"`
	AdditionalProperties *bool           `json:"additionalProperties"`
	Required             []string        `json:"required"`
	Items                *node           `json:"items"`
	Default              any             `json:"default"`
	Const                any             `json:"const"`
	Enum                 []string        `json:"enum"`
	AnyOf                []node          `json:"anyOf"`
	Minimum              *float64        `json:"minimum"`
	Maximum              *float64        `json:"maximum"`
	Pattern              string          `json:"pattern"`
}

func readSchema(t *testing.T) node {
	t.Helper()
	var root node
	if err := json.Unmarshal(taskfile.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestSchemaHasTheKeysAndDefaultsOfTheTask(t *testing.T) {
	compare(t, readSchema(t), reflect.ValueOf(rebased.DefaultTask()), "")
}

func compare(t *testing.T, schema node, v reflect.Value, at string) {
	t.Helper()
	if v.Kind() == reflect.Pointer {
		v = reflect.New(v.Type().Elem()).Elem()
	}
	for _, branch := range schema.AnyOf { // a mapping that can be off
		if v.Kind() == reflect.Struct && branch.Type == "object" {
			schema = branch
		}
	}
	if v.Kind() != reflect.Struct {
		compareLeaf(t, schema, v, at)
		return
	}
	if schema.AdditionalProperties == nil || *schema.AdditionalProperties || schema.Type != "object" {
		t.Errorf("%s: the schema takes unknown keys", at)
	}
	if len(schema.Properties) != v.NumField() {
		t.Errorf("%s: %d keys in the schema, %d in the task", at, len(schema.Properties), v.NumField())
	}
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		inner, ok := schema.Properties[key]
		if !ok || inner.Description == "" {
			t.Errorf("%s.%s is not described", at, key)
			continue
		}
		compare(t, inner, v.Field(i), at+"."+key)
	}
}

func compareLeaf(t *testing.T, schema node, v reflect.Value, at string) {
	t.Helper()
	if v.Kind() == reflect.Slice {
		if schema.Type != "array" || schema.Items == nil {
			t.Errorf("%s: is a list", at)
		} else if v.Type().Elem().Kind() == reflect.Struct {
			compare(t, *schema.Items, reflect.New(v.Type().Elem()).Elem(), at+"[]")
		}
	}
	types := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer", reflect.Float64: "number", reflect.Bool: "boolean", reflect.Slice: "array"}
	if schema.Type != "" && schema.Type != types[v.Kind()] {
		t.Errorf("%s: type %s in the schema, %s in the task", at, schema.Type, types[v.Kind()])
	}
	if schema.Default == nil {
		return // required
	}
	want := fmt.Sprint(v.Interface())
	if want == "0" && len(schema.AnyOf) > 0 { // a cap that is none
		want = "none"
	}
	if got := fmt.Sprint(schema.Default); got != want {
		t.Errorf("%s: default %s in the schema, %s in the task", at, got, want)
	}
}

// TestSchemaBoundsAreThoseOfDecode tries every bound, and what lies just beyond it, on the program itself.
func TestSchemaBoundsAreThoseOfDecode(t *testing.T) {
	tried := 0
	try := func(at string, value any, ok bool) {
		tried++
		if err := decodeWith(t, at, value); (err == nil) != ok {
			t.Errorf("%s = %v: by the schema ok = %v, Decode says %v", at, value, ok, err)
		}
	}
	leaves(readSchema(t), "", func(at string, s node) {
		step := 1.0
		if s.Type == "number" {
			step = 1e-9
		}
		if s.Minimum != nil {
			try(at, *s.Minimum, true)
			try(at, *s.Minimum-step, false)
		}
		if s.Maximum != nil {
			try(at, *s.Maximum, true)
			try(at, *s.Maximum+step, false)
		}
		for _, word := range s.Enum {
			try(at, word, true)
			try(at, word+"x", false)
		}
		if s.Const != nil {
			try(at, s.Const, true)
			try(at, fmt.Sprint(s.Const)+"x", false)
		}
	})
	if tried < 40 {
		t.Errorf("only %d values tried: the walk misses keys", tried)
	}
}

func TestSchemaPatternsAreThoseOfDecode(t *testing.T) {
	texts := []string{"a", "A", "a_b", "a.b", "-a", ".a", "static", "static2", "openai:", "openai:m", "http://a/v1", "https://a", "ftp://a", "http://u:p@a",
		strings.Repeat("a", 63), strings.Repeat("a", 64)}
	leaves(readSchema(t), "", func(at string, s node) {
		if s.Pattern == "" {
			return
		}
		for _, text := range texts {
			err := decodeWith(t, at, text)
			if matches := regexp.MustCompile(s.Pattern).MatchString(text); matches != (err == nil) {
				t.Errorf("%s = %q: by the schema ok = %v, Decode says %v", at, text, matches, err)
			}
		}
	})
}

// leaves visits every value outside lists, each branch of anyOf by itself.
func leaves(schema node, at string, visit func(at string, schema node)) {
	for key, inner := range schema.Properties {
		leaves(inner, strings.TrimPrefix(at+"."+key, "."), visit)
	}
	for _, branch := range schema.AnyOf {
		leaves(branch, at, visit)
	}
	if len(schema.Properties) == 0 && len(schema.AnyOf) == 0 {
		visit(at, schema)
	}
}

// decodeWith decodes the minimal file with one value in a dotted place.
func decodeWith(t *testing.T, at string, value any) error {
	t.Helper()
	file := map[string]any{
		"name": "squad", "corpus": "hub", "instruction": "Answer.", "examples": []any{map[string]any{"input": "a", "output": "b"}},
	}
	keys := strings.Split(at, ".")
	into := file
	for _, key := range keys[:len(keys)-1] {
		inner := map[string]any{}
		if key == "rerank" || key == "semantic" {
			inner["encoder"] = "openai:m" // without it the others say nothing
		}
		if key == "judge" {
			inner["rubric"] = "r"
		}
		if key == "command" {
			inner["name"] = "c"
		}
		into[key] = inner
		into = inner
	}
	if f, ok := value.(float64); ok && f == math.Trunc(f) {
		value = int64(f)
	}
	switch into[keys[len(keys)-1]] = value; at { // with what the value's bounds depend on
	case "reason.samples":
		into["agree"] = 1
	case "reason.agree":
		into["samples"] = 64
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = taskfile.Decode("task.yaml", data)
	return err
}
