package index

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Bounds of one write to the index: what a server with default settings takes in one message, with room to spare.
const (
	maxWritePoints = 512
	maxWriteBytes  = 8 << 20 // of vectors
)

// readBytes is how many bytes of parts are read side by side.
const readBytes = 4 << 20

// BatchResult is what was done to one batch.
type BatchResult struct {
	Rows  int // of the batch
	Cells int // vectors written by this call
	Blank int // rows written by this call that have no vector
	Held  int // rows that were there before, found by a check
}

// Batch is one batch of a plan and how far an earlier attempt at it came.
type Batch struct {
	Corpus rebased.Corpus
	Work   []Work
	From   int  // rows of the work that are written already
	Check  bool // rows may be there already: look, and do not encode those again
}

// Batch gives the n-th batch of a plan. Invalid: the plan has no such batch.
func (p Plan) Batch(corpus rebased.Corpus, n int) (Batch, error) {
	if n < 0 || n >= len(p.Batches) {
		return Batch{}, rebased.E(rebased.Invalid, "the plan of the index has %d batches, batch %d was asked for", len(p.Batches), n)
	}
	return Batch{Corpus: corpus, Work: p.batch(n)}, nil
}

// Batch writes the rows of a batch into the index that Begin returned. It calls progress with the number of rows done after each write, and at
// least once for every thousand or so encoded cells. Invalid: the index is of another encoder, or a part does not hold the rows it should.
func (x *Indexer) Batch(ctx context.Context, idx rebased.Index, b Batch, progress func(rows int)) (BatchResult, error) {
	if idx.Encoder != x.encoder.Identity() {
		return BatchResult{}, rebased.E(rebased.Invalid, "index %s is of encoder %q, not of %q", idx.Collection, idx.Encoder, x.encoder.Identity())
	}
	w := &writing{Indexer: x, collection: idx.Collection, batch: b, skip: b.From, progress: progress}
	for i := 0; i < len(b.Work); {
		end, size := i, int64(0)
		for copies := b.Work[i].Copies; copies != "" && end < len(b.Work) && b.Work[end].Copies == copies; {
			end++
		}
		for b.Work[i].Copies == "" && end < len(b.Work) && b.Work[end].Copies == "" && (end == i || end-i < readers && size+b.Corpus.Parts[b.Work[end].Part].Size <= readBytes) {
			size += b.Corpus.Parts[b.Work[end].Part].Size
			end++
		}
		if err := w.add(ctx, b.Work[i:end]); err != nil {
			return BatchResult{}, err
		}
		i = end
	}
	err := w.write(ctx, 1)
	progress(w.done())
	return w.result, err
}

// writing is a batch under way. Rows of several parts go into one write.
type writing struct {
	*Indexer
	collection string
	batch      Batch
	skip       int // rows still to be passed over
	progress   func(int)

	open   []rebased.Row // read, not written
	places []int         // of the open rows, among all of the batch
	met    int           // rows read or passed over
	result BatchResult
}

// add reads work side by side, or what stands in one table of copies at once, and takes its rows in.
func (w *writing) add(ctx context.Context, work []Work) error {
	passed := make([]int, len(work)) // rows of each that are written already
	for i, item := range work {
		rows := item.rows(w.batch.Corpus)
		passed[i] = min(rows, w.skip)
		w.skip, w.met, w.result.Rows = w.skip-passed[i], w.met+passed[i], w.result.Rows+rows
	}
	read, err := w.copied(ctx, work)
	if err != nil {
		return err
	}
	if read == nil {
		if read, err = w.parts(ctx, work, passed); err != nil {
			return err
		}
	}
	for i, rows := range read {
		if err := w.take(ctx, rows[min(passed[i], len(rows)):]); err != nil {
			return err
		}
		if err := w.write(ctx, maxWritePoints); err != nil {
			return err
		}
	}
	return nil
}

// copied reads work whose rows stand in one table of copies. nil: they do not, or the table is gone.
func (w *writing) copied(ctx context.Context, work []Work) ([][]rebased.Row, error) {
	if work[0].Copies == "" {
		return nil, nil
	}
	var places []int32
	for _, item := range work {
		for i := range item.Rows {
			places = append(places, int32(item.At+i)) //nolint:gosec // rows of a table are not that many
		}
	}
	rows, err := w.rows.Pick(ctx, work[0].Copies, places)
	if kind := rebased.KindOf(err); kind == rebased.NotFound || kind == rebased.Invalid { // the parts have them all the same
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", work[0].Copies, err)
	}
	read := make([][]rebased.Row, len(work))
	for i, item := range work {
		read[i], rows = rows[:len(item.Rows)], rows[len(item.Rows):]
	}
	return read, nil
}

// parts reads work from the parts; of what is written already nothing.
func (w *writing) parts(ctx context.Context, work []Work, passed []int) ([][]rebased.Row, error) {
	read := make([][]rebased.Row, len(work))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, item := range work {
		if passed[i] == item.rows(w.batch.Corpus) {
			continue
		}
		group.Go(func() (err error) {
			read[i], err = w.rowsOf(inner, w.batch.Corpus.Parts[item.Part], item.Rows)
			return err
		})
	}
	return read, group.Wait()
}

// rowsOf reads the rows of a part that are to be written.
func (x *Indexer) rowsOf(ctx context.Context, part rebased.Part, places []int32) (rows []rebased.Row, err error) {
	if len(places) > 0 {
		if rows, err = x.rows.Pick(ctx, part.Key, places); err != nil {
			return nil, fmt.Errorf("read %s: %w", part.Key, err)
		}
		return rows, nil
	}
	if rows, err = x.rows.Read(ctx, part.Key); err != nil {
		return nil, fmt.Errorf("read %s: %w", part.Key, err)
	}
	if len(rows) != part.Rows {
		return nil, rebased.E(rebased.Invalid, "%s holds %d rows, its manifest says %d: import the corpus again", part.Key, len(rows), part.Rows)
	}
	return rows, nil
}

// take opens rows, but those that are in the index, where the batch asks to look.
func (w *writing) take(ctx context.Context, rows []rebased.Row) error {
	held, err := w.held(ctx, rows)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if held != nil && held[i] {
			w.result.Held++
		} else {
			w.open, w.places = append(w.open, row), append(w.places, w.met)
		}
		w.met++
	}
	return nil
}

// held tells which rows are in the index; nil: nobody asks.
func (w *writing) held(ctx context.Context, rows []rebased.Row) ([]bool, error) {
	if !w.batch.Check || len(rows) == 0 {
		return nil, nil
	}
	ids := make([]rebased.RowKey, len(rows))
	for i, row := range rows {
		key, err := row.ID.Key()
		if err != nil {
			return nil, err
		}
		ids[i] = key
	}
	has, err := w.writer.Has(ctx, w.collection, ids)
	if err != nil {
		return nil, fmt.Errorf("look for rows in the index: %w", err)
	}
	return has, nil
}

// done is how many rows from the first one on need nothing more.
func (w *writing) done() int {
	if len(w.places) > 0 {
		return w.places[0]
	}
	return w.met
}

// write writes the open rows as long as there are at least so many.
func (w *writing) write(ctx context.Context, least int) error {
	for len(w.open) > 0 && len(w.open) >= least {
		n := writeEnd(w.open, w.encoder.Dimensions())
		points, err := w.points(ctx, w.open[:n], func() { w.progress(w.done()) })
		if err != nil {
			return fmt.Errorf("encode rows of %s: %w", w.open[0].Dataset, err)
		}
		if err := w.writer.Upsert(ctx, w.collection, points); err != nil {
			return fmt.Errorf("write rows of %s to the index: %w", w.open[0].Dataset, err)
		}
		for _, p := range points {
			w.result.Cells += len(p.Vectors)
			if len(p.Vectors) == 0 {
				w.result.Blank++
			}
		}
		w.open, w.places = w.open[n:], w.places[n:]
		w.progress(w.done())
	}
	return nil
}

// writeEnd says how many of the rows go into one write: at least one, and as many as its bounds allow.
func writeEnd(rows []rebased.Row, dimensions int) int {
	bytes := 0
	for i := range rows {
		bytes += min(len(rows[i].Cells), maxVectors(dimensions)) * dimensions * 4
		if i > 0 && (bytes > maxWriteBytes || i == maxWritePoints) {
			return i
		}
	}
	return len(rows)
}
