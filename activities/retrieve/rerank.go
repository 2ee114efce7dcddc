package retrieve

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Better is a second, better encoder, and where its vectors are kept.
type Better struct {
	Encoder rebased.Encoder
	Vectors Vectors
}

// rerankStep is how many rows are read and encoded at once.
const rerankStep = 256

// second ranks by two stages: the index's encoder proposes, corrected by a few rows of each dataset that the better encoder has seen, and the
// better encoder ranks what was proposed.
type second struct {
	ranker *Ranker
	corpus rebased.Corpus
	first  walk // of the index's encoder; it scores, and does not walk
	truly  walk // the same for the better encoder
	better kept
}

// rerank gives the best rows by the better encoder among the task's depth of proposals, and the sources with its terms. The proposals are the
// best rows by a prediction of the better encoder's score (see correction), exact like every walk. In mode diverse a dataset proposes at most
// its share of the depth.
func (r *Ranker) rerank(ctx context.Context, task rebased.Task, corpus rebased.Corpus, first walk, progress func(rows int)) (reranked, error) {
	if r.better == nil {
		return reranked{}, rebased.E(rebased.Invalid, "retrieve.rerank: no encoder is open for it")
	}
	var encoded atomic.Int64
	first.diverse = task.Retrieve.Mode == rebased.ModeDiverse
	s := second{ranker: r, corpus: corpus, first: first, better: kept{r.better.Encoder, r.better.Vectors, &encoded}}
	if err := s.aim(ctx, task); err != nil {
		return reranked{}, err
	}
	observations, err := s.observe(ctx, task.Retrieve.Rerank.SampleRows(), progress)
	if err != nil {
		return reranked{}, err
	}
	proposed, err := s.propose(ctx, task, fit(observations))
	if err != nil {
		return reranked{}, err
	}
	rows, err := s.score(ctx, proposed, func(done int) { progress(len(observations) + done) })
	if err != nil {
		return reranked{}, err
	}
	slices.SortFunc(rows, compare)
	return reranked{rows: rows, sources: s.truly.sources, encoded: int(encoded.Load())}, nil
}

// aim encodes the task and the descriptions of its sources by the better encoder.
func (s *second) aim(ctx context.Context, task rebased.Task) error {
	aim, err := (&Ranker{encoder: s.better}).encodeTask(ctx, task)
	if err != nil {
		return err
	}
	texts := make([]string, len(s.first.sources))
	for i, source := range s.first.sources {
		texts[i] = source.Text()
	}
	vectors, err := s.better.Encode(ctx, texts)
	if err != nil {
		return fmt.Errorf("encode the descriptions of %s: %w", s.corpus.Name, err)
	}
	sources := make([]*source, len(vectors))
	for i, v := range vectors {
		own := *s.first.sources[i]
		own.data = dot(aim.data, v)
		sources[i] = &own
	}
	s.truly = s.first
	s.truly.aim, s.truly.sources = aim, sources
	return nil
}

// observe has the better encoder see up to n rows of each dataset name: those of the lowest ids, which are hashes, so that they are drawn by
// chance and the same ones every time.
func (s *second) observe(ctx context.Context, n int, progress func(rows int)) ([]observation, error) {
	drawn, err := s.draw(ctx, n)
	if err != nil {
		return nil, err
	}
	var cheap []scored
	for step := range slices.Chunk(drawn, fetchStep) {
		ids := make([]rebased.RowID, len(step))
		for i, row := range step {
			ids[i] = row.id.ID()
		}
		held, err := s.ranker.index.Rows(ctx, s.first.collection, ids)
		if err != nil {
			return nil, fmt.Errorf("read the vectors of %d sampled rows: %w", len(ids), err)
		}
		for _, row := range step {
			if stored, ok := held[row.id.ID()]; ok && stored.fits(s.first.aim) { // rows without a token have no vectors
				cheap = append(cheap, s.first.score(row, stored))
			}
		}
	}
	before := make(map[rebased.RowKey]scored, len(cheap))
	for _, row := range cheap {
		before[row.id] = row
	}
	rows, err := s.score(ctx, cheap, progress)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b scored) int { return bytes.Compare(a.id[:], b.id[:]) })
	observations := make([]observation, len(rows))
	for i, row := range rows {
		own, better := before[row.id], s.truly.sources[row.source]
		observations[i] = observation{
			dataset: better.Name, in: float64(own.in), out: float64(own.out), data: s.first.sources[row.source].data, better: better.data, sum: row.sum,
		}
	}
	return observations, nil
}

// draw gives the n rows of the lowest ids of each dataset name, all its configurations together, from the ids that stand beside the parts.
func (s *second) draw(ctx context.Context, n int) ([]rough, error) {
	sources := make(map[rebased.DatasetID]int32, len(s.first.sources))
	for _, source := range s.first.sources {
		sources[source.DatasetID] = source.place
	}
	lowest := make(map[string]*lowestRows)
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, part := range s.corpus.Parts {
		source, ok := sources[part.Dataset]
		if !ok {
			continue
		}
		if lowest[part.Dataset.Name] == nil {
			lowest[part.Dataset.Name] = new(lowestRows)
		}
		low := lowest[part.Dataset.Name]
		group.Go(func() error {
			ids, err := rebased.ReadPartIDs(work, s.ranker.objects, s.ranker.rows, part.File)
			low.mu.Lock()
			defer low.mu.Unlock()
			for _, id := range ids {
				low.offer(rough{id: id, source: source}, n)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var drawn []rough
	for _, low := range lowest {
		drawn = append(drawn, low.rows...)
	}
	slices.SortFunc(drawn, func(a, b rough) int { return bytes.Compare(a.id[:], b.id[:]) })
	return drawn, nil
}

// lowestRows is a heap of rows with the highest id first.
type lowestRows struct {
	mu   sync.Mutex
	rows []rough
}

func (l *lowestRows) offer(row rough, n int) {
	switch {
	case len(l.rows) < n:
		heap.Push(l, row)
	case n > 0 && bytes.Compare(row.id[:], l.rows[0].id[:]) < 0:
		l.rows[0] = row
		heap.Fix(l, 0)
	}
}

// Len implements heap.Interface.
func (l *lowestRows) Len() int { return len(l.rows) }

// Less implements heap.Interface.
func (l *lowestRows) Less(i, j int) bool { return bytes.Compare(l.rows[i].id[:], l.rows[j].id[:]) > 0 }

// Swap implements heap.Interface.
func (l *lowestRows) Swap(i, j int) { l.rows[i], l.rows[j] = l.rows[j], l.rows[i] }

// Push implements heap.Interface.
func (l *lowestRows) Push(x any) { l.rows = append(l.rows, x.(rough)) } //nolint:forcetypeassert // by offer alone

// Pop implements heap.Interface.
func (l *lowestRows) Pop() any { panic("retrieve: rows are never taken from it") }

// propose walks down the prediction: the slopes scale the query, and the rest is one number a source. Rows that say the same as another one
// come along, up to as many again: they cost nothing to encode, and the ranking has to see which datasets are mirrors.
func (s *second) propose(ctx context.Context, task rebased.Task, c correction) ([]scored, error) {
	aim := s.first.aim
	aim.in, aim.out = scale(aim.in, c.in), scale(aim.out, c.out)
	sources := make([]*source, len(s.first.sources))
	for i, own := range s.first.sources {
		predicted := *own
		predicted.data = c.constant(own.Name, own.data, s.truly.sources[i].data)
		sources[i] = &predicted
	}
	depth := task.Retrieve.RerankDepth()
	share := &quota{taken: make([]int, names(sources))}
	if s.first.diverse {
		share.most = max(1, task.Retrieve.MaxPerDataset*depth/task.Retrieve.Rows)
	}
	w := newWalk(s.first.index, s.first.collection, aim, sources, depth, share.full)
	w.diverse, w.frequent = s.first.diverse, s.first.frequent
	var proposed []scored
	said := make(map[uint64]struct{})
	for different := 0; different < depth && len(proposed) < 2*depth; {
		row, ok, err := w.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if !share.accept(sources[row.source].name) {
			continue
		}
		proposed = append(proposed, row)
		if _, repeats := said[row.content]; !repeats || row.content == 0 {
			said[row.content] = struct{}{}
			different++
		}
	}
	return proposed, nil
}

func scale(v []float32, by float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(float64(x) * by)
	}
	return out
}

// score reads rows, in the order of their parts, and gives them with the better encoder's terms.
func (s *second) score(ctx context.Context, rows []scored, progress func(rows int)) ([]scored, error) {
	parts, err := s.ranker.locate(ctx, s.corpus, rows, s.first.sources)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b scored) int { return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.row, b.row)) })
	found := Ranking{rows: s.ranker.rows, taken: rows, sources: s.first.sources, parts: parts}
	var out []scored
	for from := 0; from < len(rows); from += rerankStep {
		to := min(len(rows), from+rerankStep)
		read, err := found.Read(ctx, from, to)
		if err != nil {
			return nil, err
		}
		scores, err := s.scoreStep(ctx, rows[from:to], read)
		if err != nil {
			return nil, err
		}
		out = append(out, scores...)
		progress(to)
	}
	return out, nil
}

func (s *second) scoreStep(ctx context.Context, rows []scored, read []rebased.Candidate) ([]scored, error) {
	var texts []string
	for _, row := range read {
		for _, cell := range row.Cells {
			if strings.TrimSpace(cell.Text) != "" {
				texts = append(texts, cell.Text)
			}
		}
	}
	vectors, err := s.better.Encode(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("encode %d cells by %s: %w", len(texts), s.better.Identity(), err)
	}
	var out []scored
	at := 0
	for i, row := range read {
		var held Stored
		for c, cell := range row.Cells {
			if strings.TrimSpace(cell.Text) == "" {
				continue
			}
			if v := vectors[at]; dot(v, v) > 0 {
				held.Cells, held.Vectors = append(held.Cells, c), append(held.Vectors, v)
				held.Hashes, held.Letters = append(held.Hashes, rebased.TextHash(cell.Text)), append(held.Letters, rebased.TextLetters(cell.Text))
			}
			at++
		}
		if len(held.Vectors) > 0 {
			out = append(out, s.truly.score(rough{id: rows[i].id, source: rows[i].source}, held))
		}
	}
	return out, nil
}

// reranked is what two stages find.
type reranked struct {
	rows    []scored // best first
	sources []*source
	encoded int // texts that the better encoder had not encoded before
}

// list is a ranking that is known whole.
type list struct{ rows []scored }

// next implements ranked.
func (l *list) next(context.Context) (row scored, ok bool, err error) {
	if len(l.rows) == 0 {
		return scored{}, false, nil
	}
	row, l.rows = l.rows[0], l.rows[1:]
	return row, true, nil
}
