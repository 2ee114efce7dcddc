package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

const uploadsAtOnce = 4

// Upload copies the files of a folder into the bucket and gives them as workers will find them, in order. A file that is there already is not
// written again. progress, which may be nil, is called with the number of files done, never twice at once.
func Upload(ctx context.Context, objects rebased.Objects, folder Folder, limits Limits, progress func(done int)) ([]rebased.Source, error) {
	open, closeFolder, err := folder.opener()
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "import %s: %w", folder.Root, cause(err))
	}
	defer func() { _ = closeFolder() }() // nothing was written
	sources := make([]rebased.Source, len(folder.Sources))
	var done int
	var counting sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploadsAtOnce)
	for i, source := range folder.Sources {
		group.Go(func() error {
			var err error
			if sources[i], err = upload(ctx, objects, open, source, limits); err != nil {
				return fmt.Errorf("upload %s: %w", source.Path, err)
			}
			counting.Lock()
			defer counting.Unlock()
			if done++; progress != nil {
				progress(done)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return sources, nil
}

func upload(ctx context.Context, objects rebased.Objects, open openFunc, source rebased.Source, limits Limits) (rebased.Source, error) {
	file, err := open(source.Path)
	if err != nil {
		return source, rebased.E(rebased.Invalid, "%w", cause(err))
	}
	defer file.Close()
	if source.Size, source.SHA256, err = measure(ctx, file, limits.SourceBytes); err != nil {
		return source, err
	}
	source.Key = rebased.UploadKey(source.SHA256)
	if there, err := rebased.KeepUpload(ctx, objects, source.Key); err != nil || there {
		return source, err // it is there, and its key is made of its content: a large file need not be sent to find that out
	}
	err = objects.CreateIfAbsent(ctx, source.Key, func(w io.Writer) error { return copyAgain(w, file, source) })
	if rebased.KindOf(err) == rebased.Conflict {
		return source, nil // another one was faster
	}
	return source, err
}

// measure reads a file whole, a piece at a time.
func measure(ctx context.Context, file io.Reader, limit int64) (size int64, sum string, err error) {
	hash := sha256.New()
	size, err = io.Copy(hash, &sizeGuard{ctx: ctx, r: io.LimitReader(file, limit+1), left: math.MaxInt64})
	switch {
	case ctx.Err() != nil:
		return 0, "", ctx.Err()
	case err != nil:
		return 0, "", rebased.E(rebased.Invalid, "%w", cause(err))
	case size > limit:
		return 0, "", rebased.E(rebased.Invalid, "has more than %d bytes, the most that can be imported: split it", limit)
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}

// copyAgain copies a file that was measured; one that is another now must not be stored under the old one's hash.
func copyAgain(w io.Writer, file io.ReadSeeker, source rebased.Source) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return rebased.E(rebased.Invalid, "%w", cause(err))
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(file, source.Size)); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != source.SHA256 {
		return rebased.E(rebased.Invalid, "has changed while it was read: import again")
	}
	return nil
}

// WriteSources stores a list of uploaded files for a workflow to name.
func WriteSources(ctx context.Context, objects rebased.Objects, sources []rebased.Source) (key string, err error) {
	body, err := json.Marshal(sources)
	if err != nil {
		return "", fmt.Errorf("encode the list of sources: %w", err)
	}
	key = rebased.UploadKey(sha256Hex(body))
	return key, rebased.PutUpload(ctx, objects, key, body)
}

// ReadSources reads a list that WriteSources stored.
func ReadSources(ctx context.Context, objects rebased.Objects, key string) (sources []rebased.Source, err error) {
	body, _, err := objects.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the list of sources: %w", err)
	}
	if err := json.Unmarshal(body, &sources); err != nil {
		return nil, rebased.E(rebased.Invalid, "read the list of sources %s: %w", key, err)
	}
	return sources, nil
}

func sha256Hex(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
