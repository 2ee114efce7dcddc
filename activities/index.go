package activities

import (
	"context"
	"sync"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
)

// Index brings the vector index of a corpus up to its current revision.
type Index struct {
	Objects  rebased.Objects
	Rows     rebased.Table[rebased.Row]
	Datasets rebased.Table[rebased.Dataset]
	Writer   index.Writer
	Server   Connection
	Encoders Encoders

	mu      sync.Mutex
	pinned  rebased.Corpus            // the revision read last: all batches of a run share it
	planned index.Plan                // and its plan
	planKey string                    // of it
	vectors map[string]*index.Vectors // by the encoder's identity
}

// vectorBytes is how much memory the vectors of cells that recur may take.
const vectorBytes = 64 << 20

// revision reads a corpus revision, which never changes, once for all its batches.
func (a *Index) revision(ctx context.Context, corpus, revision string) (rebased.Corpus, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pinned.Name == corpus && a.pinned.Revision == revision {
		return a.pinned, nil
	}
	read, err := rebased.ReadCorpusRevision(ctx, a.Objects, corpus, revision)
	if err == nil {
		a.pinned = read
	}
	return read, err
}

// plan reads a plan, which never changes, once for all its batches.
func (a *Index) plan(ctx context.Context, corpus rebased.Corpus, key string) (index.Plan, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.planKey == key {
		return a.planned, nil
	}
	read, err := index.LoadPlan(ctx, a.Objects, corpus, key)
	if err == nil {
		a.planned, a.planKey = read, key
	}
	return read, err
}

// forget gives the memory of a run back.
func (a *Index) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pinned, a.planned, a.planKey, a.vectors = rebased.Corpus{}, index.Plan{}, "", nil
}

// IndexBeginInput names a corpus and an encoder as in task files.
type IndexBeginInput struct {
	Corpus  string `json:"corpus"`
	Encoder string `json:"encoder"`
	Rebuild bool   `json:"rebuild,omitempty"` // make the index anew, beside the one there is
}

// IndexBeginResult pins the run.
type IndexBeginResult struct {
	// Encoder is the encoder as named, with its model fixed: the name for the steps that follow. "" = in runs that began before: as named.
	Encoder string `json:"encoder,omitempty"`

	Index    rebased.Index `json:"index"` // Collection is the one to write to
	Revision string        `json:"revision"`
	Parts    int           `json:"parts"`
	Rows     int           `json:"rows"`
	Current  bool          `json:"current"` // the index holds the revision already
	Plan     string        `json:"plan"`    // its key; "" = none, in runs that began before there were plans
	Batches  int           `json:"batches"`
	Fresh    int           `json:"fresh"`  // rows to write
	Gone     int           `json:"gone"`   // rows to remove
	Reused   int           `json:"reused"` // parts of which nothing is to be written
	Done     bool          `json:"done"`   // a small update, which has been done: Current too
	Cells    int           `json:"cells"`  // that it wrote
}

// IndexBegin checks the connections, plans the update and marks the index as being updated.
func (a *Index) IndexBegin(ctx context.Context, in IndexBeginInput) (IndexBeginResult, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.begin(work, in)
	return out, translate(ctx, err)
}

func (a *Index) begin(ctx context.Context, in IndexBeginInput) (IndexBeginResult, error) {
	corpus, err := rebased.ReadCorpus(ctx, a.Objects, in.Corpus)
	if err != nil {
		return IndexBeginResult{}, err
	}
	if err := a.Server.Ping(ctx); err != nil {
		return IndexBeginResult{}, err
	}
	encoder, err := a.Encoders.Resolve(ctx, in.Encoder)
	if err != nil {
		return IndexBeginResult{}, err
	}
	indexer, err := a.indexer(ctx, encoder)
	if err != nil {
		return IndexBeginResult{}, err
	}
	record, plan, err := indexer.Begin(ctx, corpus, in.Rebuild)
	if err != nil {
		return IndexBeginResult{}, err
	}
	out := IndexBeginResult{
		Index: record, Revision: corpus.Revision, Parts: len(corpus.Parts), Rows: corpus.RowCount(), Current: record.Updating == "", Encoder: encoder,
		Batches: len(plan.Batches), Fresh: plan.Rows, Gone: plan.Removes(), Reused: len(corpus.Parts) - len(plan.Work),
	}
	if out.Current {
		return out, nil
	}
	if !in.Rebuild && record.Revision != "" && len(plan.Batches) <= 1 {
		if cells, err := a.atOnce(ctx, indexer, corpus, record, plan); err == nil {
			out.Current, out.Done, out.Cells, out.Batches = true, true, cells, 0
			return out, nil
		} // else the steps of a larger update find out what is wrong, and are tried until it is not
	}
	out.Plan, err = index.StorePlan(ctx, a.Objects, in.Corpus, plan)
	return out, err
}

// atOnce does a small update, for which steps of their own would cost more than the work.
func (a *Index) atOnce(ctx context.Context, indexer *index.Indexer, corpus rebased.Corpus, record rebased.Index, plan index.Plan) (cells int, err error) {
	for n := range plan.Batches {
		batch, err := plan.Batch(corpus, n)
		if err != nil {
			return 0, err
		}
		done, err := indexer.Batch(ctx, record, batch, func(int) {})
		if err != nil {
			return 0, err
		}
		cells += done.Cells
	}
	_, err = indexer.Finish(ctx, corpus, plan, false)
	a.forget()
	return cells, err
}

func (a *Index) indexer(ctx context.Context, encoder string) (*index.Indexer, error) {
	e, err := a.Encoders.Open(ctx, encoder)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.vectors == nil {
		a.vectors = make(map[string]*index.Vectors)
	}
	vectors := a.vectors[e.Identity()]
	if vectors == nil {
		vectors = index.NewVectors(vectorBytes)
		a.vectors[e.Identity()] = vectors
	}
	return index.New(index.Config{Writer: a.Writer, Encoder: e, Rows: a.Rows, Datasets: a.Datasets, Objects: a.Objects, Vectors: vectors})
}

// IndexPartInput names one batch of the plan of a pinned revision; in runs that began before there were plans, one part of the revision.
type IndexPartInput struct {
	Corpus   string        `json:"corpus"`
	Revision string        `json:"revision"`
	Encoder  string        `json:"encoder"` // as IndexBegin has fixed it
	Index    rebased.Index `json:"index"`
	Plan     string        `json:"plan,omitempty"`
	Part     int           `json:"part"` // the batch, or without a plan the part
}

// IndexPartResult counts what was done.
type IndexPartResult struct {
	Rows   int  `json:"rows"`
	Cells  int  `json:"cells"`
	Reused bool `json:"reused"` // all rows were there
}

// IndexPart encodes and writes one batch; an attempt after a failure goes on at the row where the one before stood, and looks which of the
// rows after it are there.
func (a *Index) IndexPart(ctx context.Context, in IndexPartInput) (IndexPartResult, error) {
	from := 0
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &from); err != nil {
			from = 0
		}
	}
	again := activity.GetInfo(ctx).Attempt > 1
	work, progress, stop := heartbeat(ctx)
	defer stop()
	progress(from)
	out, err := a.part(work, in, from, again, progress)
	return out, translate(ctx, err)
}

func (a *Index) part(ctx context.Context, in IndexPartInput, from int, again bool, progress func(int)) (IndexPartResult, error) {
	corpus, err := a.revision(ctx, in.Corpus, in.Revision)
	if err != nil {
		return IndexPartResult{}, err
	}
	batch, err := a.batch(ctx, in, corpus)
	if err != nil {
		return IndexPartResult{}, err
	}
	batch.From, batch.Check = from, batch.Check || again
	indexer, err := a.indexer(ctx, in.Encoder)
	if err != nil {
		return IndexPartResult{}, err
	}
	done, err := indexer.Batch(ctx, in.Index, batch, progress)
	return IndexPartResult{Rows: done.Rows, Cells: done.Cells, Reused: done.Held == done.Rows}, err
}

func (a *Index) batch(ctx context.Context, in IndexPartInput, corpus rebased.Corpus) (index.Batch, error) {
	if in.Plan == "" {
		if in.Part >= len(corpus.Parts) {
			return index.Batch{}, rebased.E(rebased.Invalid, "corpus %s at %s has %d parts, part %d was asked for", in.Corpus, in.Revision, len(corpus.Parts), in.Part)
		}
		return index.Batch{Corpus: corpus, Work: []index.Work{{Part: in.Part}}, Check: true}, nil
	}
	plan, err := a.plan(ctx, corpus, in.Plan)
	if err != nil {
		return index.Batch{}, err
	}
	return plan.Batch(corpus, in.Part)
}

// IndexFinishInput ends the run for the pinned revision.
type IndexFinishInput struct {
	Corpus   string `json:"corpus"`
	Revision string `json:"revision"`
	Encoder  string `json:"encoder"`
	Plan     string `json:"plan,omitempty"`
	Rebuild  bool   `json:"rebuild,omitempty"`
}

// IndexFinish removes what the revision no longer holds and marks the index as complete.
func (a *Index) IndexFinish(ctx context.Context, in IndexFinishInput) error {
	work, _, stop := heartbeat(ctx)
	defer stop()
	return translate(ctx, a.finish(work, in))
}

func (a *Index) finish(ctx context.Context, in IndexFinishInput) error {
	corpus, err := a.revision(ctx, in.Corpus, in.Revision)
	if err != nil {
		return err
	}
	indexer, err := a.indexer(ctx, in.Encoder)
	if err != nil {
		return err
	}
	var plan index.Plan
	if in.Plan != "" {
		plan, err = a.plan(ctx, corpus, in.Plan)
		if err != nil && rebased.KindOf(err) != rebased.NotFound { // an attempt before has come to the end
			return err
		}
	}
	if _, err := indexer.Finish(ctx, corpus, plan, in.Rebuild); err != nil {
		return err
	}
	a.forget()
	if in.Plan == "" {
		return nil
	}
	return a.Objects.Delete(ctx, in.Plan)
}
