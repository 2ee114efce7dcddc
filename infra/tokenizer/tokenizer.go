// Package tokenizer counts the tokens that a text has for a model, by the model's own tokenizer.json as Hugging Face's tokenizers writes it: byte pair
// encoding over bytes (GPT, Llama 3, Qwen, DeepSeek) or over characters with bytes for what is unknown (Llama 2, Mistral, Gemma). Whatever would make
// other tokens than that library makes is refused by name.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/encoder/modelfile"
)

var _ handoff.Tokenizer = (*Tokenizer)(nil)

// FileName is what a model's folder calls its tokenizer.
const FileName = "tokenizer.json"

// maxFile is the most that is read of a tokenizer.json, bytes; the largest known have 35 MB.
const maxFile = 64 << 20

// Tokenizer counts tokens. It is for use by one goroutine.
type Tokenizer struct {
	ref       handoff.TokenizerRef
	raw       addedSet                     // tokens that are looked for in a text as it is
	normal    addedSet                     // and in what its normalization gives
	normalize []func(string) string        // one after the other
	split     []func(string, func(string)) // pieces of pieces, one after the other
	bytes     bool                         // the model's symbols are bytes; false = characters
	model     model
	known     map[string]int // tokens of pieces that were met
}

// Load reads the tokenizer.json of a model's folder. name is what the user calls it.
func Load(name string, folder fs.FS) (*Tokenizer, error) {
	open := func(name string) (io.ReadCloser, error) { return folder.Open(name) }
	body, err := modelfile.Read(open, FileName, maxFile, "a tokenizer is a folder with "+FileName)
	if err != nil {
		return nil, err
	}
	t, err := parse(body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	t.ref = handoff.TokenizerRef{Name: name, SHA256: hex.EncodeToString(sum[:])}
	return t, nil
}

// Ref implements handoff.Tokenizer.
func (t *Tokenizer) Ref() handoff.TokenizerRef { return t.ref }

// Count implements handoff.Tokenizer.
func (t *Tokenizer) Count(text string) int {
	tokens := 0
	tokens += t.raw.cut(text, func(part string) {
		for _, f := range t.normalize {
			part = f(part)
		}
		tokens += t.normal.cut(part, func(part string) {
			t.pieces(0, part, func(piece string) { tokens += t.piece(piece) })
		})
	})
	return tokens
}

// pieces takes a text apart by the n-th rule and those behind it.
func (t *Tokenizer) pieces(n int, text string, visit func(string)) {
	if n == len(t.split) {
		if text != "" {
			visit(text)
		}
		return
	}
	t.split[n](text, func(piece string) { t.pieces(n+1, piece, visit) })
}

const (
	knownPieces = 1 << 16
	knownBytes  = 64 // longer pieces do not come again
)

func (t *Tokenizer) piece(text string) int {
	if n, ok := t.known[text]; ok {
		return n
	}
	n := t.model.count(text, t.bytes)
	if len(text) <= knownBytes && len(t.known) < knownPieces {
		t.known[strings.Clone(text)] = n
	}
	return n
}

// added is a token that is looked for as it is, before a text is taken apart.
type added struct{ left, right bool } // whether it takes in the white space beside it

// addedSet finds such tokens, the longest at each place.
type addedSet struct {
	tokens  map[string]added
	lengths [256][]int // by first byte, descending
}

// cut counts the tokens in a text and visits what stands between them.
func (s *addedSet) cut(text string, visit func(string)) (tokens int) {
	start := 0
	between := func(part string) {
		if part != "" {
			visit(part)
		}
	}
	for at := 0; at < len(text) && len(s.tokens) > 0; at++ {
		for _, length := range s.lengths[text[at]] {
			if at+length > len(text) {
				continue
			}
			token, ok := s.tokens[text[at:at+length]]
			if !ok {
				continue
			}
			before, end := text[start:at], at+length
			if token.left {
				before = strings.TrimRightFunc(before, unicode.IsSpace)
			}
			if token.right {
				end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			}
			between(before)
			tokens++
			start, at = end, end-1
			break
		}
	}
	between(text[start:])
	return tokens
}

// model is a vocabulary and the merges of its symbols.
type model struct {
	ids     map[string]int32 // of whole tokens: bytes, or characters
	single  [256]int32       // of the token of one byte
	unknown int32            // of the token for what has none; -1 = none
	fuse    bool             // unknown symbols in a row are one token
	whole   bool             // a piece that is a token is not taken apart
	merges  map[uint64]int32 // two ids -> rank
	results []int32          // by rank, the id that a merge gives
}

// symbol is a token so far, in a list of those beside it.
type symbol struct{ id, before, after int32 }

// count gives the tokens of a piece.
func (m *model) count(text string, bytes bool) int {
	if _, ok := m.ids[text]; ok && m.whole {
		return 1
	}
	symbols := m.symbols(text, bytes)
	return m.merge(symbols)
}

func (m *model) symbols(text string, bytes bool) []symbol {
	symbols := make([]symbol, 0, len(text))
	add := func(id int32) {
		n := int32(len(symbols)) //nolint:gosec // bounded by a text
		symbols = append(symbols, symbol{id, n - 1, n + 1})
	}
	if bytes {
		for i := range len(text) {
			add(m.single[text[i]])
		}
		return symbols
	}
	fused := false
	for len(text) > 0 {
		_, size := utf8.DecodeRuneInString(text)
		id, ok := m.ids[text[:size]]
		switch {
		case ok:
			add(id)
		case m.hasBytes(text[:size]):
			for i := range size {
				add(m.single[text[i]])
			}
		case m.unknown >= 0 && !fused:
			add(m.unknown)
		}
		fused = m.fuse && !ok && !m.hasBytes(text[:size])
		text = text[size:]
	}
	return symbols
}

func (m *model) hasBytes(character string) bool {
	for i := range len(character) {
		if m.single[character[i]] < 0 {
			return false
		}
	}
	return true
}

// merge joins symbols, the lowest rank first and of equal ranks the leftmost, until no two can be joined, and gives how many are left.
func (m *model) merge(symbols []symbol) int {
	var queue heap
	offer := func(left int32) {
		if left < 0 || int(symbols[left].after) >= len(symbols) {
			return
		}
		if rank, ok := m.merges[pair(symbols[left].id, symbols[symbols[left].after].id)]; ok {
			queue.push(uint64(uint32(rank))<<32 | uint64(uint32(left))) //nolint:gosec // both are at least 0
		}
	}
	for i := range symbols {
		offer(int32(i)) //nolint:gosec // bounded by a text
	}
	left := len(symbols)
	const gone = -1
	for len(queue) > 0 {
		top := queue.pop()
		at, result := int32(top&(1<<32-1)), m.results[top>>32] //nolint:gosec // as it was put in
		s := symbols[at]
		if s.id == gone || int(s.after) >= len(symbols) {
			continue
		}
		other := symbols[s.after]
		if rank, ok := m.merges[pair(s.id, other.id)]; !ok || m.results[rank] != result {
			continue // one of the two has become another since
		}
		symbols[s.after].id = gone
		symbols[at].id, symbols[at].after = result, other.after
		if int(other.after) < len(symbols) {
			symbols[other.after].before = at
		}
		left--
		offer(s.before)
		offer(at)
	}
	return left
}

func pair(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) } //nolint:gosec // ids are at least 0

// heap has its least number first.
type heap []uint64

func (h *heap) push(v uint64) {
	q := append(*h, v)
	for i := len(q) - 1; i > 0 && q[i] < q[(i-1)/2]; i = (i - 1) / 2 {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
	}
	*h = q
}

func (h *heap) pop() uint64 {
	q := *h
	top := q[0]
	q[0] = q[len(q)-1]
	q = q[:len(q)-1]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q[child] < q[least] {
				least = child
			}
		}
		if least == i {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	*h = q
	return top
}
