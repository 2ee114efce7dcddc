package rebased

import (
	"context"
	"encoding/json"
	"fmt"
)

// Difference is what an import has changed in a corpus: the content of corpora/<corpus>/differences/<to>.json. It spares an index from reading what
// both revisions have. It may be missing, and a split may be missing from it; what it says stays true, since revisions never change.
type Difference struct {
	From   string            `json:"from"` // revision
	To     string            `json:"to"`   // revision
	Splits []SplitDifference `json:"splits"`
}

// SplitDifference is what has changed in one dataset split that both revisions have.
type SplitDifference struct {
	Dataset DatasetID        `json:"dataset"`
	Came    []PartDifference `json:"came,omitempty"` // parts that only the new revision has, by key
	Went    []string         `json:"went,omitempty"` // keys of the parts that only the old one has, ordered
	Gone    []byte           `json:"gone,omitempty"` // keys of the rows that only the old one has, 16 bytes each
	Copies  string           `json:"copies,omitempty"`
}

// PartDifference is which rows of a new part the old revision does not have.
type PartDifference struct {
	Key  string  `json:"key"`
	All  bool    `json:"all,omitempty"`
	Rows []int32 `json:"rows,omitempty"` // places in the part, ascending, where not all
	// Copied rows stand in the table Copies too, which many splits share, from place At on: a few rows of many parts are read there at once.
	Copied bool `json:"copied,omitempty"`
	At     int  `json:"at,omitempty"`
}

// PutDifference writes a difference, over the one before that leads to the same revision.
func PutDifference(ctx context.Context, objects Objects, corpus string, d Difference) error {
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode the difference of revisions %s and %s: %w", d.From, d.To, err)
	}
	if _, err := objects.Put(ctx, CorpusDifferenceKey(corpus, d.To), body); err != nil {
		return fmt.Errorf("write the difference of revisions %s and %s: %w", d.From, d.To, err)
	}
	return nil
}

// ReadDifference gives the difference that leads to a revision. NotFound: there is none.
func ReadDifference(ctx context.Context, objects Objects, corpus, to string) (d Difference, err error) {
	key := CorpusDifferenceKey(corpus, to)
	body, _, err := objects.Get(ctx, key)
	if err != nil {
		return Difference{}, fmt.Errorf("read what revision %s has changed: %w", to, err)
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return Difference{}, E(Invalid, "read what revision %s has changed: %s: %w", to, key, err)
	}
	return d, nil
}
