// Package wordpiece cuts texts into word pieces as BERT's tokenizer does, for the encoders that compute with them here.
package wordpiece

import "unicode/utf8"

// Tokenizer cuts normalized text into the ids of word pieces: words at white space, each punctuation mark a word of its own, each word by
// greedy longest match from its start. It is safe for use by several goroutines, each with Buffers of its own.
type Tokenizer struct {
	settings     normalization
	size         int        // tokens in the vocabulary
	first, later vocabulary // pieces that start a word, and pieces that go on (without their prefix)
	unknown      int32
	maxRunes     int // a longer word is unknown as a whole
}

// Size is how many tokens the vocabulary has; ids are 0 to before it.
func (t *Tokenizer) Size() int { return t.size }

// ID is that of a token of the vocabulary, such as "[CLS]".
func (t *Tokenizer) ID(token string) (id int32, ok bool) {
	id, ok = t.first.ids[token]
	return id, ok
}

// AppendKnown appends the ids of a text's known pieces, reading at most maxTokens pieces, unknown words among them.
func (t *Tokenizer) AppendKnown(ids []int32, text string, maxTokens int, b *Buffers) []int32 {
	return t.appendIDs(ids, b.normalize(text, t.settings), maxTokens, false)
}

// AppendAll appends the ids of a text's first maxTokens pieces; an unknown word is one piece with an id of its own.
func (t *Tokenizer) AppendAll(ids []int32, text string, maxTokens int, b *Buffers) []int32 {
	return t.appendIDs(ids, b.normalize(text, t.settings), maxTokens, true)
}

func (t *Tokenizer) appendIDs(ids []int32, text []byte, maxTokens int, unknown bool) []int32 {
	read := 0
	for start := 0; start < len(text) && read < maxTokens; {
		if text[start] == ' ' {
			start++
			continue
		}
		end := nextWord(text, start)
		before := len(ids)
		ids = t.appendWord(ids, text[start:end])
		if unknown && len(ids) == before {
			ids = append(ids, t.unknown)
		}
		read += max(len(ids)-before, 1)
		start = end
	}
	return ids[:len(ids)-max(0, read-maxTokens)]
}

// appendWord appends the pieces of a word, or nothing when a part of it is in no vocabulary.
func (t *Tokenizer) appendWord(ids []int32, word []byte) []int32 {
	if len(word) > t.maxRunes && utf8.RuneCount(word) > t.maxRunes {
		return ids
	}
	before := len(ids)
	pieces := &t.first
	for len(word) > 0 {
		id, length := pieces.longestPrefix(word)
		if length == 0 {
			return ids[:before]
		}
		ids = append(ids, id)
		word = word[length:]
		pieces = &t.later
	}
	if len(ids) == before+1 && ids[before] == t.unknown {
		return ids[:before]
	}
	return ids
}

// nextWord finds the end of the word or mark that starts at start, where no blank is.
func nextWord(text []byte, start int) int {
	for end := start; end < len(text); {
		r, size := rune(text[end]), 1
		if r == ' ' {
			return end
		}
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[end:])
		}
		if isMark(r) {
			if end == start {
				return end + size
			}
			return end
		}
		end += size
	}
	return len(text)
}
