package ingest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const zstdWindow = 128 << 20 // the largest that its command line makes without being told to

// textFormat reads a format of text, compressed or not: records, or one document.
type textFormat struct {
	ext      string
	records  func(r *bufio.Reader, isUTF8 func() bool, limits Limits) iter.Seq2[Record, error] // isUTF8: all that was read so far
	document func(*bufio.Reader, Limits, *passages) error
	title    string // of a document that has none of its own
}

// textFormats are the formats that need no other package, by extension.
func textFormats() map[string]Format {
	formats := map[string]Format{}
	for ext, format := range map[string]textFormat{
		".jsonl": {records: readJSONL}, ".csv": {records: readCSV}, ".tsv": {records: readTSV},
		".txt": {document: plainText}, ".md": {document: markdown}, ".html": {document: hypertext}, ".htm": {document: hypertext},
	} {
		for _, compression := range append([]string{""}, compressions...) {
			format.ext = ext + compression
			formats[format.ext] = format
		}
	}
	return formats
}

// Records implements Format.
func (t textFormat) Records(ctx context.Context, file *io.SectionReader, limits Limits) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			yield(Record{}, err)
			return
		}
		text, err := decompress(file, t.ext)
		if err != nil {
			yield(Record{}, err)
			return
		}
		defer text.Close()
		guarded := bufio.NewReaderSize(&sizeGuard{ctx: ctx, r: text, left: limits.Bytes}, readBuffer)
		if err := refuseWide(guarded); err != nil {
			yield(Record{}, err)
			return
		}
		watch := &encodingWatch{r: guarded, strict: t.document != nil}
		plain := bufio.NewReaderSize(watch, readBuffer)
		dropMark(plain)
		if t.document != nil {
			t.split(plain, limits, yield)
			return
		}
		for record, err := range t.records(plain, watch.isUTF8, limits) {
			if !yield(record, err) {
				return
			}
		}
		if watch.found != "" {
			yield(Record{Note: watch.found + ": what is not UTF-8 is left out"}, nil)
		}
	}
}

// split gives the passages of a document.
func (t textFormat) split(r *bufio.Reader, limits Limits, yield func(Record, error) bool) {
	p := newPassages(limits, t.title, yield)
	err := t.document(r, limits, p)
	if p.flush(); err != nil && !p.stopped {
		yield(Record{}, err)
	}
}

// decompress undoes the compression that an extension names.
func decompress(r io.Reader, ext string) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(ext, ".gz"):
		z, err := gzip.NewReader(r)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return z, err
	case strings.HasSuffix(ext, ".zst"):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// sizeGuard fails when more bytes come than allowed, or when the context ends.
type sizeGuard struct {
	ctx  context.Context //nolint:containedctx // lives as long as one pass over one file
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (g *sizeGuard) Read(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	if g.left <= 0 {
		if n, err := g.r.Read(p[:min(1, len(p))]); n == 0 {
			return 0, err
		}
		return 0, errors.New("decompresses to more bytes than allowed")
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.left)])
	g.left -= int64(n)
	return n, err
}
