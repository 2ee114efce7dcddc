package activities

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/source"
)

// folder is an origin with some files.
type folder struct {
	listing ingest.Listing
	bodies  map[string]string // by address
}

func (f folder) List(context.Context, string) (ingest.Listing, error) { return f.listing, nil }

func (f folder) Open(_ context.Context, file rebased.Source) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(f.bodies[file.Address])), nil
}

// holding makes an origin of files by their addresses.
func holding(bodies map[string]string) *folder {
	f := &folder{bodies: bodies}
	for address, body := range bodies {
		f.listing.Sources = append(f.listing.Sources, rebased.Source{Path: address, Address: address, Size: int64(len(body)), ETag: "e"})
	}
	return f
}

func TestBenchmarksOfABucketAreBroughtInByTheirContent(t *testing.T) {
	const text = "one two three four five six seven\n"
	origin := holding(map[string]string{"s3://b/dev/a.txt": text})
	objects := mem.NewObjects()
	b := &Benchmarks{Objects: objects, Parquet: source.Parquet{}, Origins: map[string]ingest.Origin{"s3": origin}}
	pinned, err := b.pin(t.Context(), []string{"s3://b/dev"})
	if err != nil || len(pinned) != 1 {
		t.Fatal(pinned, err)
	}
	key, name, ok := rebased.ParseBenchmarkRef(pinned[0])
	body, _, err := objects.Get(t.Context(), key)
	if !ok || name != "s3://b/dev/a.txt" || string(body) != text || err != nil {
		t.Errorf("%s: %q, %v", pinned[0], body, err)
	}
	origin.bodies = nil // what is pinned needs no source
	set, err := b.open(t.Context(), rebased.Decontaminate{NGram: 5, Files: pinned})
	if err != nil {
		t.Fatal(err)
	}
	if leak, found := set.Find([]string{"two three four five six"}); !found || leak.File != name || leak.Line != 1 {
		t.Errorf("%+v, %v", leak, found)
	}
}

func TestWhatCouldHideALeakIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*folder)
		kind   rebased.Kind
		says   string
	}{
		"a file that is left out": {func(f *folder) {
			f.listing.Skipped = []ingest.Skipped{{Path: "b.bin", Why: "it cannot be read"}}
		}, rebased.Invalid, "s3://b/dev: b.bin: it cannot be read"},
		"other bytes":  {func(f *folder) { f.listing.Sources[0].SHA256 = "0" }, rebased.Unavailable, "its bytes are not those of the listing"},
		"fewer bytes":  {func(f *folder) { f.listing.Sources[0].Size++ }, rebased.Unavailable, "has 7 bytes, or more, where the listing says 8"},
		"too large":    {func(f *folder) { f.listing.Sources[0].Size = 1 << 40 }, rebased.Invalid, "name a config, a split or a file"},
		"no file":      {func(f *folder) { f.listing.Sources = nil }, rebased.Invalid, "has 0 files"},
		"nothing said": {func(f *folder) { f.bodies["s3://b/dev/a.txt"] = "a\nb\nc\nd" }, rebased.Invalid, "no file has text that could be found again"},
	} {
		origin := holding(map[string]string{"s3://b/dev/a.txt": "1 2 3 4"})
		c.change(origin)
		b := &Benchmarks{Objects: mem.NewObjects(), Parquet: source.Parquet{}, Origins: map[string]ingest.Origin{"s3": origin}}
		_, err := b.open(t.Context(), rebased.Decontaminate{NGram: 5, Files: []string{"s3://b/dev"}})
		if rebased.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
