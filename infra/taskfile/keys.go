package taskfile

import (
	"reflect"
	"strings"

	"github.com/rebased/rebased"
)

func (r *reader) unknown(line int, parent, key string, of reflect.Type) error {
	at := join(parent, key)
	if hint := suggest(parent, key, of); hint != "" {
		return r.refuse(line, at, "is not a key of the task file: did you mean %s?", hint)
	}
	return r.refuse(line, at, "is not a key of the task file: known here are %s", strings.Join(names(of), ", "))
}

// suggest finds what a mistyped key was meant to be: the nearest of its neighbours, else the same key in another place.
func suggest(parent, key string, of reflect.Type) string {
	best, least := "", len(key)/3+2
	for _, name := range names(of) {
		if d := distance(strings.ToLower(key), strings.ToLower(name)); d < least {
			best, least = join(parent, name), d
		}
	}
	if best != "" {
		return best
	}
	for _, path := range paths(reflect.TypeFor[rebased.Task](), "") {
		if path == key || strings.HasSuffix(path, "."+key) {
			return path
		}
	}
	return ""
}

// distance is Levenshtein's: how many bytes must change, come or go.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// fields gives the fields of a struct by their keys.
func fields(of reflect.Value) map[string]reflect.Value {
	byKey := map[string]reflect.Value{}
	for i := range of.NumField() {
		byKey[keyOf(of.Type().Field(i))] = of.Field(i)
	}
	return byKey
}

// names lists the keys of a struct in the order of its fields.
func names(of reflect.Type) []string {
	var keys []string
	for field := range of.Fields() {
		keys = append(keys, keyOf(field))
	}
	return keys
}

// paths lists the dotted keys of a struct and of the structs in it, those in lists left out.
func paths(of reflect.Type, parent string) []string {
	var all []string
	for field := range of.Fields() {
		at := join(parent, keyOf(field))
		all = append(all, at)
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			all = append(all, paths(inner, at)...)
		}
	}
	return all
}

func keyOf(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return key
}

func join(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}
