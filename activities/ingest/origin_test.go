package ingest_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
)

// shelf is an origin in memory.
type shelf struct {
	files  []rebased.Source
	open   func(rebased.Source) (io.Reader, error)
	opened int
}

func (s *shelf) List(context.Context, string) (ingest.Listing, error) {
	return ingest.Listing{Sources: s.files}, nil
}

func (s *shelf) Open(_ context.Context, file rebased.Source) (io.ReadCloser, error) {
	s.opened++
	r, err := s.open(file)
	return io.NopCloser(r), err
}

// withShelf gives an importer that reads from it.
func withShelf(t testing.TB, s *shelf) *ingest.Importer {
	t.Helper()
	b := newBucket(t, ingest.DefaultLimits())
	b.Origins = map[string]ingest.Origin{"hf": s}
	return b.Importer
}

var remote = rebased.Source{Path: "a", Size: 5, Address: "hf://a", ETag: "1"}

func TestAFileIsFetchedOnce(t *testing.T) {
	s := &shelf{open: func(rebased.Source) (io.Reader, error) { return strings.NewReader("hello"), nil }}
	m := withShelf(t, s)
	for range 2 {
		got, err := m.Fetch(t.Context(), "p/", remote)
		if err != nil || got.SHA256 != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" || !strings.HasPrefix(got.Key, "p/") {
			t.Fatalf("%+v, %v", got, err)
		}
		if body, _, err := m.Objects.Get(t.Context(), got.Key); err != nil || string(body) != "hello" {
			t.Errorf("stored %q, %v", body, err)
		}
	}
	if s.opened != 1 {
		t.Errorf("read %d times", s.opened)
	}
}

func TestAFileThatIsNotTheListedOneIsNotStored(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"short":  strings.NewReader("hell"),
		"long":   strings.NewReader("hello!"),
		"breaks": io.MultiReader(strings.NewReader("he"), broken{}),
	} {
		m := withShelf(t, &shelf{open: func(rebased.Source) (io.Reader, error) { return body, nil }})
		got, err := m.Fetch(t.Context(), "p/", remote)
		var origin *ingest.OriginError
		if !errors.As(err, &origin) || rebased.KindOf(err) != rebased.Unavailable || got.Key != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for object := range m.Objects.List(t.Context(), "") {
			t.Errorf("%s: %s is stored", name, object.Key)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, rebased.E(rebased.Unavailable, "the way is cut")
}

func TestAFileOverTheLimitIsNotFetched(t *testing.T) {
	s := &shelf{}
	big := remote
	big.Size = ingest.DefaultLimits().SourceBytes + 1
	if got, err := withShelf(t, s).Fetch(t.Context(), "p/", big); err != nil || got != big || s.opened != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNamesOfAnOriginAreChecked(t *testing.T) {
	long := remote
	long.DatasetID = rebased.DatasetID{Name: "a", Config: strings.Repeat("c", 300), Split: "train"}
	good := remote
	good.DatasetID = rebased.DatasetID{Name: "a", Config: "c", Split: "train"}
	found, err := withShelf(t, &shelf{files: []rebased.Source{long, good}}).List(t.Context(), "hf://a")
	if err != nil || len(found.Sources) != 1 || len(found.Skipped) != 1 || found.Sources[0].Origin != "hf://a" {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := withShelf(t, &shelf{}).List(t.Context(), "ftp://a"); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("an unknown scheme: %v", err)
	}
}

// sink takes objects of any size and keeps none.
type sink struct{ *mem.Objects }

func (sink) CreateIfAbsent(_ context.Context, _ string, write func(io.Writer) error) error {
	return write(io.Discard)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestFetchTakesNoMemoryForLargeFiles(t *testing.T) {
	m := withShelf(t, &shelf{open: func(f rebased.Source) (io.Reader, error) { return io.LimitReader(zeros{}, f.Size), nil }})
	m.Objects = sink{mem.NewObjects()}
	large := remote
	large.Size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := m.Fetch(t.Context(), "p/", large); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<20 {
		t.Errorf("%d bytes were allocated for a file of %d", taken, large.Size)
	}
}
