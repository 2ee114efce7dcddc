package activities

import (
	"context"
	"fmt"
	"io"
	"path"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
)

// A deduplication that is split over workers: DedupePrints of some parts each and of the given rows, then DedupeGroups of some bands each, then
// DedupeRows with their number. What passes between them stands in the build's folder prints/, which DedupeClean removes.

const folderPrints = "prints"

// DedupePrintsInput names some parts, or the given rows, and the first file to make of them.
type DedupePrintsInput struct {
	DedupeInput
	First int  `json:"first"` // part
	Parts int  `json:"parts"`
	Given bool `json:"given,omitempty"` // the given rows, and no part
	Chunk int  `json:"chunk"`
}

// DedupePrintsResult counts the files of prints.
type DedupePrintsResult struct {
	Chunks int `json:"chunks"`
}

// DedupePrints makes what rows are compared by.
func (a *Dedupe) DedupePrints(ctx context.Context, in DedupePrintsInput) (DedupePrintsResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.prints(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Dedupe) prints(ctx context.Context, in DedupePrintsInput, progress func(int)) (DedupePrintsResult, error) {
	c, err := a.config(ctx, in.DedupeInput)
	if err != nil {
		return DedupePrintsResult{}, err
	}
	c.Parts = in.Parts
	if !in.Given {
		c.Given = nil
	}
	files, err := a.files(ctx, in.DedupeInput, progress)
	if err != nil {
		return DedupePrintsResult{}, err
	}
	into := dedupe.Prints{Store: dedupeStore{a.Build, in.BuildRef}, Ranges: in.Ranges}
	chunks, err := dedupe.Print(ctx, c, into, in.Chunk, func(ctx context.Context, n int) ([]rebased.Example, error) {
		clean, _, err := files.clean(ctx, in.First+n) // what leaks DedupeRows rejects
		return clean, err
	})
	return DedupePrintsResult{Chunks: chunks}, err
}

// DedupeGroupsInput names a range of bands, of Ranges.
type DedupeGroupsInput struct {
	DedupeInput
	Range int `json:"range"`
}

// DedupeGroups finds the rows that have bands of a range in common.
func (a *Dedupe) DedupeGroups(ctx context.Context, in DedupeGroupsInput) error {
	work, _, stop := heartbeat(ctx)
	defer stop()
	c, err := a.config(work, in.DedupeInput)
	if err == nil {
		err = dedupe.Group(work, c, *c.Prints, in.Range)
	}
	return translate(ctx, err)
}

// DedupeClean removes what DedupePrints and DedupeGroups have made.
func (a *Dedupe) DedupeClean(ctx context.Context, in BuildRef) error {
	for object, err := range a.Objects.List(ctx, rebased.BuildKey(in.Task, in.Build, folderPrints)+"/") {
		if err == nil {
			err = a.Objects.Delete(ctx, object.Key)
		}
		if err != nil {
			return translate(ctx, fmt.Errorf("remove what was made to deduplicate: %w", err))
		}
	}
	return nil
}

// dedupeStore is the folder of a build's prints.
type dedupeStore struct {
	*Build
	ref BuildRef
}

func (s dedupeStore) key(name string) string {
	return rebased.BuildKey(s.ref.Task, s.ref.Build, path.Join(folderPrints, name))
}

// Write implements dedupe.Store.
func (s dedupeStore) Write(ctx context.Context, name string, body []byte) error {
	_, err := s.Objects.Put(ctx, s.key(name), body)
	return err
}

// Open implements dedupe.Store.
func (s dedupeStore) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.Objects.Open(ctx, s.key(name))
}
