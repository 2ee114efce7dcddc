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

	mu     sync.Mutex
	pinned rebased.Corpus // the revision read last: all parts of a run share it
}

// revision reads a corpus revision, which never changes, once for all its parts.
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

// IndexBeginInput names a corpus and an encoder as in task files.
type IndexBeginInput struct {
	Corpus  string `json:"corpus"`
	Encoder string `json:"encoder"`
}

// IndexBeginResult pins the run.
type IndexBeginResult struct {
	Index    rebased.Index `json:"index"`
	Revision string        `json:"revision"`
	Parts    int           `json:"parts"`
	Rows     int           `json:"rows"`
	Current  bool          `json:"current"` // the index holds the revision already
}

// IndexBegin checks the connections and marks the index as being updated.
func (a *Index) IndexBegin(ctx context.Context, in IndexBeginInput) (IndexBeginResult, error) {
	out, err := a.begin(ctx, in)
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
	indexer, err := a.indexer(ctx, in.Encoder)
	if err != nil {
		return IndexBeginResult{}, err
	}
	record, err := indexer.Begin(ctx, corpus)
	if err != nil {
		return IndexBeginResult{}, err
	}
	out := IndexBeginResult{Index: record, Revision: corpus.Revision, Parts: len(corpus.Parts), Rows: corpus.RowCount(), Current: record.Updating == ""}
	return out, nil
}

func (a *Index) indexer(ctx context.Context, encoder string) (*index.Indexer, error) {
	e, err := a.Encoders.Open(ctx, encoder)
	if err != nil {
		return nil, err
	}
	return index.New(index.Config{Writer: a.Writer, Encoder: e, Rows: a.Rows, Datasets: a.Datasets, Objects: a.Objects})
}

// IndexPartInput names one part of the pinned revision.
type IndexPartInput struct {
	Corpus   string        `json:"corpus"`
	Revision string        `json:"revision"`
	Encoder  string        `json:"encoder"`
	Index    rebased.Index `json:"index"`
	Part     int           `json:"part"`
}

// IndexPartResult counts what was done.
type IndexPartResult struct {
	Rows   int  `json:"rows"`
	Cells  int  `json:"cells"`
	Reused bool `json:"reused"`
}

// IndexPart encodes and writes one part; an attempt after a failure goes on at the row where the one before stood.
func (a *Index) IndexPart(ctx context.Context, in IndexPartInput) (IndexPartResult, error) {
	from := 0
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &from); err != nil {
			from = 0
		}
	}
	work, progress, stop := heartbeat(ctx)
	defer stop()
	progress(from)
	out, err := a.part(work, in, from, progress)
	return out, translate(ctx, err)
}

func (a *Index) part(ctx context.Context, in IndexPartInput, from int, progress func(int)) (IndexPartResult, error) {
	corpus, err := a.revision(ctx, in.Corpus, in.Revision)
	if err != nil {
		return IndexPartResult{}, err
	}
	if in.Part >= len(corpus.Parts) {
		return IndexPartResult{}, rebased.E(rebased.Invalid, "corpus %s at %s has %d parts, part %d was asked for", in.Corpus, in.Revision, len(corpus.Parts), in.Part)
	}
	indexer, err := a.indexer(ctx, in.Encoder)
	if err != nil {
		return IndexPartResult{}, err
	}
	done, err := indexer.Part(ctx, in.Index, corpus.Parts[in.Part], from, progress)
	return IndexPartResult{Rows: done.Rows, Cells: done.Cells, Reused: done.Reused}, err
}

// IndexFinishInput ends the run for the pinned revision.
type IndexFinishInput struct {
	Corpus   string `json:"corpus"`
	Revision string `json:"revision"`
	Encoder  string `json:"encoder"`
}

// IndexFinish removes what the revision no longer holds and marks the index as complete.
func (a *Index) IndexFinish(ctx context.Context, in IndexFinishInput) error {
	work, _, stop := heartbeat(ctx)
	defer stop()
	corpus, err := rebased.ReadCorpusRevision(work, a.Objects, in.Corpus, in.Revision)
	if err != nil {
		return translate(ctx, err)
	}
	indexer, err := a.indexer(work, in.Encoder)
	if err != nil {
		return translate(ctx, err)
	}
	_, err = indexer.Finish(work, corpus)
	return translate(ctx, err)
}
