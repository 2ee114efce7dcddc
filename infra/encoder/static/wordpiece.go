package static

import "unicode/utf8"

// wordPiece cuts normalized text into the ids of word pieces as BERT does: words at white space, each punctuation mark a word of its own,
// each word by greedy longest match from its start.
type wordPiece struct {
	settings     normalization
	size         int        // tokens in the vocabulary
	first, later vocabulary // pieces that start a word, and pieces that go on (without their prefix)
	unknown      int32
	maxRunes     int // a longer word is unknown as a whole
}

// appendIDs appends the ids of known pieces in normalized text, reading at most maxTokens pieces, unknown words among them.
func (w *wordPiece) appendIDs(ids []int32, text []byte, maxTokens int) []int32 {
	read := 0
	for start := 0; start < len(text) && read < maxTokens; {
		if text[start] == ' ' {
			start++
			continue
		}
		end := nextWord(text, start)
		before := len(ids)
		ids = w.appendWord(ids, text[start:end])
		read += max(len(ids)-before, 1)
		start = end
	}
	return ids[:len(ids)-max(0, read-maxTokens)]
}

// appendWord appends the pieces of a word, or nothing when a part of it is in no vocabulary.
func (w *wordPiece) appendWord(ids []int32, word []byte) []int32 {
	if len(word) > w.maxRunes && utf8.RuneCount(word) > w.maxRunes {
		return ids
	}
	before := len(ids)
	pieces := &w.first
	for len(word) > 0 {
		id, length := pieces.longestPrefix(word)
		if length == 0 {
			return ids[:before]
		}
		ids = append(ids, id)
		word = word[length:]
		pieces = &w.later
	}
	if len(ids) == before+1 && ids[before] == w.unknown {
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
