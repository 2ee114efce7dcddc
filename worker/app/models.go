package app

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub"
)

// models finds the folders of encoders' models.
type models struct {
	objects rebased.Objects
	hub     *hub.Hub
}

// folder gives a model's folder: hf://owner/name@commit, or one that the starter has put into the bucket.
func (m models) folder(ctx context.Context, where string) (fs.FS, error) {
	if key, _, uploaded := rebased.ParseBenchmarkRef(where); uploaded {
		files, err := rebased.ReadModel(ctx, m.objects, key)
		if err != nil {
			return nil, err
		}
		return folder{ctx, func(name string) (io.ReadCloser, error) {
			key, ok := files[name]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return m.objects.Open(ctx, key)
		}}, nil
	}
	if id, ok := strings.CutPrefix(where, "hf://"); ok {
		return m.repository(ctx, id)
	}
	return nil, rebased.E(rebased.Invalid, "model %q: a folder is read by the program `rebased`, which copies it into the bucket; workers read hf:// and the bucket", where)
}

// pin names a model of the hub by the commit that its revision stands for now; other models have one content for ever.
func (m models) pin(ctx context.Context, where string) (string, error) {
	id, ok := strings.CutPrefix(where, "hf://")
	if !ok {
		return where, nil
	}
	name, revision, _ := strings.Cut(id, "@")
	if commit.MatchString(revision) {
		return where, nil
	}
	info, err := m.hub.Info(ctx, hub.Repo{Kind: hub.Models, ID: name, Revision: revision})
	if err != nil {
		return "", err
	}
	return "hf://" + info.ID + "@" + info.Commit, nil
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// repository reads a model of the hub at a commit.
func (m models) repository(ctx context.Context, id string) (fs.FS, error) {
	name, revision, _ := strings.Cut(id, "@")
	repo := hub.Repo{Kind: hub.Models, ID: name, Revision: revision}
	files, err := m.hub.Files(ctx, repo)
	if err != nil {
		return nil, err
	}
	byPath := make(map[string]hub.File, len(files))
	for _, f := range files {
		byPath[f.Path] = f
	}
	return folder{ctx, func(name string) (io.ReadCloser, error) {
		f, ok := byPath[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return m.hub.Open(ctx, repo, f)
	}}, nil
}

// folder is a folder whose files come from elsewhere, and of which nothing is known but that. It ends with its context.
type folder struct {
	ctx  context.Context //nolint:containedctx // fs.FS has no other way
	open func(name string) (io.ReadCloser, error)
}

// Open implements fs.FS.
func (f folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	body, err := f.open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return file{body, path.Base(name)}, nil
}

// file is a stream.
type file struct {
	io.ReadCloser
	name string
}

// Stat implements fs.File.
func (f file) Stat() (fs.FileInfo, error) { return fileInfo{f.name}, nil }

type fileInfo struct{ name string }

// Name implements fs.FileInfo.
func (i fileInfo) Name() string { return i.name }

// Size implements fs.FileInfo: it is not known.
func (i fileInfo) Size() int64 { return 0 }

// Mode implements fs.FileInfo.
func (i fileInfo) Mode() fs.FileMode { return 0o400 }

// ModTime implements fs.FileInfo: it is not known.
func (i fileInfo) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (i fileInfo) IsDir() bool { return false }

// Sys implements fs.FileInfo.
func (i fileInfo) Sys() any { return nil }
