package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// Ingest turns uploaded files into a revision of a corpus.
type Ingest struct {
	Objects  rebased.Objects
	Bucket   Connection
	Importer *ingest.Importer
}

// ImportRef names one run of an import.
type ImportRef struct {
	Corpus           string `json:"corpus"`
	SourcesKey       string `json:"sources_key"`
	MaxRowsPerConfig int    `json:"max_rows_per_config"`
	Documents        string `json:"documents,omitempty"`
	Run              string `json:"run"`
	Base             string `json:"base"` // the revision before; "" = none
	Remotes          int    `json:"remotes,omitempty"`
	RemotesKey       string `json:"remotes_key,omitempty"` // a JSON list of so many Remote in the bucket; "" = none
}

func (r ImportRef) spec() ingest.Import {
	return ingest.Import{
		Corpus: r.Corpus, Base: r.Base, Options: ingest.Options{MaxRowsPerConfig: r.MaxRowsPerConfig, Documents: r.Documents},
	}
}

func (r ImportRef) batchKey(n int) string {
	return rebased.ImportKey(r.Corpus, r.Run, fmt.Sprintf("batch-%05d.json", n))
}

// ImportBeginResult says how the work is cut.
type ImportBeginResult struct {
	Base    string         `json:"base"`
	Batches []ingest.Batch `json:"batches"`
	Files   int            `json:"files"`
}

// ImportBegin checks the bucket, pins the revision that the import starts from and cuts the sources into batches.
func (a *Ingest) ImportBegin(ctx context.Context, in ImportRef) (ImportBeginResult, error) {
	out, err := a.begin(ctx, in)
	return out, translate(ctx, err)
}

func (a *Ingest) begin(ctx context.Context, in ImportRef) (ImportBeginResult, error) {
	if !rebased.ValidCorpusName(in.Corpus) {
		return ImportBeginResult{}, rebased.E(rebased.Invalid, "corpus name %q: must be 1 to 63 of a-z, 0-9, '.', '_' and -", in.Corpus)
	}
	if err := a.Bucket.Ping(ctx); err != nil {
		return ImportBeginResult{}, fmt.Errorf("the bucket cannot be used: %w", err)
	}
	var sources []rebased.Source
	if in.SourcesKey != "" {
		var err error
		if sources, err = ingest.ReadSources(ctx, a.Objects, in.SourcesKey); err != nil {
			return ImportBeginResult{}, err
		}
	}
	base, err := a.Importer.Base(ctx, in.Corpus)
	return ImportBeginResult{Base: base, Batches: ingest.Batches(ingest.Splits(sources)), Files: len(sources)}, err
}

// ImportBatchInput names one batch.
type ImportBatchInput struct {
	ImportRef
	N     int          `json:"n"`
	Batch ingest.Batch `json:"batch"`
}

// ImportBatchResult counts what was read.
type ImportBatchResult struct {
	Files int `json:"files"`
	Rows  int `json:"rows"`
}

// ImportBatch converts one batch of dataset splits.
func (a *Ingest) ImportBatch(ctx context.Context, in ImportBatchInput) (ImportBatchResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.batch(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Ingest) batch(ctx context.Context, in ImportBatchInput, progress func(int)) (ImportBatchResult, error) {
	sources, err := ingest.ReadSources(ctx, a.Objects, in.SourcesKey)
	if err != nil {
		return ImportBatchResult{}, err
	}
	run, err := a.Importer.Start(ctx, in.spec())
	if err != nil {
		return ImportBatchResult{}, err
	}
	splits := ingest.Splits(sources)
	if in.Batch.To > len(splits) {
		return ImportBatchResult{}, rebased.E(rebased.Invalid, "batch %d ends at split %d of %d: start the import again", in.N, in.Batch.To, len(splits))
	}
	splits = splits[in.Batch.From:in.Batch.To]
	failed, err := a.fetch(ctx, in, run, splits)
	if err != nil {
		return ImportBatchResult{}, err
	}
	var out ImportBatchResult
	var converted []ingest.Converted
	for i, split := range splits {
		if failed[i] != nil {
			converted = append(converted, ingest.Converted{
				Dataset: rebased.Dataset{DatasetID: split[0].DatasetID}, Origin: split[0].Origin, Files: len(split), Failed: failed[i].Error(),
			})
			out.Files += len(split)
			continue
		}
		done, err := run.Convert(ctx, split, progress)
		if err != nil {
			return out, err
		}
		converted = append(converted, done)
		out.Files += done.Files
		out.Rows += done.Dataset.Rows
	}
	if err := run.WriteCopies(ctx, converted); err != nil {
		return out, err
	}
	body, err := json.Marshal(converted)
	if err != nil {
		return out, fmt.Errorf("encode batch %d: %w", in.N, err)
	}
	_, err = a.Objects.Put(ctx, in.batchKey(in.N), body)
	return out, err
}

// ImportCommitInput ends the run.
type ImportCommitInput struct {
	ImportRef
	Batches int `json:"batches"`
}

// ImportCommitResult says what the corpus now holds.
type ImportCommitResult struct {
	Revision string `json:"revision"`
	Changed  bool   `json:"changed"`
	Datasets int    `json:"datasets"`
	Rows     int    `json:"rows"`
	Files    int    `json:"files"`
	Reused   int    `json:"reused"`
	Bad      int    `json:"bad"`
	BadKey   string `json:"bad_key"`

	Failed    int    `json:"failed,omitempty"` // sources that could not be had, or not wholly
	FailedKey string `json:"failed_key,omitempty"`
}

// ImportCommit switches the corpus to what the batches made.
func (a *Ingest) ImportCommit(ctx context.Context, in ImportCommitInput) (ImportCommitResult, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.commit(work, in)
	return out, translate(ctx, err)
}

func (a *Ingest) commit(ctx context.Context, in ImportCommitInput) (ImportCommitResult, error) {
	var converted []ingest.Converted
	for n := range in.Batches {
		body, _, err := a.Objects.Get(ctx, in.batchKey(n))
		if err != nil {
			return ImportCommitResult{}, fmt.Errorf("read batch %d: %w", n, err)
		}
		var batch []ingest.Converted
		if err := json.Unmarshal(body, &batch); err != nil {
			return ImportCommitResult{}, rebased.E(rebased.Invalid, "read batch %d: %w", n, err)
		}
		converted = append(converted, batch...)
	}
	var listed merged
	if in.RemotesKey != "" {
		if err := a.read(ctx, rebased.ImportKey(in.Corpus, in.Run, mergedName), &listed); err != nil {
			return ImportCommitResult{}, err
		}
	}
	out := ImportCommitResult{Bad: len(listed.Malformed)}
	told := slices.Concat(listed.Malformed, listed.Notes)
	for _, c := range converted {
		out.Files, out.Reused, out.Bad = out.Files+c.Files, out.Reused+c.Reused, out.Bad+c.Bad
		told = append(append(told, c.Malformed...), c.Notes...)
	}
	var bad bytes.Buffer
	for _, m := range told {
		if err := json.NewEncoder(&bad).Encode(m); err != nil {
			return out, fmt.Errorf("encode what could not be read: %w", err)
		}
	}
	if bad.Len() > 0 {
		out.BadKey = rebased.ImportKey(in.Corpus, in.Run, "malformed.jsonl")
		if _, err := a.Objects.Put(ctx, out.BadKey, bad.Bytes()); err != nil {
			return out, err
		}
	}
	converted, failures, err := a.Importer.Keep(ctx, in.spec(), converted, listed.Failures)
	if err != nil {
		return out, err
	}
	if err := a.tell(ctx, in.ImportRef, failures, &out); err != nil {
		return out, err
	}
	if len(converted) == 0 && len(failures) > 0 {
		return out, rebased.E(rebased.Invalid, "corpus %q: none of its sources could be had; the first reason: %s", in.Corpus, failures[0].Error)
	}
	corpus, changed, err := a.Importer.Commit(ctx, in.spec(), converted)
	if err != nil {
		return out, err
	}
	out.Revision, out.Changed = corpus.Revision, changed
	for _, c := range converted {
		if c.Dataset.Rows > 0 {
			out.Datasets++
			out.Rows += c.Dataset.Rows
		}
	}
	return out, nil
}
