package folder

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/rebased/rebased"
)

// Credentials are the keys of the servers of one data folder.
type Credentials struct {
	S3AccessKey   string `json:"s3_access_key"`
	S3SecretKey   string `json:"s3_secret_key"`
	QdrantAPIKey  string `json:"qdrant_api_key"`
	TeacherAPIKey string `json:"teacher_api_key"`
}

// openCredentials reads the credentials, or makes them. Of two processes that make them at once one wins and both read the same.
func openCredentials(path string) (Credentials, error) {
	c, err := readCredentials(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	b, err := json.MarshalIndent(randomCredentials(), "", "  ")
	if err != nil {
		return Credentials{}, err
	}
	if err := makeFile(path, append(b, '\n')); err != nil && !errors.Is(err, fs.ErrExist) {
		return Credentials{}, err
	}
	return readCredentials(path)
}

func readCredentials(path string) (Credentials, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Credentials{}, err
	}
	var c Credentials
	if err := json.Unmarshal(b, &c); err != nil {
		return Credentials{}, rebased.E(rebased.Invalid, "%s is damaged: remove it, and new credentials are made: %w", path, err)
	}
	return c, nil
}

func randomCredentials() Credentials {
	return Credentials{S3AccessKey: rand.Text(), S3SecretKey: rand.Text(), QdrantAPIKey: rand.Text(), TeacherAPIKey: rand.Text()}
}
