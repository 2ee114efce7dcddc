package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rebased/rebased"
)

// uploadModel puts the folder of an encoder's model into the bucket, each file once, and gives the encoder's name by which workers find it. A
// relative folder starts at base. Encoders without such a folder keep their names.
func uploadModel(ctx context.Context, objects rebased.Objects, encoder, base string) (string, error) {
	kind, folder, local := rebased.LocalModel(encoder)
	if !local {
		return encoder, nil
	}
	from := folder
	if !filepath.IsAbs(folder) {
		from = filepath.Join(base, folder)
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		return "", rebased.E(rebased.Invalid, "read the model's folder %s: %w", from, cause(err))
	}
	defer func() { _ = root.Close() }() // read only
	model := rebased.Model{}
	for _, name := range rebased.ModelFiles(kind) {
		switch key, err := uploadFile(ctx, objects, root, name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", fmt.Errorf("put %s of the model %s into the bucket: %w", name, from, err)
		default:
			model[name] = key
		}
	}
	if len(model) == 0 {
		return "", rebased.E(rebased.Invalid, "%s has none of the files of a model for %s: %v", from, kind, rebased.ModelFiles(kind))
	}
	body, err := json.Marshal(model)
	if err != nil {
		return "", fmt.Errorf("list the files of the model %s: %w", from, err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if err := rebased.PutUpload(ctx, objects, rebased.UploadKey(hash), body); err != nil {
		return "", fmt.Errorf("put the list of the model %s into the bucket: %w", from, err)
	}
	return kind + ":" + rebased.BenchmarkRef(hash, filepath.Base(from)), nil
}

// uploadFile reads a file twice, for its name and for its bytes, so that no model has to fit into memory.
func uploadFile(ctx context.Context, objects rebased.Objects, root *os.Root, name string) (key string, err error) {
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // read only
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", cause(err)
	}
	key = rebased.UploadKey(hex.EncodeToString(h.Sum(nil)))
	if there, err := rebased.KeepUpload(ctx, objects, key); err != nil || there {
		return key, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", cause(err)
	}
	err = objects.CreateIfAbsent(ctx, key, func(w io.Writer) error {
		again := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, again), file); err != nil {
			return cause(err)
		}
		if rebased.UploadKey(hex.EncodeToString(again.Sum(nil))) != key {
			return rebased.E(rebased.Invalid, "the file changes while it is read")
		}
		return nil
	})
	if rebased.KindOf(err) == rebased.Conflict { // it is there
		err = nil
	}
	return key, err
}
