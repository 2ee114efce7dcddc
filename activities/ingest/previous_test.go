package ingest

import (
	"testing"

	"github.com/rebased/rebased"
)

func TestADatasetIsItsFilesAndHowTheyAreRead(t *testing.T) {
	jsonl := rebased.Source{Path: "a.jsonl", SHA256: "11"}
	csv := rebased.Source{Path: "a.csv", SHA256: "11"}
	moved := rebased.Source{Path: "b/a.jsonl", SHA256: "11", Description: "Moved.", License: "mit"}
	two := describe([]rebased.Source{jsonl, moved})
	if describe([]rebased.Source{jsonl}).ETag == describe([]rebased.Source{csv}).ETag {
		t.Error("the same bytes are taken for the same rows in another format")
	}
	if describe([]rebased.Source{jsonl}).ETag != describe([]rebased.Source{moved}).ETag {
		t.Error("a file is read again because it was moved")
	}
	if one := describe([]rebased.Source{jsonl}); one.Revision != "11" || two.Revision == "11" || two.ETag == one.ETag {
		t.Errorf("one file %+v, two files %+v", one, two)
	}
	if two.Description != "Moved." || two.License != "mit" {
		t.Errorf("what only the second file says is lost: %+v", two)
	}
}
