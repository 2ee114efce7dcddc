package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

const uploadsAtOnce = 4 // each holds its file in memory

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
	if source.Size > limits.SourceBytes {
		return source, rebased.E(rebased.Invalid, "has %d bytes, at most %d can be imported: split it", source.Size, limits.SourceBytes)
	}
	body, err := readFile(open, source.Path, limits.SourceBytes)
	if err != nil {
		return source, rebased.E(rebased.Invalid, "%w", cause(err))
	}
	source.SHA256, source.Size = sha256Hex(body), int64(len(body))
	source.Key = rebased.UploadKey(source.SHA256)
	return source, putOnce(ctx, objects, source.Key, body)
}

// readFile reads what was within the limit when the file was found; it may have grown since.
func readFile(open openFunc, path string, limit int64) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// WriteSources stores a list of uploaded files for a workflow to name.
func WriteSources(ctx context.Context, objects rebased.Objects, sources []rebased.Source) (key string, err error) {
	body, err := json.Marshal(sources)
	if err != nil {
		return "", fmt.Errorf("encode the list of sources: %w", err)
	}
	key = rebased.UploadKey(sha256Hex(body))
	return key, putOnce(ctx, objects, key, body)
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

// putOnce writes an object whose key is made of its content.
func putOnce(ctx context.Context, objects rebased.Objects, key string, body []byte) error {
	_, err := objects.PutIfAbsent(ctx, key, body)
	if rebased.KindOf(err) == rebased.Conflict {
		return nil
	}
	return err
}

func sha256Hex(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
