package ingest

import (
	"context"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Converted is one dataset split in the bucket.
type Converted struct {
	Dataset rebased.Dataset `json:"dataset"` // Rows = 0 when nothing could be read: then it is not part of the corpus
	Parts   []rebased.Part  `json:"parts"`
	Files   int             `json:"files"`
	Reused  int             `json:"reused"` // files that had not changed and were not read
	Bad     int             `json:"bad"`    // lines and files that were left out
	// Malformed says which, up to Limits.Malformed.
	Malformed []rebased.Malformed `json:"malformed"`
	// Notes tell what was left out of rows that went in, for instance columns of images.
	Notes []rebased.Malformed `json:"notes"`

	Origin string `json:"origin,omitempty"` // the source that the user named, of the files
	// Failed says why the files could not be fetched; then the split is that of the revision before, if it was there.
	Failed string `json:"failed,omitempty"`
	// Change is what is new in a split that the revision before had; nil: not known.
	Change *rebased.SplitDifference `json:"change,omitempty"`
}

// Run converts the splits of one import, one after the other.
type Run struct {
	importer *Importer
	imp      Import
	before   previous
	copies   copies
}

// Unchanged says whether Convert would take over the split's parts without reading its files.
func (r *Run) Unchanged(split []rebased.Source) bool {
	_, ok := r.before.reuse(split)
	return ok
}

// Convert reads the files of one split (an element of Splits) and writes its rows as parts. What cannot be read is told in the result; an error
// means that bucket, disk or context failed. progress, which may be nil, is called every now and then with the number of records read so far. One
// reading does where all rows are taken; where there are more than the options take, a first one counts them and a second one takes them at the stride.
func (r *Run) Convert(ctx context.Context, split []rebased.Source, progress func(read int)) (out Converted, err error) {
	if out, ok := r.before.reuse(split); ok {
		return out, nil
	}
	c := conversion{
		Importer: r.importer, split: split, progress: progress, most: r.imp.Options.MaxRowsPerConfig, documents: r.imp.Options.Documents,
		out: Converted{Dataset: describe(split), Files: len(split), Origin: split[0].Origin},
	}
	defer c.near.close()
	writing, ctx := errgroup.WithContext(ctx)
	c.parts = newPartWriter(r.importer, r.imp.Corpus, c.out.Dataset.DatasetID, writing)
	if c.parts.change, err = r.follow(ctx, c.out.Dataset.DatasetID); err != nil {
		return Converted{}, err
	}
	err = c.run(ctx)
	parts, failed := c.parts.close()
	if failed != nil {
		return Converted{}, failed // which has ended the reading too
	}
	if err != nil {
		return Converted{}, err
	}
	c.out.Parts, c.out.Dataset.Rows = parts, c.parts.rows
	c.out.Change = c.parts.change.found(parts)
	if c.out.Bad > 0 {
		c.out.Dataset.ETag = "" // read again next time, so that the next import tells of them too
	}
	return c.out, nil
}

// conversion is the reading of one split.
type conversion struct {
	*Importer
	split    []rebased.Source
	progress func(int)
	most     int // rows that are taken; 0 = all
	read     int // records

	documents string // column of documents
	out       Converted

	parts    *partWriter
	counting bool // there are more rows than are taken: the first reading counts them only
	near     near // the file being read
}

// run reads the split and has its parts written.
func (c *conversion) run(ctx context.Context) error {
	good, err := c.survey(ctx)
	switch {
	case err != nil:
		return err
	case c.counting:
		return c.take(ctx, good, newStride(sum(good), c.most))
	}
	return c.parts.flush(ctx)
}

// survey reads everything once and gives the number of good rows at the start of each file. It takes them too, until there are more than wanted or
// than one part holds: then nothing has been written yet, and a second reading takes those at the stride.
func (c *conversion) survey(ctx context.Context) (good []int, err error) {
	total := 0
	for _, source := range c.split {
		n, before := 0, c.out.Bad
		records, err := c.records(ctx, source)
		if err != nil {
			return nil, err
		}
	reading:
		for record, err := range records {
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				c.bad(source, 0, breaksOff(err, n))
			case record.Note != "":
				c.out.Notes = append(c.out.Notes, rebased.Malformed{Path: source.Path, Error: record.Note})
			case record.why() != "":
				c.bad(source, record.Line, record.why())
			case total+n == c.Limits.Rows:
				c.bad(source, 0, fmt.Sprintf("goes on after %d rows, the most that one split may have", c.Limits.Rows))
				break reading
			default:
				n++
				if err := c.seen(ctx, record, total+n); err != nil {
					return nil, err
				}
			}
			c.tick()
		}
		if n == 0 && c.out.Bad == before {
			c.bad(source, 0, "holds no rows")
		}
		good, total = append(good, n), total+n
	}
	return good, nil
}

// seen takes a good row in the first reading, the n-th.
func (c *conversion) seen(ctx context.Context, record Record, n int) error {
	switch {
	case c.counting:
		return nil
	case c.most == 0:
		return c.parts.add(ctx, record.Cells.Cells())
	case n > c.most || c.parts.full():
		c.counting = true
		c.parts.restart()
		return nil
	}
	c.parts.hold(record.Cells.Cells())
	return nil
}

// take reads again, as far as the good rows go, and writes the rows that the stride takes.
func (c *conversion) take(ctx context.Context, good []int, stride *stride) error {
	for i, source := range c.split {
		if good[i] == 0 {
			continue
		}
		if err := c.takeFile(ctx, source, good[i], stride); err != nil {
			return err
		}
	}
	return c.parts.flush(ctx)
}

func (c *conversion) takeFile(ctx context.Context, source rebased.Source, good int, stride *stride) error {
	records, err := c.records(ctx, source)
	if err != nil {
		return err
	}
	for record, err := range records {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.tick(); err != nil || record.Note != "" || record.why() != "" {
			continue
		}
		if stride.next() {
			if err := c.parts.add(ctx, record.Cells.Cells()); err != nil {
				return err
			}
		}
		if good--; good == 0 {
			return nil
		}
	}
	return rebased.E(rebased.Unavailable, "read %s: its second reading ended early", source.Path)
}

// records opens a file. One that cannot be opened for what it is gives a sequence of one error.
func (c *conversion) records(ctx context.Context, source rebased.Source) (iter.Seq2[Record, error], error) {
	stem, ext, ok := cutExtension(source.Path)
	if !ok || source.Size > c.Limits.SourceBytes {
		return func(yield func(Record, error) bool) {
			yield(Record{}, fmt.Errorf("has %d bytes in a file that ends in %q: too large, or no format of ours", source.Size, ext))
		}, nil
	}
	file, err := c.near.fetch(ctx, c.Objects, source)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", source.Path, err)
	}
	format := c.formats[ext]
	if text, ok := format.(textFormat); ok {
		text.title = stem
		format = text
	}
	records := format.Records(ctx, file, c.Limits)
	if c.documents != "" && !isDocument(source.Path) {
		records = splitColumn(records, c.documents, c.Limits)
	}
	return records, nil
}

func (c *conversion) bad(source rebased.Source, line int, why string) {
	c.out.Bad++
	if len(c.out.Malformed) < c.Limits.Malformed {
		c.out.Malformed = append(c.out.Malformed, rebased.Malformed{Path: source.Path, Line: line, Error: why})
	}
}

const ticks = 1000 // records between two words of progress

func (c *conversion) tick() {
	if c.read++; c.progress != nil && c.read%ticks == 0 {
		c.progress(c.read)
	}
}

// why says what keeps a record out; "" for a good row.
func (r Record) why() string {
	if r.Bad == "" && r.Cells.Len() == 0 {
		return "holds no value"
	}
	return r.Bad
}

func breaksOff(err error, rows int) string {
	if rows == 0 {
		return err.Error()
	}
	return fmt.Sprintf("breaks off: %v; the %d rows before are kept", err, rows)
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}
