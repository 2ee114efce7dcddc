// Package dedupe removes the rows of a build that repeat others: equal rows, rows of equal input with another output, and near-duplicates
// by the Jaccard similarity of their shingles. It stands between reason, which gives the examples, and handoff, which publishes those kept.
//
// # What is compared
//
// Input and output after normalisation (see normalise): compatibility forms, case and white space do not count, punctuation does, because in
// tasks of arithmetic, logic or code it carries the meaning. For near-duplicates the two are joined and cut into shingles: trigrams of words,
// or character 5-grams where the text has fewer than eight words, as text in scripts without spaces has. Two texts cut in different ways
// share nothing.
//
// # Which row stays
//
// Rows are taken best first: the higher score, then the longer compared text, then the lower row id. A row is removed only for a row that
// was kept, and for near-duplicates only if their true Jaccard similarity reaches the threshold; MinHash only proposes the pairs to look at,
// and its hashes are fixed. So neither the order of arrival nor how the work is split changes the result, and what was deduplicated once is
// left as it is the second time.
//
// # What is in memory
//
// Some 150 bytes a row, never its text. The rows are read twice, a part at a time: first for their facts (see fact) and their shingles, which
// go to a scratch file once they are many, then to be written where their verdicts say.
package dedupe

import (
	"context"
	"fmt"
	"io"

	"github.com/rebased/rebased"
)

// Step is the name of this step in rejects.
const Step = "dedupe"

const (
	// PartRows is the most rows of a part that is written.
	PartRows = 1000
	// InMemory is how many bytes of shingles are held in memory where Config says nothing: those of some 15,000 short rows.
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
	// Scratch opens an empty file for the time of one call of Rows, who calls it at most once.
	Scratch() (Scratch, error)
}

// Scratch is a file that goes away with its process. What was written once does not change.
type Scratch interface {
	io.Writer
	io.ReaderAt
}

// Config says what counts as a repeat, and how many parts there are.
type Config struct {
	rebased.Dedupe
	Parts    int
	InMemory int // bytes of shingles that are held in memory; 0 = the constant of that name
}

// Rows deduplicates the rows of a build. Parts whose rows are in the order of their ranks are read one at a time; any others stay in memory from
// their first row in that order to their last. Errors are those of Files and of a context that ended; Invalid is a row id that is no UUID,
// Unavailable a scratch file that fails or a part that changed while it was read.
func Rows(ctx context.Context, c Config, files Files) error {
	if c.InMemory == 0 {
		c.InMemory = InMemory
	}
	t, err := survey(ctx, c, files)
	if err != nil {
		return err
	}
	places := t.bestFirst()
	verdicts, err := decide(ctx, c.Dedupe, t, places)
	if err != nil {
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
)

// reject says of a row what its verdict says.
func (v verdict) reject(settings rebased.Dedupe, e *rebased.Example, of rebased.RowID) rebased.Reject {
	r := rebased.Reject{
		Lineage: e.Lineage, Step: Step, Attempts: len(e.Responses), Input: e.Input, Output: e.Output, Of: of, Usage: e.Usage, Judged: e.Judged,
	}
	switch v.cause {
	case duplicate:
		r.Reason, r.Detail = rebased.ReasonDuplicate, "equal after normalisation"
	case conflict:
		r.Reason, r.Detail = rebased.ReasonConflict, "same input, another output"
	case stays, nearDuplicate:
		r.Reason, r.Detail = rebased.ReasonNearDuplicate, fmt.Sprintf("Jaccard %.3f, threshold %g", v.similarity, settings.MinHash)
	}
	return r
}
