package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// defaultRowsPerConfig is how many rows of one config an import takes when nobody says.
const defaultRowsPerConfig = 1000

// shownBad is how many malformed lines are told one by one.
const shownBad = 20

func (a *app) corpusImportCommand() *cobra.Command {
	var in importing
	cmd := &cobra.Command{
		Use:   "import NAME SOURCE... [--list FILE]",
		Short: "Read datasets into a corpus",
		Long: `Read datasets into a corpus, in place of what it held. A source is
  a folder           with <dataset>/<config>.<ext> files ("--" in a folder's name is read as "/") and perhaps a datasets.jsonl of descriptions
                     a folder of documents (.txt .md .html) is one dataset, a row a passage; so is a column of documents (--documents)
  a file             .parquet .jsonl .csv .tsv .txt .md .html, all but the first also .gz or .zst
  s3://bucket/prefix laid out as a folder, or one object; workers read it with their AWS credentials
  hf://owner/dataset[/config[/split]][@revision]
                     of the Hugging Face Hub; workers read it, with HF_ENDPOINT and HF_TOKEN of theirs
and a list is a file of sources, one a line, # for comments, paths from the list's own folder.
Sources of lists, s3:// and hf:// are read side by side. One that fails is reported, what the corpus had of it stays, the others go on, and the
exit status is 1. What has not changed since the last import, by revision or ETag, is not fetched again.
A malformed line or file is reported, counted and left out. Ctrl-C leaves the import running; the same command finds it again.`,
		Args: arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case in.rows < 0:
				return misuse(cmd, fmt.Errorf("--max-rows-per-config must be 0 (all rows) or more, got %d", in.rows))
			case in.grace < 0:
				return misuse(cmd, fmt.Errorf("--keep-removed must be 0s or more, got %v", in.grace))
			case len(args) == 1 && len(in.lists) == 0:
				return misuse(cmd, errors.New("no SOURCE is given, and no --list"))
			}
			in.name, in.sources = args[0], args[1:]
			return a.importCorpus(cmd.Context(), in)
		},
	}
	cmd.Flags().IntVar(&in.rows, "max-rows-per-config", defaultRowsPerConfig, "take an even stride of at most so many rows of each config; 0 takes all")
	cmd.Flags().StringArrayVar(&in.lists, "list", nil, "a `FILE` of sources, one a line")
	cmd.Flags().DurationVar(&in.grace, "keep-removed", ingest.DefaultGrace, "how long removed rows stay in the bucket, for builds that began before")
	cmd.Flags().StringVar(&in.documents, "documents", "", "a column of documents, by its dotted name: each is split into passages, a row each with title and text")
	return cmd
}

// importing is what an import is told.
type importing struct {
	name      string
	sources   []string
	lists     []string // files
	rows      int
	documents string // column
	grace     time.Duration
}

func (a *app) importCorpus(ctx context.Context, in importing) error {
	if !rebased.ValidCorpusName(in.name) {
		return rebased.E(rebased.Invalid, "corpus %q: the name must be 1 to 63 of a-z, 0-9, '.', '_' and -, starting with a letter or digit", in.name)
	}
	found, err := a.gather(in)
	if err != nil {
		return err
	}
	bucket, temporal, err := a.reach(ctx, a.connectToWorker)
	if err != nil {
		return err
	}
	defer temporal.Close()
	start, err := a.upload(ctx, bucket, found)
	if err != nil {
		return err
	}
	start.Corpus, start.MaxRowsPerConfig, start.Documents, start.GraceSeconds = in.name, in.rows, in.documents, -1
	if in.grace >= time.Second {
		start.GraceSeconds = int64(in.grace / time.Second)
	}
	id := workflows.ImportID(in.name)
	if err := a.attach(id, temporal.StartImport(ctx, start)); err != nil {
		return err
	}
	result, err := followCorpus[workflows.ImportResult](ctx, a, temporal, id, "files")
	if err != nil {
		return err
	}
	return a.showImport(ctx, bucket, result)
}

// showImport tells what an import did. One that could not have every source has failed.
func (a *app) showImport(ctx context.Context, bucket store, result workflows.ImportResult) error {
	a.reportBad(ctx, bucket, result)
	failures, err := a.reportFailures(ctx, bucket, result)
	if err != nil {
		return err
	}
	if result.SweepError != "" {
		a.console.Notef("rows that are needed no more are still in the bucket: %s", result.SweepError)
	}
	shown := struct {
		workflows.ImportResult
		Failures []ingest.Failure `json:"failures"`
	}{result, failures}
	err = a.console.Result(shown, func(w io.Writer) {
		fmt.Fprintf(w, "imported %s, revision %s: %s rows of %s splits from %s files (%s unchanged), %s malformed\n", result.Corpus, result.Revision,
			console.Thousands(result.Rows), console.Thousands(result.Datasets), console.Thousands(result.Files), console.Thousands(result.Reused),
			console.Thousands(result.Bad))
		if result.Failed > 0 {
			fmt.Fprintf(w, "%s sources failed\n", console.Thousands(result.Failed))
		}
	})
	if err == nil && result.Failed > 0 {
		return &ended{exitFailed}
	}
	return err
}

// reportFailures tells which sources failed, and what became of what the corpus had of them.
func (a *app) reportFailures(ctx context.Context, bucket store, result workflows.ImportResult) ([]ingest.Failure, error) {
	failures := []ingest.Failure{}
	if result.Failed == 0 {
		return failures, nil
	}
	body, _, err := bucket.Get(ctx, result.FailedKey)
	if err != nil {
		return nil, failed{fmt.Errorf("read which sources failed: %w", err)}
	}
	if err := json.Unmarshal(body, &failures); err != nil {
		return nil, failed{fmt.Errorf("%s is damaged: %w", result.FailedKey, err)}
	}
	for _, f := range failures {
		said := f.Error
		if !strings.HasPrefix(said, f.Source) {
			said = f.Source + ": " + said
		}
		if f.Kept > 0 {
			said += fmt.Sprintf("; the %s splits of it that the corpus had stay", console.Thousands(f.Kept))
		}
		a.console.Notef("failed %s", said)
	}
	return failures, nil
}

// upload copies the files into the bucket, those that are there already left out, and stores what the workflow reads.
func (a *app) upload(ctx context.Context, bucket store, found gathered) (start workflows.ImportInput, err error) {
	total, before := 0, 0
	for _, folder := range found.folders {
		total += len(folder.Sources)
	}
	progress := a.console.Progress()
	defer progress.Close()
	var all []rebased.Source
	for i, folder := range found.folders {
		uploaded, err := ingest.Upload(ctx, bucket, folder, ingest.DefaultLimits(), func(done int) {
			progress.Show(console.Step{Phase: "upload", Done: before + done, Total: total, Unit: "files"})
		})
		switch {
		case err == nil:
			all = append(all, uploaded...)
		case found.listed[i] != "" && rebased.KindOf(err) == rebased.Invalid:
			found.remotes = append(found.remotes, activities.Remote{Source: found.listed[i], Error: err.Error()})
		default:
			return start, err
		}
		before += len(folder.Sources)
	}
	if len(found.remotes) > 0 {
		body, err := json.Marshal(found.remotes)
		if err != nil {
			return start, fmt.Errorf("encode the list of sources: %w", err)
		}
		start.Remotes, start.RemotesKey = len(found.remotes), rebased.UploadKey(fmt.Sprintf("%x", sha256.Sum256(body)))
		if _, err := bucket.Put(ctx, start.RemotesKey, body); err != nil {
			return start, err
		}
	}
	if len(all) > 0 || len(found.remotes) == 0 {
		start.SourcesKey, err = ingest.WriteSources(ctx, bucket, all)
	}
	return start, err
}

// attach lets a command follow what runs already in place of what it was about to start.
func (a *app) attach(id string, err error) error {
	if rebased.KindOf(err) != rebased.Conflict {
		return err
	}
	a.console.Notef("%s runs already: following that run; to have what you gave, run the command again when it has ended", id)
	return nil
}

// reportBad tells the malformed lines of an import, as far as a person wants to read them.
func (a *app) reportBad(ctx context.Context, bucket store, result workflows.ImportResult) {
	if result.BadKey == "" {
		return
	}
	body, _, err := bucket.Get(ctx, result.BadKey)
	if err != nil {
		a.console.Notef("%s malformed lines or files were left out, listed in %s", console.Thousands(result.Bad), bucket.URI(result.BadKey))
		return
	}
	lines := json.NewDecoder(bytes.NewReader(body))
	for range shownBad {
		var m rebased.Malformed
		if err := lines.Decode(&m); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			break
		}
		if m.Line == 0 {
			a.console.Notef("%s: %s", m.Path, m.Error)
		} else {
			a.console.Notef("%s:%d: %s", m.Path, m.Line, m.Error)
		}
	}
	if result.Bad > shownBad {
		a.console.Notef("… %s in all, listed in %s", console.Thousands(result.Bad), bucket.URI(result.BadKey))
	}
}
