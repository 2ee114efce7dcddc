package wordpiece

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

// Parse reads a tokenizer.json. It refuses, by name, whatever would make word pieces other than BERT's. Special tokens are not
// looked for in texts: a literal "[SEP]" is text like any other.
func Parse(body []byte) (*Tokenizer, error) {
	var file struct {
		Normalizer   *normalizerFile `json:"normalizer"`
		PreTokenizer struct {
			Type string `json:"type"`
		} `json:"pre_tokenizer"`
		Model       modelFile `json:"model"`
		AddedTokens []struct {
			Content string `json:"content"`
			Special bool   `json:"special"`
		} `json:"added_tokens"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		// The vocabulary of other kinds is no object, so the kind is told apart first.
		if kind := modelKind(body); kind != "" && kind != "WordPiece" {
			return nil, refuseKind(kind)
		}
		return nil, rebased.E(rebased.Invalid, "tokenizer.json: %w", err)
	}
	if file.Model.Type != "WordPiece" {
		return nil, refuseKind(file.Model.Type)
	}
	if file.PreTokenizer.Type != "BertPreTokenizer" {
		return nil, rebased.E(rebased.Invalid, "tokenizer.json has the pre-tokenizer %q; only BertPreTokenizer can be computed here", file.PreTokenizer.Type)
	}
	for _, t := range file.AddedTokens {
		if !t.Special {
			return nil, rebased.E(rebased.Invalid, "tokenizer.json adds the token %q, which is not special; such tokens cannot be computed here", t.Content)
		}
	}
	settings, err := file.Normalizer.settings()
	if err != nil {
		return nil, err
	}
	return file.Model.wordPiece(settings)
}

func refuseKind(kind string) error {
	return rebased.E(rebased.Invalid, "tokenizer.json has a tokenizer of type %q; only WordPiece can be computed here", kind)
}

func modelKind(body []byte) string {
	var file struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if json.Unmarshal(body, &file) != nil {
		return ""
	}
	return file.Model.Type
}

type normalizerFile struct {
	Type         string `json:"type"`
	CleanText    bool   `json:"clean_text"`
	ChineseChars bool   `json:"handle_chinese_chars"`
	StripAccents *bool  `json:"strip_accents"` // absent = as Lowercase
	Lowercase    bool   `json:"lowercase"`
}

func (n *normalizerFile) settings() (normalization, error) {
	if n == nil || n.Type != "BertNormalizer" {
		kind := "none"
		if n != nil {
			kind = n.Type
		}
		return normalization{}, rebased.E(rebased.Invalid, "tokenizer.json has the normalizer %q; only BertNormalizer can be computed here", kind)
	}
	if !n.CleanText || !n.ChineseChars {
		return normalization{}, rebased.E(rebased.Invalid, "tokenizer.json has a BertNormalizer without clean_text or handle_chinese_chars; both are needed here")
	}
	out := normalization{lower: n.Lowercase, stripAccents: n.Lowercase}
	if n.StripAccents != nil {
		out.stripAccents = *n.StripAccents
	}
	return out, nil
}

type modelFile struct {
	Type     string           `json:"type"`
	Unknown  string           `json:"unk_token"`
	Prefix   string           `json:"continuing_subword_prefix"`
	MaxRunes int              `json:"max_input_chars_per_word"`
	Vocab    map[string]int32 `json:"vocab"`
}

func (m modelFile) wordPiece(settings normalization) (*Tokenizer, error) {
	unknown, ok := m.Vocab[m.Unknown]
	if !ok {
		return nil, rebased.E(rebased.Invalid, "tokenizer.json has no token %q, which stands for unknown words", m.Unknown)
	}
	if m.Prefix == "" || m.MaxRunes < 1 {
		return nil, rebased.E(rebased.Invalid, "tokenizer.json has no continuing_subword_prefix or no max_input_chars_per_word")
	}
	w := &Tokenizer{
		settings: settings, size: len(m.Vocab), unknown: unknown, maxRunes: m.MaxRunes,
		first: vocabulary{ids: make(map[string]int32, len(m.Vocab))}, later: vocabulary{ids: map[string]int32{}},
	}
	taken := make([]bool, len(m.Vocab))
	for token, id := range m.Vocab {
		if id < 0 || int(id) >= len(taken) || taken[id] {
			return nil, rebased.E(rebased.Invalid, "tokenizer.json gives %q the id %d; ids must be 0 to %d, once each", token, id, len(taken)-1)
		}
		taken[id] = true
		if token == "" {
			continue // no text has it
		}
		if piece, ok := strings.CutPrefix(token, m.Prefix); ok && piece != "" {
			w.later.add(piece, id)
		}
		w.first.add(token, id)
	}
	return w, nil
}

// vocabulary finds tokens by their text.
type vocabulary struct {
	ids     map[string]int32
	longest int         // bytes
	lengths [256]uint64 // by the first byte of tokens, a bit for each of their lengths; those over 63 bytes share the last one
}

func (v *vocabulary) add(token string, id int32) {
	v.ids[token] = id
	v.longest = max(v.longest, len(token))
	v.lengths[token[0]] |= 1 << min(len(token), 63)
}

// longestPrefix finds the longest token that word starts with, and its bytes; 0 bytes when there is none.
func (v *vocabulary) longestPrefix(word []byte) (id int32, length int) {
	lengths := v.lengths[word[0]]
	for end := min(len(word), v.longest); end > 0; end-- {
		if lengths&(1<<min(end, 63)) == 0 || end < len(word) && !utf8.RuneStart(word[end]) {
			continue
		}
		if id, ok := v.ids[string(word[:end])]; ok { // no copy is made of the key
			return id, end
		}
	}
	return 0, 0
}
