package ingest

import (
	"context"

	"github.com/rebased/rebased"
)

// Config names what an Importer works with. Every field but Origins is required.
type Config struct {
	Objects  rebased.Objects
	Rows     rebased.Table[rebased.Row]
	Datasets rebased.Table[rebased.Dataset]
	Parquet  Format // reads the sources that end in .parquet
	Limits   Limits
	// Origins read what workers fetch themselves, by scheme: "hf", "s3". None is required.
	Origins map[string]Origin
}

// Validate names the first field that is missing or out of bounds.
func (c Config) Validate() error {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Objects", c.Objects == nil},
		{"Rows", c.Rows == nil},
		{"Datasets", c.Datasets == nil},
		{"Parquet", c.Parquet == nil},
	} {
		if f.missing {
			return rebased.E(rebased.Invalid, "ingest: %s is required", f.name)
		}
	}
	return c.Limits.Validate()
}

// Importer turns uploaded files into a revision of a corpus: Base, then Start and Convert for each split, then Commit. Each step can run in a process
// of its own and be repeated: it writes the same bytes to the same keys.
type Importer struct {
	Config
	formats  map[string]Format // by extension
	fetching chan struct{}     // bounds the files on their way from origins, of which the bucket's adapter holds a piece each
}

const fetchesAtOnce = 8 // of one process

// New makes an Importer.
func New(cfg Config) (*Importer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	formats := textFormats()
	formats[".parquet"] = cfg.Parquet
	return &Importer{Config: cfg, formats: formats, fetching: make(chan struct{}, fetchesAtOnce)}, nil
}

// Base is the revision that an import starts from: the corpus's current one, "" when there is none.
func (m *Importer) Base(ctx context.Context, corpus string) (string, error) {
	current, err := rebased.ReadCorpus(ctx, m.Objects, corpus)
	if rebased.KindOf(err) == rebased.NotFound {
		return "", nil
	}
	return current.Revision, err
}

// Start makes ready for converting splits of an import, in any order.
func (m *Importer) Start(ctx context.Context, imp Import) (*Run, error) {
	if err := imp.Options.Validate(); err != nil {
		return nil, err
	}
	before, err := m.previous(ctx, imp)
	if err != nil {
		return nil, err
	}
	return &Run{importer: m, imp: imp, before: before}, nil
}
