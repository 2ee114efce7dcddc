package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rebased/rebased"
)

// retrieved says what the candidates of a build come from. It lies beside them, for builds that take them over.
type retrieved struct {
	Revision string         `json:"revision"` // of the corpus
	Encoder  string         `json:"encoder"`  // identity, and that of retrieve.rerank
	Skipped  map[string]int `json:"skipped"`  // rows that were left out, by reason
	Rows     int            `json:"rows"`     // candidates
}

func retrievedKey(of BuildRef) string { return rebased.BuildKey(of.Task, of.Build, "retrieved.json") }

// readRetrieved reads the record of a build; found is false where there is none: the build is not there, or was made before there were any.
func readRetrieved(ctx context.Context, objects rebased.Objects, of BuildRef) (record retrieved, found bool, err error) {
	data, _, err := objects.Get(ctx, retrievedKey(of))
	if rebased.KindOf(err) == rebased.NotFound {
		return record, false, nil
	}
	if err != nil {
		return record, false, fmt.Errorf("read what the rows of build %s come from: %w", of.Build, err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, false, rebased.E(rebased.Invalid, "%s: %w", retrievedKey(of), err)
	}
	return record, true, nil
}

func writeRetrieved(ctx context.Context, objects rebased.Objects, of BuildRef, record retrieved) error {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("encode what the rows come from: %w", err)
	}
	if _, err := objects.Put(ctx, retrievedKey(of), append(data, '\n')); err != nil {
		return fmt.Errorf("write what the rows come from: %w", err)
	}
	return nil
}
