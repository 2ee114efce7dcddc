package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const zstdWindow = 128 << 20 // the largest that its command line makes without being told to

// textFormat reads a format of lines, compressed or not.
type textFormat struct {
	ext  string
	read func(io.Reader, Limits) iter.Seq2[Record, error]
}

// textFormats are the formats that need no other package, by extension.
func textFormats() map[string]Format {
	formats := map[string]Format{}
	for _, ext := range Extensions() {
		switch {
		case strings.HasPrefix(ext, ".jsonl"):
			formats[ext] = textFormat{ext, readJSONL}
		case strings.HasPrefix(ext, ".csv"):
			formats[ext] = textFormat{ext, readCSV}
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
		plain, err := refuseUTF16(&sizeGuard{ctx: ctx, r: text, left: limits.Bytes})
		if err != nil {
			yield(Record{}, err)
			return
		}
		t.read(plain, limits)(yield)
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

// refuseUTF16 looks at the first bytes, for a message that says what to do where every line would be malformed.
func refuseUTF16(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, readBuffer)
	start, _ := buffered.Peek(2) // what ails a reader it says again at the next read
	if bytes.Equal(start, []byte{0xff, 0xfe}) || bytes.Equal(start, []byte{0xfe, 0xff}) {
		return nil, errors.New("is UTF-16: save it as UTF-8")
	}
	return buffered, nil
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
