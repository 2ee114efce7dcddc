package transformer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/modelfile"
	"github.com/rebased/rebased/infra/encoder/wordpiece"
)

// Limits on what Load reads, bytes.
const (
	maxNetwork   = 2 << 30
	maxTokenizer = 64 << 20
	maxConfig    = 1 << 20
)

// networkFile is where a folder has its network, as on the hub.
const networkFile = "onnx/model.onnx"

// model is a folder, read and checked.
type model struct {
	kind          string // of architecture, such as bert
	hash          string // the first 8 hex digits of the SHA-256 over what decides the vectors
	dimensions    int
	maxTokens     int
	firstState    bool
	tokens        *wordpiece.Tokenizer
	before, after int64
	network       []byte
}

// reader reads the files of a folder and remembers their hash.
type reader struct {
	folder fs.FS
	sum    func(body []byte)
}

func readModel(folder fs.FS) (*model, error) {
	h := sha256.New()
	r := reader{folder: folder, sum: func(body []byte) {
		one := sha256.Sum256(body)
		_, _ = h.Write(one[:])
	}}
	m := new(model)
	for _, step := range []func(reader) error{m.readModules, m.readArchitecture, m.readLength, m.readPrompts, m.readTokenizer} {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	var err error
	if m.network, err = r.file(networkFile, maxNetwork); err != nil {
		return nil, err
	}
	m.hash = hex.EncodeToString(h.Sum(nil))[:8]
	return m, nil
}

func (r reader) file(name string, limit int64) ([]byte, error) {
	open := func(name string) (io.ReadCloser, error) { return r.folder.Open(name) }
	body, err := modelfile.Read(open, name, limit, "a sentence transformer has modules.json, tokenizer.json and "+networkFile)
	if err == nil {
		r.sum(body)
	}
	return body, err
}

func (r reader) decode(name string, into any) error {
	body, err := r.file(name, maxConfig)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return rebased.E(rebased.Invalid, "%s: %w", name, err)
	}
	return nil
}

// optional is decode, but that a file may be absent.
func (r reader) optional(name string, into any) error {
	err := r.decode(name, into)
	if rebased.KindOf(err) == rebased.NotFound {
		return nil
	}
	return err
}

// readModules takes a transformer, then a pooling, and perhaps a normalisation: vectors have unit length here in any case.
func (m *model) readModules(r reader) error {
	var modules []struct{ Path, Type string }
	if err := r.decode("modules.json", &modules); err != nil {
		return err
	}
	kinds := make([]string, len(modules))
	for i, module := range modules {
		kinds[i] = module.Type[strings.LastIndex(module.Type, ".")+1:]
	}
	switch {
	case len(kinds) == 2 && slices.Equal(kinds, []string{"Transformer", "Pooling"}):
	case slices.Equal(kinds, []string{"Transformer", "Pooling", "Normalize"}):
	default:
		return rebased.E(rebased.Invalid, "modules.json has the modules %s; only Transformer, Pooling and Normalize can be computed here", strings.Join(kinds, ", "))
	}
	if modules[0].Path != "" {
		return rebased.E(rebased.Invalid, "modules.json has its Transformer in %q; only the folder itself is read", modules[0].Path)
	}
	if !fs.ValidPath(modules[1].Path) {
		return rebased.E(rebased.Invalid, "modules.json has its Pooling in %q, which is no folder in the model's", modules[1].Path)
	}
	return m.readPooling(r, path.Join(modules[1].Path, "config.json"))
}

func (m *model) readPooling(r reader, name string) error {
	var settings map[string]any
	if err := r.decode(name, &settings); err != nil {
		return err
	}
	var modes []string
	for key, value := range settings {
		if mode, ok := strings.CutPrefix(key, "pooling_mode_"); ok && value == true {
			modes = append(modes, mode)
		}
	}
	if mode, ok := settings["pooling_mode"].(string); ok {
		modes = append(modes, mode)
	}
	slices.Sort(modes)
	switch strings.Join(modes, "+") {
	case "mean_tokens", "mean":
	case "cls_token", "cls":
		m.firstState = true
	default:
		return rebased.E(rebased.Invalid, "%s has the pooling %q; only mean_tokens or cls_token can be computed here", name, strings.Join(modes, "+"))
	}
	return nil
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (m *model) readArchitecture(r reader) error {
	var c struct {
		Type      string `json:"model_type"`
		Hidden    int    `json:"hidden_size"`
		Dim       int    `json:"dim"` // DistilBERT's word for it
		Positions int    `json:"max_position_embeddings"`
	}
	if err := r.decode("config.json", &c); err != nil {
		return err
	}
	m.dimensions, m.maxTokens = max(c.Hidden, c.Dim), c.Positions
	if !plainName.MatchString(c.Type) || m.dimensions < 1 || m.dimensions > 1<<16 {
		return rebased.E(rebased.Invalid, "config.json has the model_type %q and %d dimensions (hidden_size)", c.Type, m.dimensions)
	}
	m.kind = c.Type
	return nil
}

// readLength reads how many word pieces the model takes in, the two special ones counted.
func (m *model) readLength(r reader) error {
	var c struct {
		Length *int `json:"max_seq_length"`
		Lower  bool `json:"do_lower_case"`
	}
	if err := r.optional("sentence_bert_config.json", &c); err != nil {
		return err
	}
	if c.Length != nil {
		m.maxTokens = *c.Length
	}
	if m.maxTokens < 3 || m.maxTokens > 1<<14 {
		return rebased.E(rebased.Invalid, "sentence_bert_config.json or config.json: the model takes in %d word pieces, must be 3 to 16384", m.maxTokens)
	}
	if c.Lower {
		return rebased.E(rebased.Invalid, "sentence_bert_config.json has do_lower_case, which cannot be computed here")
	}
	m.maxTokens -= 2
	return nil
}

func (m *model) readPrompts(r reader) error {
	var c struct {
		Prompt *string `json:"default_prompt_name"`
	}
	if err := r.optional("config_sentence_transformers.json", &c); err != nil {
		return err
	}
	if c.Prompt != nil {
		return rebased.E(rebased.Invalid, "config_sentence_transformers.json puts the prompt %q before texts, which is not done here", *c.Prompt)
	}
	return nil
}

func (m *model) readTokenizer(r reader) error {
	body, err := r.file("tokenizer.json", maxTokenizer)
	if err != nil {
		return err
	}
	if m.tokens, err = wordpiece.Parse(body); err != nil {
		return err
	}
	before, after, err := special(body)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		token string
		id    *int64
	}{{before, &m.before}, {after, &m.after}} {
		id, ok := m.tokens.ID(s.token)
		if !ok {
			return rebased.E(rebased.Invalid, "tokenizer.json puts %q around texts, which is not in its vocabulary", s.token)
		}
		*s.id = int64(id)
	}
	return nil
}

// special finds the tokens before and behind a text.
func special(tokenizer []byte) (before, after string, err error) {
	var file struct {
		Post struct {
			Type   string `json:"type"`
			Single []struct {
				Special *struct {
					ID string `json:"id"`
				} `json:"SpecialToken"`
				Sequence *struct {
					ID string `json:"id"`
				} `json:"Sequence"`
			} `json:"single"`
			Before []any `json:"cls"`
			After  []any `json:"sep"`
		} `json:"post_processor"`
	}
	if err := json.Unmarshal(tokenizer, &file); err != nil {
		return "", "", rebased.E(rebased.Invalid, "tokenizer.json: %w", err)
	}
	p := file.Post
	switch {
	case p.Type == "TemplateProcessing" && len(p.Single) == 3 && p.Single[0].Special != nil && p.Single[1].Sequence != nil && p.Single[2].Special != nil:
		return p.Single[0].Special.ID, p.Single[2].Special.ID, nil
	case p.Type == "BertProcessing" && len(p.Before) > 0 && len(p.After) > 0:
		return fmt.Sprint(p.Before[0]), fmt.Sprint(p.After[0]), nil
	}
	return "", "", rebased.E(rebased.Invalid, "tokenizer.json has the post-processor %q; only one that puts one token before a text and one behind it can be computed here", p.Type)
}
