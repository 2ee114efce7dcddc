package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/ingest"
)

const (
	benchmarkBytes  = 128 << 20 // of text that the benchmarks of a task may have, and that is kept for tasks to come
	benchmarkSource = 512 << 20 // bytes of the files of one hf:// or s3:// source
	benchmarkFiles  = 1000      // of a task, those of its sources counted one by one
)

// Benchmarks reads the benchmarks of tasks. A set that was read stays in memory for the next step, and the next task, that names it: some six bytes
// for each byte of its text, so at most 0.8 GB for all that stay. It is safe for concurrent use.
type Benchmarks struct {
	Objects rebased.Objects
	Parquet ingest.Format
	Origins map[string]ingest.Origin // by scheme: who reads hf:// and s3://

	mu   sync.Mutex
	kept []*benchmarkSet // the one used last comes last
}

// benchmarkSet is read once, by the first who asks.
type benchmarkSet struct {
	key string
	mu  sync.Mutex
	set *decontaminate.Set // nil = not yet
}

// open gives the set of a task's benchmarks; nil when it names none. What cannot be read is an error, since it could hide a leak.
func (b *Benchmarks) open(ctx context.Context, d rebased.Decontaminate) (*decontaminate.Set, error) {
	if len(d.Files) == 0 {
		return nil, nil //nolint:nilnil // no benchmarks are no error
	}
	files, err := b.pin(ctx, d.Files)
	if err != nil {
		return nil, err
	}
	d.Files = files
	entry := b.entry(fmt.Sprint(d.NGram, "\n", strings.Join(d.Files, "\n")))
	entry.mu.Lock()
	defer entry.mu.Unlock()
	if entry.set == nil {
		set, err := b.read(ctx, d)
		if err != nil {
			return nil, err
		}
		b.keep(entry, set)
	}
	return entry.set, nil
}

// entry finds the set of a key, or makes room for it.
func (b *Benchmarks) entry(key string) *benchmarkSet {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.kept, func(s *benchmarkSet) bool { return s.key == key })
	if i < 0 {
		b.kept = append(b.kept, &benchmarkSet{key: key})
		return b.kept[len(b.kept)-1]
	}
	entry := b.kept[i]
	b.kept = append(slices.Delete(b.kept, i, i+1), entry)
	return entry
}

// keep holds a set that was read, and lets those go that were used longest ago where all together are too large.
func (b *Benchmarks) keep(entry *benchmarkSet, set *decontaminate.Set) {
	b.mu.Lock()
	defer b.mu.Unlock()
	entry.set = set
	size := 0
	for i, s := range slices.Backward(slices.Clone(b.kept)) {
		if s == entry {
			size += set.Bytes()
		} else if s.mu.TryLock() { // who is being read is no set yet
			if s.set != nil {
				size += s.set.Bytes()
			}
			gone := s.set == nil || size > benchmarkBytes
			s.mu.Unlock()
			if gone {
				b.kept = slices.Delete(b.kept, i, i+1)
			}
		}
	}
}

func (b *Benchmarks) read(ctx context.Context, d rebased.Decontaminate) (*decontaminate.Set, error) {
	set := decontaminate.New(d.NGram, benchmarkBytes)
	for _, ref := range d.Files {
		key, name, ok := rebased.ParseBenchmarkRef(ref)
		if !ok {
			return nil, rebased.E(rebased.Invalid, "decontaminate.files: %q was not uploaded: start the task with the command line, which uploads it", ref)
		}
		body, _, err := b.Objects.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read benchmark %s: %w", name, err)
		}
		if err := addBenchmark(ctx, set, name, body, b.Parquet); err != nil {
			return nil, err
		}
	}
	for _, f := range set.Files() {
		if f.Pieces > 0 {
			return set, nil
		}
	}
	return nil, rebased.E(rebased.Invalid, "decontaminate.files: no file has text that could be found again: name others")
}

func addBenchmark(ctx context.Context, set *decontaminate.Set, name string, body []byte, parquet ingest.Format) error {
	set.Begin(name)
	if strings.HasSuffix(name, ".txt") {
		line := 0
		for text := range bytes.Lines(body) {
			line++
			if err := set.Add(line, []string{string(text)}); err != nil {
				return err
			}
		}
	} else if err := addRecords(ctx, set, name, body, parquet); err != nil {
		return err
	}
	if files := set.Files(); files[len(files)-1].Pieces == 0 && !isRemote(name) {
		return rebased.E(rebased.Invalid, "decontaminate.files: %s has no text that could be found again, or none that an earlier file has not: remove it", name)
	}
	return nil
}

func addRecords(ctx context.Context, set *decontaminate.Set, name string, body []byte, parquet ingest.Format) error {
	records, err := ingest.ReadFile(ctx, name, body, parquet, ingest.DefaultLimits())
	if err != nil {
		return fmt.Errorf("decontaminate.files: %w", err)
	}
	for record, err := range records {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return rebased.E(rebased.Invalid, "decontaminate.files: %s: %w", name, err)
		case record.Bad != "":
			return rebased.E(rebased.Invalid, "decontaminate.files: %s:%d: %s", name, record.Line, record.Bad)
		case record.Cells == nil:
			continue // a note
		}
		var texts []string
		for _, cell := range record.Cells.Cells() {
			texts = append(texts, strings.Clone(cell.Text)) // which is good for this record only
		}
		if err := set.Add(record.Line, texts); err != nil {
			return err
		}
	}
	return nil
}

// isRemote tells the files that workers fetch themselves from those that were uploaded.
func isRemote(name string) bool { return ingest.Scheme(name) != "" }

// pin brings the files of hf:// and s3:// sources into the bucket and names all files by their content.
func (b *Benchmarks) pin(ctx context.Context, files []string) ([]string, error) {
	var pinned []string
	for _, file := range files {
		if _, _, uploaded := rebased.ParseBenchmarkRef(file); uploaded || !isRemote(file) {
			pinned = append(pinned, file)
			continue
		}
		refs, err := b.fetch(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("decontaminate.files: %s: %w", file, err)
		}
		pinned = append(pinned, refs...)
	}
	if len(pinned) > benchmarkFiles {
		return nil, rebased.E(rebased.Invalid, "decontaminate.files: the sources have %d files in all, at most %d are read: name a config or a split", len(pinned), benchmarkFiles)
	}
	return pinned, nil
}

// commit stands in an address of the hub: what a file is pinned by is its content, so that a commit that leaves it as it was changes nothing.
var commit = regexp.MustCompile(`^(hf://[^@]+)@[0-9a-f]{40}/`)

// fetch copies the files of a source into the bucket, each content once, and gives their references.
func (b *Benchmarks) fetch(ctx context.Context, source string) ([]string, error) {
	origin := b.Origins[ingest.Scheme(source)]
	if origin == nil {
		return nil, rebased.E(rebased.Invalid, "workers read hf:// and s3://: give one of these, or the path of a file")
	}
	found, err := origin.List(ctx, source)
	if err != nil {
		return nil, err
	}
	for _, s := range found.Skipped {
		return nil, rebased.E(rebased.Invalid, "%s: %s: what is not read could hide a leak, name the files to read", s.Path, s.Why)
	}
	size := int64(0)
	for _, file := range found.Sources {
		size += file.Size
	}
	if size > benchmarkSource || len(found.Sources) == 0 {
		return nil, rebased.E(rebased.Invalid, "has %d files of %d bytes, wanted are at least one and at most %d bytes: name a config, a split or a file", len(found.Sources), size, benchmarkSource)
	}
	refs := make([]string, len(found.Sources))
	for i, file := range found.Sources {
		body, err := readWhole(ctx, origin, file)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", file.Path, err)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		if file.SHA256 != "" && file.SHA256 != hash {
			return nil, rebased.E(rebased.Unavailable, "fetch %s: its bytes are not those of the listing", file.Path)
		}
		if err := rebased.PutUpload(ctx, b.Objects, rebased.UploadKey(hash), body); err != nil {
			return nil, fmt.Errorf("put %s into the bucket: %w", file.Path, err)
		}
		refs[i] = rebased.BenchmarkRef(hash, commit.ReplaceAllString(file.Address, "$1/"))
	}
	return refs, nil
}

func readWhole(ctx context.Context, origin ingest.Origin, file rebased.Source) ([]byte, error) {
	from, err := origin.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	body, err := io.ReadAll(io.LimitReader(from, file.Size+1))
	if err == nil && int64(len(body)) != file.Size {
		err = rebased.E(rebased.Unavailable, "has %d bytes, or more, where the listing says %d", len(body), file.Size)
	}
	return body, err
}
