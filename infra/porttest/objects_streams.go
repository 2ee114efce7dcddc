package porttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/rebased/rebased"
)

// large is the size of an object that no adapter holds in one piece.
const large = 20 << 20

// pattern gives bytes that show any piece that is missing, doubled or in another place.
func pattern(size int) []byte {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i ^ i>>8 ^ i>>16 ^ i>>20)
	}
	return body
}

// writing writes a body in steps of an odd length.
func writing(body []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 123_457)
			if _, err := w.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
}

func openReadsWhatPutStored(t *testing.T, o rebased.Objects) {
	for key, size := range map[string]int{"empty": 0, "small": 3, "piece": 8 << 20, "more": 8<<20 + 1, "large": large} {
		body := pattern(size)
		if _, err := o.Put(t.Context(), key, body); err != nil {
			t.Fatal(err)
		}
		wantStream(t, o, key, body)
	}
}

func openOfAnAbsentKeyIsNotFound(t *testing.T, o rebased.Objects) {
	_, err := o.Open(t.Context(), "nothing/here")
	wantKind(t, err, rebased.NotFound)
}

func openNeverMixesTwoObjects(t *testing.T, o rebased.Objects) {
	body := pattern(large)
	if _, err := o.Put(t.Context(), "k", body); err != nil {
		t.Fatal(err)
	}
	r, err := o.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := o.Put(t.Context(), "k", pattern(large)[1:]); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, body) {
		t.Fatalf("read %d bytes that are neither object", len(got))
	}
	if err != nil {
		wantKind(t, err, rebased.Conflict)
	}
}

func createIfAbsentStoresWhatIsWritten(t *testing.T, o rebased.Objects) {
	for key, size := range map[string]int{"a/empty": 0, "a/small": 3, "a/piece": 8 << 20, "a/pieces": 16 << 20, "a/large": large} {
		body := pattern(size)
		if err := o.CreateIfAbsent(t.Context(), key, writing(body)); err != nil {
			t.Fatalf("create %s: %v", key, err)
		}
		got, _, err := o.Get(t.Context(), key)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("get %s: %d bytes, %v; want the %d that were written", key, len(got), err, size)
		}
		wantStream(t, o, key, body)
	}
	wantKeys(t, o, "", "a/empty", "a/large", "a/piece", "a/pieces", "a/small")
}

func createIfAbsentWritesOnce(t *testing.T, o rebased.Objects) {
	mustPut(t, o, "k", "one")
	for _, size := range []int{0, 3, large} {
		wantKind(t, o.CreateIfAbsent(t.Context(), "k", writing(pattern(size))), rebased.Conflict)
		wantBody(t, o, "k", "one")
	}
}

// createIfAbsentHasOneWinner lets writers of small and of large objects finish at once.
func createIfAbsentHasOneWinner(t *testing.T, o rebased.Objects) {
	const writers = 4
	ready, results := make(chan struct{}, writers), make(chan int, writers)
	start := make(chan struct{})
	for n := range writers {
		body := pattern([]int{9 << 20, 1 << 10}[n%2] + n)
		go func() {
			err := o.CreateIfAbsent(t.Context(), "k", func(w io.Writer) error {
				err := writing(body)(w)
				ready <- struct{}{}
				<-start
				return err
			})
			if err != nil {
				if rebased.KindOf(err) != rebased.Conflict {
					t.Errorf("writer %d: %v; want Conflict", n, err)
				}
				results <- -1
				return
			}
			results <- len(body)
		}()
	}
	for range writers {
		<-ready
	}
	close(start)
	won, size := 0, 0
	for range writers {
		if n := <-results; n >= 0 {
			won, size = won+1, n
		}
	}
	if won != 1 {
		t.Fatalf("%d of %d writers won, want 1", won, writers)
	}
	wantStream(t, o, "k", pattern(size))
}

func createIfAbsentShowsNothingBeforeAllIsWritten(t *testing.T, o rebased.Objects) {
	body := pattern(large)
	err := o.CreateIfAbsent(t.Context(), "k", func(w io.Writer) error {
		if err := writing(body)(w); err != nil {
			return err
		}
		_, _, err := o.Get(t.Context(), "k")
		wantKind(t, err, rebased.NotFound)
		wantKeys(t, o, "")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, o, "", "k")
}

func createIfAbsentLeavesNothingWhenWriteFails(t *testing.T, o rebased.Objects) {
	broken := errors.New("no more rows")
	for _, size := range []int{0, 3, large} {
		err := o.CreateIfAbsent(t.Context(), "k", func(w io.Writer) error { return errors.Join(writing(pattern(size))(w), broken) })
		if !errors.Is(err, broken) {
			t.Fatalf("%d bytes: got %v, want the error of write", size, err)
		}
		wantKeys(t, o, "")
	}
	if err := o.CreateIfAbsent(t.Context(), "k", writing([]byte("one"))); err != nil {
		t.Fatalf("the key is not free after a write that failed: %v", err)
	}
	wantBody(t, o, "k", "one")
}

func aCancelEndsAStream(t *testing.T, o rebased.Objects) {
	body := pattern(large)
	if _, err := o.Put(t.Context(), "k", body); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := o.Open(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = o.CreateIfAbsent(ctx, "l", func(w io.Writer) error {
		if err := writing(body[:9<<20])(w); err != nil {
			return err
		}
		cancel()
		return writing(body[9<<20:])(w)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("create: got %v, want context.Canceled", err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read: got %v, want context.Canceled", err)
	}
	wantKeys(t, o, "", "k")
}

func wantStream(t *testing.T, o rebased.Objects, key string, want []byte) {
	t.Helper()
	r, err := o.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %s: %d bytes, %v; want the %d that are there", key, len(got), err, len(want))
	}
}
