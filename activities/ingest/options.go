package ingest

import (
	"strconv"

	"github.com/rebased/rebased"
)

// readerVersion changes when the same file would give other rows, so that rows made by an older reader are not taken over.
const readerVersion = 3

// Options are the user's settings that shape the rows of a corpus.
type Options struct {
	// MaxRowsPerConfig is the most rows that are taken of one split of a config, at an even stride; 0 = all.
	MaxRowsPerConfig int `json:"max_rows_per_config"`
	// Documents is a column of documents, by its dotted name: each record that has it becomes a row for each of its passages; "" = none.
	Documents string `json:"documents,omitempty"`
}

// Validate checks the bounds.
func (o Options) Validate() error {
	if o.MaxRowsPerConfig < 0 {
		return rebased.E(rebased.Invalid, "max-rows-per-config must be 0 (all) or more, got %d", o.MaxRowsPerConfig)
	}
	if len(o.Documents) > maxNameBytes {
		return rebased.E(rebased.Invalid, "documents: a column's name has at most %d bytes", maxNameBytes)
	}
	return nil
}

// list is how the options stand in the manifest.
func (o Options) list() []string {
	all := []string{"max_rows_per_config=" + strconv.Itoa(o.MaxRowsPerConfig), "reader=" + strconv.Itoa(readerVersion)}
	if o.Documents != "" {
		all = append(all, "documents="+o.Documents)
	}
	return all
}

// Import is one run: the corpus that it makes and the revision that it starts from.
type Import struct {
	Corpus  string  `json:"corpus"`
	Base    string  `json:"base"` // revision whose parts are taken over where nothing changed; "" = none
	Options Options `json:"options"`
}
