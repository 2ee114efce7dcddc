// Package demo holds the corpus and the task of `rebased-local demo`: thirteen small datasets of the kinds that dataset hubs hold (questions on passages,
// a mirror of them under another name, multiple choice, inference, reviews, recipes, word problems, phrases in five languages, …) and a task that makes
// extractive question answering of them. All of it was written for this project and is in the public domain (CC0-1.0); towns and people are invented.
package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed data
var data embed.FS

// Corpus is the name under which the task expects the corpus.
const Corpus = "demo"

// Write puts the corpus and the task file into a folder, which is made when it is missing, over what is there of the same names. It gives the paths
// for `rebased corpus import demo` and `rebased build -f`.
func Write(dir string) (corpusDir, taskFile string, err error) {
	err = fs.WalkDir(data, "data", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel("data", filepath.FromSlash(path))
		if err != nil {
			return err
		}
		target := filepath.Join(dir, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o750)
		}
		body, err := data.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, body, 0o600)
	})
	if err != nil {
		return "", "", fmt.Errorf("write the demo's input: %w", err)
	}
	return filepath.Join(dir, "corpus"), filepath.Join(dir, "demo.yaml"), nil
}
