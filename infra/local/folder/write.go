package folder

import (
	"fmt"
	"os"
	"path/filepath"
)

// makeFile writes a file of mode 0600 that must not exist yet: whole or not at all.
func makeFile(path string, body []byte) error {
	return publish(path, body, os.Link)
}

// replaceFile writes a file of mode 0600 over what was there: whole or not at all.
func replaceFile(path string, body []byte) error {
	return publish(path, body, os.Rename)
}

func publish(path string, body []byte, move func(from, to string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // it is gone when it was renamed
	_, err = tmp.Write(body)
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = move(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
