package parquet

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/parquet/file"

	"github.com/rebased/rebased"
)

// A row group ends with the row that reaches one of these. A reader holds one at a time.
const (
	groupRows  = 64 << 10
	groupBytes = 64 << 20 // of text
)

// Encode makes the bytes of a Parquet file. A text that is not UTF-8 is Invalid, as Parquet strings and their readers refuse it.
func Encode[T any](s *Schema[T], rows []T) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(s.textBytes(rows) / 2) // about what becomes of them
	err := EncodeTo(&out, s, func(yield func([]T, error) bool) { yield(rows, nil) })
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// EncodeTo writes a Parquet file as its rows come. No row group reaches over two parts; a file of one part has the bytes that Encode makes. Which of
// the columns that not every file has it gets, the first part says. After an error what was written is no file.
func EncodeTo[T any](w io.Writer, s *Schema[T], parts iter.Seq2[[]T, error]) (err error) {
	to := &sink{w: w}
	defer func() {
		r := recover() // the vendor's writer panics where it has no error to return
		switch {
		case to.err != nil:
			err = fmt.Errorf("write Parquet: %w", to.err)
		case r != nil:
			err = rebased.E(rebased.Invalid, "encode Parquet: %v", r)
		}
	}()
	var out *file.Writer
	all := s
	begin := func(first []T) {
		s = all.of(first)
		out = file.NewParquetWriter(to, s.root(), file.WithWriterProps(s.settings()))
	}
	for rows, err := range parts {
		if err != nil {
			return err
		}
		if out == nil {
			begin(rows)
		} else if name, ok := s.lacks(all.of(rows)); ok {
			return rebased.E(rebased.Invalid, "encode Parquet: rows have a column %s that those before them do not have", name)
		}
		if err := s.writePart(out, rows); err != nil {
			return err
		}
	}
	if out == nil {
		begin(nil)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("encode Parquet: %w", err)
	}
	return nil
}

// sink keeps the error of a write, and is closed by its owner: the vendor's writer would close what can be closed.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

func (s *Schema[T]) writePart(w *file.Writer, rows []T) error {
	for first := 0; first < len(rows); {
		n, err := s.group(rows, first)
		if err != nil {
			return err
		}
		if err := s.writeGroup(w.AppendRowGroup(), rows[first:first+n]); err != nil {
			return fmt.Errorf("encode Parquet: %w", err)
		}
		first += n
	}
	return nil
}

func (s *Schema[T]) textBytes(rows []T) (size int) {
	count := func(text string) { size += len(text) }
	for _, l := range s.leaves() {
		if l.see == nil || l.repeat {
			continue
		}
		for i := range rows {
			l.see(&rows[i], count)
		}
	}
	return size
}

// group says how many rows from the first on make the next row group, and checks their texts.
func (s *Schema[T]) group(rows []T, first int) (n int, err error) {
	leaves := s.leaves()
	size, valid := 0, true
	see := func(text string) {
		size += len(text)
		valid = valid && utf8.ValidString(text)
	}
	for n = 0; first+n < len(rows) && n < groupRows && size < groupBytes; n++ {
		for _, l := range leaves {
			if l.see == nil {
				continue
			}
			if l.see(&rows[first+n], see); !valid {
				return 0, rebased.E(rebased.Invalid, "encode Parquet: row %d has a text in %s that is not UTF-8", first+n, l.path)
			}
		}
	}
	return n, nil
}

func (s *Schema[T]) writeGroup(w file.SerialRowGroupWriter, rows []T) error {
	for _, l := range s.leaves() {
		chunk, err := w.NextColumn()
		if err != nil {
			return err
		}
		done := false
		if l.repeat && l.see != nil {
			done, err = writeRecurring(l, chunk, rows)
		}
		if !done && err == nil {
			err = l.write(chunk, rows)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", l.path, err)
		}
		if err := chunk.Close(); err != nil {
			return fmt.Errorf("column %s: %w", l.path, err)
		}
	}
	return w.Close()
}
