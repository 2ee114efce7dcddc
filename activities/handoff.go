package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rebased/rebased"
)

// Handoff makes and releases versions.
type Handoff struct {
	*Build
	URI string // of the store, s3://bucket[/prefix]
}

// StageInput is what a version is made of, and the counts that its manifest tells.
type StageInput struct {
	BuildRef
	Corpus   string         `json:"corpus"`
	Revision string         `json:"revision"`
	Encoder  string         `json:"encoder"`
	Endpoint string         `json:"endpoint"`
	Counts   rebased.Counts `json:"counts"`
}

// StageResult names the version.
type StageResult struct {
	Version    string `json:"version"`
	URI        string `json:"uri"`
	Train      int    `json:"train"`
	Validation int    `json:"validation"`
	Unchanged  bool   `json:"unchanged"` // it is the released one already
}

// ReleaseInput says which version becomes the latest, and on whose word.
type ReleaseInput struct {
	Task    string    `json:"task"`
	Version string    `json:"version"`
	Build   string    `json:"build"`
	By      string    `json:"by"` // "" = no approval was asked for
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Handoff string    `json:"handoff"` // what became of the hand-off; "" = not yet
}

// Record writes result.json into the build's folder.
func (a *Handoff) Record(ctx context.Context, result rebased.BuildResult) error {
	body, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return translate(ctx, fmt.Errorf("encode the result: %w", err))
	}
	_, err = a.Objects.Put(ctx, rebased.BuildKey(result.Task, result.Build, "result.json"), append(body, '\n'))
	return translate(ctx, err)
}
