package source

import (
	"encoding/json"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/metadata"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// leafNames gives the dotted names of a schema's leaf columns in their order. A list adds nothing to the name, as in the other formats: the
// wrappers that Parquet puts around its elements (https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists) are passed over.
func leafNames(root *schema.GroupNode) (names []string) {
	for i := range root.NumFields() {
		names = appendLeaves(names, "", root.Field(i))
	}
	return names
}

func appendLeaves(names []string, outer string, node schema.Node) []string {
	return appendInside(names, dotted(outer, node.Name()), node)
}

// appendInside adds the leaves of a node that has its name already.
func appendInside(names []string, name string, node schema.Node) []string {
	group, ok := node.(*schema.GroupNode)
	if !ok {
		return append(names, name)
	}
	if group.NumFields() == 1 && group.Field(0).RepetitionType() == parquet.Repetitions.Repeated {
		switch repeated := group.Field(0); {
		case isList(group):
			return appendInside(names, name, elementOf(group, repeated))
		case isMap(group):
			return appendInside(names, name, repeated)
		}
	}
	for i := range group.NumFields() {
		names = appendLeaves(names, name, group.Field(i))
	}
	return names
}

func isList(group *schema.GroupNode) bool {
	_, ok := group.LogicalType().(schema.ListLogicalType)
	return ok || group.ConvertedType() == schema.ConvertedTypes.List
}

func isMap(group *schema.GroupNode) bool {
	_, ok := group.LogicalType().(schema.MapLogicalType)
	return ok || group.ConvertedType() == schema.ConvertedTypes.Map || group.ConvertedType() == schema.ConvertedTypes.MapKeyValue
}

// elementOf finds the element under a list's repeated node: its only child, unless the node is the element itself by the rules for older files.
func elementOf(list *schema.GroupNode, repeated schema.Node) schema.Node {
	group, ok := repeated.(*schema.GroupNode)
	if !ok || group.NumFields() != 1 || group.Name() == "array" || group.Name() == list.Name()+"_tuple" {
		return repeated
	}
	return group.Field(0)
}

func dotted(outer, field string) string {
	if outer == "" {
		return field
	}
	return outer + "." + field
}

// classLabels finds the names of class labels in what the datasets library of Hugging Face writes into a file, by dotted column name.
func classLabels(pairs metadata.KeyValueMetadata) map[string][]string {
	labels := map[string][]string{}
	text := pairs.FindValue("huggingface")
	if text == nil {
		return labels
	}
	var written struct {
		Info struct {
			Features map[string]any `json:"features"`
		} `json:"info"`
	}
	if err := json.Unmarshal([]byte(*text), &written); err != nil {
		return labels // labels are a convenience: without them their numbers stand
	}
	for name, feature := range written.Info.Features {
		findLabels(labels, name, feature)
	}
	return labels
}

// findLabels walks a feature: a dict of features, a list of one, or an object whose _type says what it is.
func findLabels(labels map[string][]string, name string, feature any) {
	switch feature := feature.(type) {
	case []any:
		if len(feature) == 1 {
			findLabels(labels, name, feature[0])
		}
	case map[string]any:
		typ, typed := feature["_type"].(string)
		switch {
		case typ == "ClassLabel":
			if names := stringList(feature["names"]); names != nil {
				labels[name] = names
			}
		case typed:
			findLabels(labels, name, feature["feature"])
		default:
			for field, inner := range feature {
				findLabels(labels, dotted(name, field), inner)
			}
		}
	}
}

// stringList gives a list of strings, nil for anything else.
func stringList(list any) []string {
	items, _ := list.([]any)
	names := make([]string, 0, len(items))
	for _, item := range items {
		name, ok := item.(string)
		if !ok {
			return nil
		}
		names = append(names, name)
	}
	return names
}
