// Package dedupe removes the rows of a build that repeat others: equal rows, rows of equal input with another output, near-duplicates by the
// Jaccard similarity of their shingles, and rows of one meaning by the cosine of their vectors. What they must not repeat may be given besides:
// files, and versions made before. It stands between reason, which gives the examples, and handoff, which publishes those kept.
//
// # What is compared
//
// Input and output after normalisation (see normalise): compatibility forms, case and white space do not count, punctuation does, because in
// tasks of arithmetic, logic or code it carries the meaning. For near-duplicates the two are joined and cut into shingles: trigrams of words,
// or character 5-grams where the text has fewer than eight words, as text in scripts without spaces has. Two texts cut in different ways
// share nothing. For vectors the same joined text is encoded.
//
// # Which row stays
//
// Rows are taken best first: given rows, which all stay, then verified ones, then the higher score, the longer compared text, the lower row id.
// A row is removed only for a row that was kept, and only if their true Jaccard similarity, or cosine, reaches the threshold; MinHash and random
// hyperplanes only propose the pairs to look at, and their hashes are fixed. So neither the order of arrival nor how the work is split changes the
// result, and what was deduplicated once is left as it is the second time.
//
// # What is in memory
//
// Some 150 bytes a row, never its text. The rows are read twice, a part at a time: first for their facts (see fact), shingles and vectors, which
// go to a scratch file once they are many, then to be written where their verdicts say. The first reading can be done by many workers, and so can
// be the search for rows that have a band in common: see Print and Group.
package dedupe

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/rebased/rebased"
)

// Step is the name of this step in rejects.
const Step = "dedupe"

const (
	// PartRows is the most rows of a part that is written.
	PartRows = 1000
	// RemovalRows is the most removals that are told at once.
	RemovalRows = 50_000
	// InMemory is how many bytes of shingles and vectors are held in memory where Config says nothing: shingles of some 15,000 short rows.
	InMemory = 16 << 20
)

// Files is where the rows of a build are, and where they go.
type Files interface {
	// Read gives the rows of the n-th part, from 0. It is called twice for each part.
	Read(ctx context.Context, n int) ([]rebased.Example, error)
	// Keep is given the next rows that stay, at most PartRows; over all calls they are ordered by rank, then row id.
	Keep(ctx context.Context, rows []rebased.Example) error
	// Reject is given the next rows that go, likewise.
	Reject(ctx context.Context, rows []rebased.Reject) error
	// Removed is told what was removed for what, at most RemovalRows at a time, before the first row is written: by the kept rows, best first.
	Removed(ctx context.Context, removals []Removal) error
	// Scratch opens an empty file for the time of one call of Rows, who calls it at most once.
	Scratch() (Scratch, error)
}

// Scratch is a file that goes away with its process. What was written once does not change.
type Scratch interface {
	io.Writer
	io.ReaderAt
}

// Given are rows that no row of the build may repeat, and where they stand: a version as task@version, or a file. A row without an id is called
// by its file and its line, which is its Rank.
type Given struct {
	Source string
	Rows   []rebased.Example
}

// Config says what counts as a repeat, and how many parts there are.
type Config struct {
	rebased.Dedupe
	Parts    int
	Given    iter.Seq2[Given, error]     // nil = none
	Verified func(*rebased.Example) bool // tells rows whose answer was found twice; nil = none is
	Encoder  rebased.Encoder             // of Semantic
	InMemory int                         // bytes of shingles and vectors that are held in memory; 0 = the constant of that name
	Prints   *Prints                     // what Print and Group have made of the rows, in place of a first reading; nil = nothing yet
}

// Removal is one row that was removed, and what for.
type Removal struct {
	Removed    rebased.RowID  `json:"removed"`
	Kept       rebased.RowID  `json:"kept"` // of the build; or a row of a version as task@version/id, or of a file as name:line
	Rule       rebased.Reason `json:"rule"`
	Given      bool           `json:"given,omitempty"` // Kept is no row of the build
	Similarity float64        `json:"similarity"`      // true Jaccard or cosine; 1 for equal rows, and for equal inputs
}

// Rows deduplicates the rows of a build. Parts whose rows are in the order of their ranks are read one at a time; any others stay in memory from
// their first row in that order to their last. Errors are those of Files, of Given, of the encoder and of a context that ended; Invalid is a row id
// that is no UUID, Unavailable a scratch file that fails or a part that changed while it was read.
func Rows(ctx context.Context, c Config, files Files) error {
	t, err := survey(ctx, c, files)
	if err != nil {
		return err
	}
	places := t.bestFirst()
	verdicts, err := decide(ctx, c, t, places)
	if err != nil {
		return err
	}
	if err := tell(ctx, files, t, places, verdicts); err != nil {
		return err
	}
	return sift(ctx, c.Dedupe, files, t, places, verdicts)
}

// verdict says why a row goes and for which kept row; a row with the zero value stays.
type verdict struct {
	similarity float64
	of         int32
	cause      cause
}

type cause uint8

const (
	stays cause = iota
	duplicate
	conflict
	nearDuplicate
	semanticDuplicate
)

func (c cause) reason() rebased.Reason {
	switch c {
	case duplicate:
		return rebased.ReasonDuplicate
	case conflict:
		return rebased.ReasonConflict
	case semanticDuplicate:
		return rebased.ReasonSemanticDuplicate
	case stays, nearDuplicate:
	}
	return rebased.ReasonNearDuplicate
}

// reject says of a row what its verdict says.
func (v verdict) reject(settings rebased.Dedupe, e *rebased.Example, of rebased.RowID) rebased.Reject {
	r := e.Reject(Step, v.cause.reason(), "")
	r.Of = of
	switch v.cause {
	case duplicate:
		r.Detail = "equal after normalisation"
	case conflict:
		r.Detail = "same input, another output"
	case semanticDuplicate:
		r.Detail = fmt.Sprintf("cosine %.3f, threshold %g", v.similarity, settings.Semantic.Least())
	case stays, nearDuplicate:
		r.Detail = fmt.Sprintf("Jaccard %.3f, threshold %g", v.similarity, settings.MinHash)
	}
	return r
}

// tell tells what was removed for what.
func tell(ctx context.Context, files Files, t *table, rows []int32, verdicts []verdict) error {
	places := make([]int32, len(rows)) // by row
	removed := []int32{}
	for place, row := range rows {
		places[row] = int32(place) //nolint:gosec // rows fit in 31 bits
		if verdicts[row].cause != stays {
			removed = append(removed, row)
		}
	}
	slices.SortFunc(removed, func(a, b int32) int {
		return cmp.Or(cmp.Compare(places[verdicts[a].of], places[verdicts[b].of]), cmp.Compare(places[a], places[b]))
	})
	for step := range slices.Chunk(removed, RemovalRows) {
		removals := make([]Removal, len(step))
		for i, row := range step {
			v := verdicts[row]
			removals[i] = Removal{Removed: t.name(row), Kept: t.name(v.of), Rule: v.cause.reason(), Given: t.isGiven(v.of), Similarity: v.similarity}
			if v.cause == duplicate || v.cause == conflict {
				removals[i].Similarity = 1
			}
		}
		if err := files.Removed(ctx, removals); err != nil {
			return err
		}
	}
	return nil
}
