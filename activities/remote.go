package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// How long an import waits for a source that does not answer, before it goes on without it: a step is tried so often, which the workflow's options
// spread over six minutes and what the source asks for; a source that asks for a longer wait at once is left for the next night.
const (
	sourceAttempts = 10
	longestAsked   = 15 * time.Minute
	fetchesAtOnce  = 4 // of one batch
)

// Remote is a source that workers read themselves: hf://…, s3://….
type Remote struct {
	Source string `json:"source"`
	// Error says why it is given up already: a line of a list that the command line could not read. It is reported with the others.
	Error string `json:"error,omitempty"`
}

// listed is what one remote source holds, or why that is not known.
type listed struct {
	ingest.Listing
	Failure *ingest.Failure `json:"failure,omitempty"`
}

// merged is what all remote sources left to tell.
type merged struct {
	Failures  []ingest.Failure    `json:"failures"`
	Malformed []rebased.Malformed `json:"malformed"`
	Notes     []rebased.Malformed `json:"notes"`
}

const mergedName = "merged.json"

func (r ImportRef) listKey(n int) string {
	return rebased.ImportKey(r.Corpus, r.Run, fmt.Sprintf("list-%05d.json", n))
}

// ImportListInput names one remote source.
type ImportListInput struct {
	ImportRef
	N int `json:"n"`
}

// ImportListResult counts what it holds.
type ImportListResult struct {
	Files int `json:"files"`
}

// ImportList finds the files of one remote source, without reading them. A source that cannot be had is no error: it is told with the result.
func (a *Ingest) ImportList(ctx context.Context, in ImportListInput) (ImportListResult, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.list(work, in)
	return out, translate(ctx, err)
}

func (a *Ingest) list(ctx context.Context, in ImportListInput) (ImportListResult, error) {
	var remotes []Remote
	if err := a.read(ctx, in.RemotesKey, &remotes); err != nil {
		return ImportListResult{}, err
	}
	if in.N >= len(remotes) {
		return ImportListResult{}, rebased.E(rebased.Invalid, "source %d of %d: start the import again", in.N, len(remotes))
	}
	remote := remotes[in.N]
	var out listed
	if remote.Error != "" {
		out.Failure = &ingest.Failure{Source: remote.Source, Error: remote.Error}
	} else {
		found, err := a.Importer.List(ctx, remote.Source)
		switch {
		case ctx.Err() != nil:
			return ImportListResult{}, context.Cause(ctx)
		case err != nil && mayPass(ctx, err):
			return ImportListResult{}, err
		case err != nil:
			out.Failure = &ingest.Failure{Source: remote.Source, Error: err.Error()}
		}
		out.Listing = found
	}
	return ImportListResult{Files: len(out.Sources)}, a.write(ctx, in.listKey(in.N), out)
}

// mayPass says whether a source is asked again.
func mayPass(ctx context.Context, err error) bool {
	kind := rebased.KindOf(err)
	return (kind == rebased.Throttled || kind == rebased.Unavailable) && rebased.RetryAfterOf(err) <= longestAsked &&
		activity.GetInfo(ctx).Attempt < sourceAttempts
}

// ImportMergeResult says how the work of all sources is cut.
type ImportMergeResult struct {
	SourcesKey string         `json:"sources_key"`
	Batches    []ingest.Batch `json:"batches"`
	Files      int            `json:"files"`
}

// ImportMerge puts the files of all sources together, uploaded and remote ones.
func (a *Ingest) ImportMerge(ctx context.Context, in ImportRef) (ImportMergeResult, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.merge(work, in)
	return out, translate(ctx, err)
}

func (a *Ingest) merge(ctx context.Context, in ImportRef) (ImportMergeResult, error) {
	sources := []rebased.Source{}
	if in.SourcesKey != "" {
		var err error
		if sources, err = ingest.ReadSources(ctx, a.Objects, in.SourcesKey); err != nil {
			return ImportMergeResult{}, err
		}
	}
	var all merged
	for n := range in.Remotes {
		var one listed
		if err := a.read(ctx, in.listKey(n), &one); err != nil {
			return ImportMergeResult{}, err
		}
		if one.Failure != nil {
			all.Failures = append(all.Failures, *one.Failure)
			continue
		}
		sources = append(sources, one.Sources...)
		all.Malformed = append(all.Malformed, one.Malformed...)
		for _, s := range one.Skipped {
			all.Notes = append(all.Notes, rebased.Malformed{Path: s.Path, Error: s.Why})
		}
	}
	if err := a.write(ctx, rebased.ImportKey(in.Corpus, in.Run, mergedName), all); err != nil {
		return ImportMergeResult{}, err
	}
	out := ImportMergeResult{
		SourcesKey: rebased.ImportKey(in.Corpus, in.Run, "sources.json"), Batches: ingest.Batches(ingest.Splits(sources)), Files: len(sources),
	}
	return out, a.write(ctx, out.SourcesKey, sources)
}

// fetch brings the files of the splits that have changed into the bucket and sets where they are. It gives why a split cannot be had, by its number;
// an error means that the step is tried again, with what was fetched in place.
func (a *Ingest) fetch(ctx context.Context, in ImportBatchInput, run *ingest.Run, splits [][]rebased.Source) (map[int]error, error) {
	prefix := ingest.FetchedPrefix(in.Corpus, in.Run)
	failed := map[int]error{}
	var passing error
	var mu sync.Mutex
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(fetchesAtOnce)
	for i, split := range splits {
		if !slices.ContainsFunc(split, func(s rebased.Source) bool { return s.Address != "" }) || run.Unchanged(split) {
			continue
		}
		for j := range split {
			group.Go(func() error {
				file, err := a.Importer.Fetch(work, prefix, split[j])
				var origin *ingest.OriginError
				if err != nil && !errors.As(err, &origin) {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				switch split[j] = file; {
				case err != nil && mayPass(ctx, err):
					passing = err
				case err != nil:
					failed[i] = err
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return failed, passing
}

// tell stores which sources failed.
func (a *Ingest) tell(ctx context.Context, in ImportRef, failures []ingest.Failure, out *ImportCommitResult) error {
	if len(failures) == 0 {
		return nil
	}
	sources := map[string]bool{}
	for _, f := range failures {
		sources[f.Source] = true
	}
	out.Failed, out.FailedKey = len(sources), rebased.ImportKey(in.Corpus, in.Run, "failed.json")
	return a.write(ctx, out.FailedKey, failures)
}

// ImportSweepInput says what may go.
type ImportSweepInput struct {
	ImportRef
	GraceSeconds int64 `json:"grace_seconds,omitempty"` // 0 = ingest.DefaultGrace; less = none
}

// ImportSweepResult counts what went.
type ImportSweepResult struct {
	ingest.Swept
}

// ImportSweep removes what no revision of the corpus needs any more.
func (a *Ingest) ImportSweep(ctx context.Context, in ImportSweepInput) (ImportSweepResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	grace := ingest.DefaultGrace
	if in.GraceSeconds != 0 {
		grace = time.Duration(max(in.GraceSeconds, 0)) * time.Second
	}
	out, err := a.Importer.Sweep(work, in.Corpus, in.Run, grace, time.Now(), progress)
	return ImportSweepResult{out}, translate(ctx, err)
}

// read decodes a JSON object of the bucket.
func (a *Ingest) read(ctx context.Context, key string, value any) error {
	body, _, err := a.Objects.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read what the import has stored: %w", err)
	}
	if err := json.Unmarshal(body, value); err != nil {
		return rebased.E(rebased.Invalid, "read %s: %w", key, err)
	}
	return nil
}

func (a *Ingest) write(ctx context.Context, key string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = a.Objects.Put(ctx, key, body)
	return err
}
