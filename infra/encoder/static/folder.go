package static

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"regexp"

	"github.com/andybalholm/brotli"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/modelfile"
)

// Limits on what Load reads, bytes. The largest Model2Vec models known have 500,000 rows of 256 floats.
const (
	maxTensors   = 1 << 30
	maxTokenizer = 64 << 20
	maxConfig    = 1 << 20
)

// defaultMaxTokens is what Model2Vec reads of a text when a model's config.json does not say.
const defaultMaxTokens = 512

// files are a model's files as they are on disk.
type files struct{ tensors, tokenizer, config []byte }

func readFiles(folder fs.FS) (files, error) {
	var f files
	for _, file := range []struct {
		name  string
		into  *[]byte
		limit int64
	}{{"config.json", &f.config, maxConfig}, {"tokenizer.json", &f.tokenizer, maxTokenizer}, {"model.safetensors", &f.tensors, maxTensors}} {
		body, err := readFile(folder, file.name, file.limit)
		if err != nil {
			return files{}, err
		}
		*file.into = body
	}
	return f, nil
}

// openFile opens a file, or what is in the one of its name that brotli has made smaller.
func openFile(folder fs.FS, name string) (io.ReadCloser, error) {
	f, err := folder.Open(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if f, err = folder.Open(name + ".br"); err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{brotli.NewReader(f), f}, nil
}

func readFile(folder fs.FS, name string, limit int64) ([]byte, error) {
	open := func(name string) (io.ReadCloser, error) { return openFile(folder, name) }
	return modelfile.Read(open, name, limit, "a Model2Vec model has model.safetensors, tokenizer.json and config.json")
}

// hash is the first 8 hex digits of the SHA-256 over the files, so that a model made anew is another model.
func (f files) hash() string {
	h := sha256.New()
	for _, body := range [][]byte{f.tensors, f.tokenizer, f.config} {
		h.Write(body)
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}

// config is what matters here of config.json.
type config struct {
	name      string
	maxTokens int
}

var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func parseConfig(body []byte) (config, error) {
	var read struct {
		Name      string          `json:"name"`
		MaxLength json.RawMessage `json:"max_length"`
	}
	if err := json.Unmarshal(body, &read); err != nil {
		return config{}, rebased.E(rebased.Invalid, "config.json: %w", err)
	}
	c := config{name: "model2vec", maxTokens: defaultMaxTokens}
	if modelName.MatchString(read.Name) {
		c.name = read.Name
	}
	switch string(read.MaxLength) {
	case "":
	case "null":
		c.maxTokens = math.MaxInt
	default:
		if err := json.Unmarshal(read.MaxLength, &c.maxTokens); err != nil || c.maxTokens < 1 {
			return config{}, rebased.E(rebased.Invalid, "config.json: max_length is %s, not a number of tokens of 1 or more", read.MaxLength)
		}
	}
	return c, nil
}
