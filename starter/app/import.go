package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// defaultRowsPerConfig is how many rows of one config an import takes when nobody says.
const defaultRowsPerConfig = 1000

// shownBad is how many malformed lines are told one by one.
const shownBad = 20

func (a *app) corpusImportCommand() *cobra.Command {
	var rows int
	var documents string
	cmd := &cobra.Command{
		Use:   "import NAME SOURCE...",
		Short: "Read datasets into a corpus",
		Long: `Read datasets into a corpus, in place of what it held. A source is a folder with <dataset>/<config>.<ext> files ("--" in a folder's
name is read as "/") and perhaps a datasets.jsonl of descriptions, or one file: .parquet .jsonl .csv .tsv .txt .md .html, all but the first also
.gz or .zst. A folder of documents (.txt .md .html) becomes one dataset, a row a passage; so does a column of documents (--documents).
A malformed line or file is reported, counted and left out. Ctrl-C leaves the import running; the same command finds it again.`,
		Args: arguments(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rows < 0 {
				return misuse(cmd, fmt.Errorf("--max-rows-per-config must be 0 (all rows) or more, got %d", rows))
			}
			return a.importCorpus(cmd.Context(), args[0], args[1:], rows, documents)
		},
	}
	cmd.Flags().IntVar(&rows, "max-rows-per-config", defaultRowsPerConfig, "take an even stride of at most so many rows of each config; 0 takes all")
	cmd.Flags().StringVar(&documents, "documents", "", "a column of documents, by its dotted name: each is split into passages, a row each with title and text")
	return cmd
}

func (a *app) importCorpus(ctx context.Context, name string, paths []string, rows int, documents string) error {
	if !rebased.ValidCorpusName(name) {
		return rebased.E(rebased.Invalid, "corpus %q: the name must be 1 to 63 of a-z, 0-9, '.', '_' and -, starting with a letter or digit", name)
	}
	folders, err := a.discover(paths)
	if err != nil {
		return err
	}
	bucket, err := a.bucket(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.connectToWorker(ctx)
	if err != nil {
		return err
	}
	defer temporal.Close()
	key, err := a.upload(ctx, bucket, folders)
	if err != nil {
		return err
	}
	id := workflows.ImportID(name)
	err = temporal.StartImport(ctx, workflows.ImportInput{Corpus: name, SourcesKey: key, MaxRowsPerConfig: rows, Documents: documents})
	if err := a.attach(id, err); err != nil {
		return err
	}
	result, err := followCorpus[workflows.ImportResult](ctx, a, temporal, id, "files")
	if err != nil {
		return err
	}
	a.reportBad(ctx, bucket, result)
	return a.console.Result(result, func(w io.Writer) {
		fmt.Fprintf(w, "imported %s, revision %s: %s rows of %s splits from %s files (%s unchanged), %s malformed\n", result.Corpus, result.Revision,
			console.Thousands(result.Rows), console.Thousands(result.Datasets), console.Thousands(result.Files), console.Thousands(result.Reused),
			console.Thousands(result.Bad))
	})
}

// discover finds the files of all sources and tells what is not imported.
func (a *app) discover(paths []string) ([]ingest.Folder, error) {
	var folders []ingest.Folder
	for _, path := range paths {
		if scheme, _, ok := strings.Cut(path, "://"); ok {
			return nil, rebased.E(rebased.Invalid, "import %s: %s:// sources are not available in this version: give a folder or a file", path, scheme)
		}
		folder, err := ingest.Discover(path)
		if err != nil {
			return nil, err
		}
		for i, m := range folder.Malformed {
			if i == shownBad {
				a.console.Notef("%s: %s more lines are malformed", path, console.Thousands(len(folder.Malformed)-i))
				break
			}
			a.console.Notef("%s:%d: %s", m.Path, m.Line, m.Error)
		}
		for i, s := range folder.Skipped {
			if i == shownBad {
				a.console.Notef("%s: %s more files are skipped", path, console.Thousands(len(folder.Skipped)-i))
				break
			}
			a.console.Notef("skipped %s: %s", s.Path, s.Why)
		}
		folders = append(folders, folder)
	}
	return folders, nil
}

// upload copies the files into the bucket, those that are there already left out, and gives the key of their list.
func (a *app) upload(ctx context.Context, bucket store, folders []ingest.Folder) (key string, err error) {
	total, before := 0, 0
	for _, folder := range folders {
		total += len(folder.Sources)
	}
	progress := a.console.Progress()
	defer progress.Close()
	var all []rebased.Source
	for _, folder := range folders {
		uploaded, err := ingest.Upload(ctx, bucket, folder, ingest.DefaultLimits(), func(done int) {
			progress.Show(console.Step{Phase: "upload", Done: before + done, Total: total, Unit: "files"})
		})
		if err != nil {
			return "", err
		}
		all = append(all, uploaded...)
		before += len(uploaded)
	}
	return ingest.WriteSources(ctx, bucket, all)
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
	if result.Bad == 0 {
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
