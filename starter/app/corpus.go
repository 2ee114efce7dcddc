package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/starter/console"
)

// Words that several commands show.
const (
	corpusLabel = "corpus"
	rowsLabel   = "rows"
	rowsHeader  = "ROWS"
)

func (a *app) corpusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   corpusLabel,
		Short: "Import and look at corpora, the datasets that rows are taken from",
		RunE:  group,
	}
	cmd.AddCommand(a.corpusImportCommand(), a.corpusListCommand(), a.corpusShowCommand())
	return cmd
}

func (a *app) corpusListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the corpora of the bucket",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			corpora, err := listCorpora(cmd.Context(), bucket)
			if err != nil {
				return err
			}
			return console.List(a.console, corpora, "no corpus yet: rebased corpus import NAME FOLDER makes one",
				[]string{"CORPUS", "REVISION", "SPLITS", rowsHeader, "INDEXED"}, func(c corpusSummary) []string {
					return []string{c.Corpus, c.Revision, console.Thousands(c.Splits), console.Thousands(c.Rows), c.indexed()}
				})
		},
	}
}

func (a *app) corpusShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME [DATASET]",
		Short: "Show a corpus, or one dataset of it",
		Args:  arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			corpus, err := readCorpus(cmd.Context(), bucket, args[0])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return a.showDataset(cmd.Context(), bucket, corpus, args[1])
			}
			summary, err := summarise(cmd.Context(), bucket, corpus)
			if err != nil {
				return err
			}
			return a.showCorpus(summary, corpus)
		},
	}
}

// corpusSummary is a corpus as a list shows it.
type corpusSummary struct {
	Corpus   string          `json:"corpus"`
	Revision string          `json:"revision"`
	Splits   int             `json:"splits"` // of all configs of all datasets
	Rows     int             `json:"rows"`
	Options  []string        `json:"options"` // of the import
	Indexes  []rebased.Index `json:"indexes"`
}

// indexed says which encoders have indexed the current revision.
func (c corpusSummary) indexed() string {
	var names []string
	for _, x := range c.Indexes {
		switch {
		case x.Revision == c.Revision:
			names = append(names, x.Encoder)
		case x.Updating == c.Revision:
			names = append(names, x.Encoder+" (under way)")
		default:
			names = append(names, x.Encoder+" (out of date)")
		}
	}
	if len(names) == 0 {
		return "no"
	}
	return strings.Join(names, ", ")
}

// listCorpora finds every corpus by its manifest.
func listCorpora(ctx context.Context, bucket store) ([]corpusSummary, error) {
	var corpora []corpusSummary
	for object, err := range bucket.List(ctx, "corpora/") {
		if err != nil {
			return nil, fmt.Errorf("list the corpora: %w", err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(object.Key, "corpora/"), "/manifest.json")
		if object.Key != rebased.CorpusManifestKey(name) || !rebased.ValidCorpusName(name) {
			continue
		}
		corpus, err := readCorpus(ctx, bucket, name)
		if err != nil {
			return nil, err
		}
		summary, err := summarise(ctx, bucket, corpus)
		if err != nil {
			return nil, err
		}
		corpora = append(corpora, summary)
	}
	return corpora, nil
}

// readCorpus reads the current revision of a corpus; NotFound says how to make it.
func readCorpus(ctx context.Context, bucket store, name string) (corpus rebased.Corpus, err error) {
	if !rebased.ValidCorpusName(name) {
		return corpus, rebased.E(rebased.Invalid, "%q is no name of a corpus: use 1 to 63 of a-z, 0-9, '.', '_' and -, starting with a letter or digit", name)
	}
	key := rebased.CorpusManifestKey(name)
	body, _, err := bucket.Get(ctx, key)
	if rebased.KindOf(err) == rebased.NotFound {
		return corpus, rebased.E(rebased.NotFound, "no corpus %s in %s: import it with rebased corpus import %s FOLDER", name, bucket.URI(""), name)
	}
	if err != nil {
		return corpus, fmt.Errorf("read corpus %s: %w", name, err)
	}
	if err := json.Unmarshal(body, &corpus); err != nil {
		return corpus, rebased.E(rebased.Invalid, "%s is damaged (%w): import the corpus again", key, err)
	}
	return corpus, nil
}

func summarise(ctx context.Context, bucket store, corpus rebased.Corpus) (corpusSummary, error) {
	s := corpusSummary{Corpus: corpus.Name, Revision: corpus.Revision, Splits: corpus.Datasets.Rows, Options: corpus.Options, Indexes: []rebased.Index{}}
	for _, part := range corpus.Parts {
		s.Rows += part.Rows
	}
	prefix := strings.TrimSuffix(rebased.CorpusIndexKey(corpus.Name, "x"), "x.json")
	for object, err := range bucket.List(ctx, prefix) {
		if err != nil {
			return s, fmt.Errorf("list the indexes of %s: %w", corpus.Name, err)
		}
		if !rebased.IsCorpusIndexKey(corpus.Name, object.Key) {
			continue
		}
		body, _, err := bucket.Get(ctx, object.Key)
		if err != nil {
			return s, fmt.Errorf("read an index of %s: %w", corpus.Name, err)
		}
		var index rebased.Index
		if err := json.Unmarshal(body, &index); err != nil {
			return s, rebased.E(rebased.Invalid, "%s is damaged (%w): run rebased index %s", object.Key, err, corpus.Name)
		}
		s.Indexes = append(s.Indexes, index)
	}
	return s, nil
}

// splitRows is one split of a corpus and how many rows it has.
type splitRows struct {
	rebased.DatasetID
	Rows int `json:"rows"`
}

func (a *app) showCorpus(summary corpusSummary, corpus rebased.Corpus) error {
	shown := struct {
		corpusSummary
		Datasets []splitRows `json:"datasets"`
	}{summary, splitsOf(corpus)}
	return a.console.Result(shown, func(w io.Writer) {
		console.Table(w, nil, [][]string{
			{corpusLabel, summary.Corpus},
			{"revision", summary.Revision},
			{rowsLabel, fmt.Sprintf("%s in %s splits", console.Thousands(summary.Rows), console.Thousands(len(shown.Datasets)))},
			{"imported", strings.Join(summary.Options, ", ")},
			{"indexed", summary.indexed()},
		})
		fmt.Fprintln(w)
		rows := make([][]string, len(shown.Datasets))
		for i, d := range shown.Datasets {
			rows[i] = []string{d.Name, d.Config, d.Split, console.Thousands(d.Rows)}
		}
		console.Table(w, []string{"DATASET", "CONFIG", "SPLIT", rowsHeader}, rows)
	})
}

// splitsOf adds up the parts of each split, which stand together.
func splitsOf(corpus rebased.Corpus) []splitRows {
	splits := []splitRows{}
	for _, part := range corpus.Parts {
		if n := len(splits); n == 0 || splits[n-1].DatasetID != part.Dataset {
			splits = append(splits, splitRows{DatasetID: part.Dataset})
		}
		splits[len(splits)-1].Rows += part.Rows
	}
	return splits
}

func (a *app) showDataset(ctx context.Context, bucket store, corpus rebased.Corpus, name string) error {
	all, err := parquet.Datasets(bucket).Read(ctx, corpus.Datasets.Key)
	if err != nil {
		return fmt.Errorf("read the datasets of %s: %w", corpus.Name, err)
	}
	found := slices.DeleteFunc(all, func(d rebased.Dataset) bool { return d.Name != name })
	if len(found) == 0 {
		return rebased.E(rebased.NotFound, "corpus %s has no dataset %q: rebased corpus show %s lists them", corpus.Name, name, corpus.Name)
	}
	shown := struct {
		Dataset string            `json:"dataset"`
		Splits  []rebased.Dataset `json:"splits"`
	}{name, found}
	return a.console.Result(shown, func(w io.Writer) {
		for i, d := range found {
			if i > 0 {
				fmt.Fprintln(w)
			}
			console.Table(w, nil, [][]string{
				{"split", d.String()},
				{rowsLabel, console.Thousands(d.Rows)},
				{"license", orUnknown(d.License)},
				{"description", orUnknown(d.Description)},
				{"revision", d.Revision},
			})
		}
	})
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
