package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/rebased/rebased"
)

// file is what is read of a tokenizer.json.
type file struct {
	Added []struct {
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		Left       bool   `json:"lstrip"`
		Right      bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
	} `json:"added_tokens"`
	Normalizer   *rule      `json:"normalizer"`
	PreTokenizer *rule      `json:"pre_tokenizer"`
	Model        modelTable `json:"model"`
}

// rule is a normalizer or a pre-tokenizer.
type rule struct {
	Type          string `json:"type"`
	Normalizers   []rule `json:"normalizers"`
	PreTokenizers []rule `json:"pretokenizers"`
	Prepend       string `json:"prepend"`
	Pattern       struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	} `json:"pattern"`
	Content     string `json:"content"`
	Behavior    string `json:"behavior"`
	Invert      bool   `json:"invert"`
	PrefixSpace bool   `json:"add_prefix_space"`
	UseRegex    *bool  `json:"use_regex"` // absent = true
	Individual  bool   `json:"individual_digits"`
}

type modelTable struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	Unknown      *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	FuseUnknown  bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       merges           `json:"merges"`
}

// merges are pairs of tokens, written as lists of two or, in older files, as texts with a blank between them.
type merges [][2]string

// UnmarshalJSON implements json.Unmarshaler.
func (m *merges) UnmarshalJSON(body []byte) error {
	if json.Unmarshal(body, (*[][2]string)(m)) == nil {
		return nil
	}
	var lines []string
	if err := json.Unmarshal(body, &lines); err != nil {
		return fmt.Errorf("merges: %w", err)
	}
	*m = make(merges, len(lines))
	for i, line := range lines {
		left, right, found := strings.Cut(line, " ")
		if !found {
			return fmt.Errorf("merges: %q is no pair", line)
		}
		(*m)[i] = [2]string{left, right}
	}
	return nil
}

func refuse(format string, args ...any) error {
	return rebased.E(rebased.Invalid, FileName+" "+format, args...)
}

func parse(body []byte) (*Tokenizer, error) {
	var kind struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if err := json.Unmarshal(body, &kind); err != nil {
		return nil, rebased.E(rebased.Invalid, "%s: %w", FileName, err)
	}
	if kind.Model.Type != "BPE" && kind.Model.Type != "" { // the vocabulary of other kinds may be no object
		return nil, refuse("has a tokenizer of type %q; only BPE is counted here", kind.Model.Type)
	}
	var f file
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, rebased.E(rebased.Invalid, "%s: %w", FileName, err)
	}
	t := &Tokenizer{known: map[string]int{}}
	for _, step := range []func(file) error{t.normalizer, t.preTokenizer, t.table, t.added} {
		if err := step(f); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Tokenizer) normalizer(f file) error {
	for _, r := range flat(f.Normalizer, func(r rule) []rule { return r.Normalizers }) {
		switch {
		case r.Type == "NFC":
			t.normalize = append(t.normalize, norm.NFC.String)
		case r.Type == "NFKC":
			t.normalize = append(t.normalize, norm.NFKC.String)
		case r.Type == "Prepend":
			t.normalize = append(t.normalize, func(text string) string {
				if text == "" {
					return ""
				}
				return r.Prepend + text
			})
		case r.Type == "Replace" && r.Pattern.String != nil:
			t.normalize = append(t.normalize, func(text string) string { return strings.ReplaceAll(text, *r.Pattern.String, r.Content) })
		default:
			return refuse("has the normalizer %q; only NFC, NFKC, Prepend and Replace of a text are known here", r.Type)
		}
	}
	return nil
}

func (t *Tokenizer) preTokenizer(f file) error {
	rules := flat(f.PreTokenizer, func(r rule) []rule { return r.PreTokenizers })
	for i, r := range rules {
		switch {
		case r.Type == "ByteLevel" && i == len(rules)-1:
			t.byteLevel(r)
		case r.Type == "Digits":
			pattern := `\p{N}+`
			if r.Individual {
				pattern = `\p{N}`
			}
			t.split = append(t.split, mustSplit(pattern))
		case r.Type == "Split" && r.Pattern.Regex != nil && (r.Behavior == "Isolated" && !r.Invert || r.Behavior == "Removed" && r.Invert):
			split, err := newSplit(*r.Pattern.Regex, r.Behavior == "Removed")
			if err != nil {
				return err
			}
			t.split = append(t.split, split)
		case r.Type == "Split" && r.Pattern.String != nil && *r.Pattern.String != "" && r.Behavior == "MergedWithPrevious" && !r.Invert:
			t.split = append(t.split, func(text string, visit func(string)) {
				for piece := range strings.SplitAfterSeq(text, *r.Pattern.String) {
					visit(piece)
				}
			})
		default:
			return refuse("has the pre-tokenizer %q (behavior %q); only Split by a pattern, Digits and, at the end, ByteLevel are known here", r.Type, r.Behavior)
		}
	}
	return nil
}

// byteLevel has the model's symbols be bytes.
func (t *Tokenizer) byteLevel(r rule) {
	t.bytes = true
	if r.PrefixSpace {
		t.split = append(t.split, func(text string, visit func(string)) {
			if !strings.HasPrefix(text, " ") {
				text = " " + text
			}
			visit(text)
		})
	}
	if r.UseRegex == nil || *r.UseRegex {
		t.split = append(t.split, mustSplit(gpt2))
	}
}

// flat lists a rule, or those of a sequence.
func flat(r *rule, inner func(rule) []rule) []rule {
	switch {
	case r == nil:
		return nil
	case r.Type != "Sequence":
		return []rule{*r}
	}
	var all []rule
	for _, one := range inner(*r) {
		all = append(all, flat(&one, inner)...)
	}
	return all
}

func (t *Tokenizer) table(f file) error {
	m := f.Model
	given := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case len(m.Vocab) == 0:
		return refuse("has no vocabulary")
	case given(m.Prefix) || given(m.Suffix):
		return refuse("has a continuing_subword_prefix or an end_of_word_suffix, which are not known here")
	case m.Dropout != nil && *m.Dropout != 0:
		return refuse("has the dropout %v: its tokens are left to chance", *m.Dropout)
	}
	t.model = model{ids: make(map[string]int32, len(m.Vocab)), unknown: -1, fuse: m.FuseUnknown, whole: m.IgnoreMerges, merges: make(map[uint64]int32, len(m.Merges))}
	for token, id := range m.Vocab {
		if id < 0 {
			return refuse("gives %q the id %d", token, id)
		}
		if t.bytes {
			if raw, ok := rawBytes(token); ok {
				t.model.ids[raw] = id
			}
			continue
		}
		t.model.ids[token] = id
	}
	if err := t.singles(m); err != nil {
		return err
	}
	if m.Unknown != nil {
		if id, ok := m.Vocab[*m.Unknown]; ok {
			t.model.unknown = id
		}
	}
	for rank, merge := range m.Merges {
		left, ok := m.Vocab[merge[0]]
		right, found := m.Vocab[merge[1]]
		both, made := m.Vocab[merge[0]+merge[1]]
		if !ok || !found || !made {
			return refuse("merges %q and %q, which are not all in its vocabulary", merge[0], merge[1])
		}
		t.model.merges[pair(left, right)] = int32(rank) //nolint:gosec // bounded by maxFile
		t.model.results = append(t.model.results, both)
	}
	return nil
}

// singles finds the tokens of single bytes.
func (t *Tokenizer) singles(m modelTable) error {
	for b := range t.model.single {
		t.model.single[b] = -1
		var id int32
		var ok bool
		if t.bytes {
			id, ok = t.model.ids[string([]byte{byte(b)})]
		} else if m.ByteFallback {
			id, ok = m.Vocab[fmt.Sprintf("<0x%02X>", b)]
		}
		if ok {
			t.model.single[b] = id
		} else if t.bytes {
			return refuse("has no token for the byte %#02x", b)
		}
	}
	return nil
}

func (t *Tokenizer) added(f file) error {
	for _, a := range f.Added {
		if a.SingleWord {
			return refuse("adds the token %q, which is a single word; such tokens are not known here", a.Content)
		}
		set, content := &t.raw, a.Content
		if a.Normalized {
			set = &t.normal
			for _, f := range t.normalize {
				content = f(content)
			}
		}
		if content == "" {
			continue
		}
		if set.tokens == nil {
			set.tokens = map[string]added{}
		}
		set.tokens[content] = added{a.Left, a.Right}
		if lengths := &set.lengths[content[0]]; !slices.Contains(*lengths, len(content)) {
			*lengths = append(*lengths, len(content))
			slices.SortFunc(*lengths, func(a, b int) int { return b - a })
		}
	}
	return nil
}

// rawBytes reads a token as GPT-2 writes bytes: printable characters of Latin-1 as they are, any other byte as a character from U+0100 on.
func rawBytes(token string) (string, bool) {
	raw := make([]byte, 0, len(token))
	for _, r := range token {
		switch {
		case r < 0x100 && printable(byte(r)): //nolint:gosec // the bound is before it
			raw = append(raw, byte(r)) //nolint:gosec // the same
		case r >= 0x100 && int(r-0x100) < len(unprintable):
			raw = append(raw, unprintable[r-0x100])
		default:
			return "", false
		}
	}
	return string(raw), true
}

func printable(b byte) bool { return '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b }

// unprintable are the other bytes, ascending.
var unprintable = func() (others []byte) {
	for b := range 256 {
		if !printable(byte(b)) {
			others = append(others, byte(b))
		}
	}
	return others
}()
