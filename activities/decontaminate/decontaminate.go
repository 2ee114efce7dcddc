// Package decontaminate finds texts that a benchmark holds too, so that no student is trained on what it will be tested with.
//
// A text is of a benchmark when it shares n words in a row with one of its texts (13 in GPT-3, arXiv 2005.14165, appendix C). Words are what
// white space separates, in lower case, of letters, marks and digits alone; each character of a script without spaces is a word. Of texts
// too short for that the whole must be the same: in lower case, white space as one space, punctuation included, since it carries the
// meaning of "2+2" and "2-2". A short text counts when it has at least five words, or is the longest of its record and has at least three,
// so that answers such as "True" make no leak.
//
// It stands beside retrieve, which leaves such rows out before a teacher is paid for them.
package decontaminate

import (
	"slices"
	"sort"
	"strings"

	"github.com/rebased/rebased"
)

// How many words a short text needs to count, and the longest of a record.
const (
	fewestWords        = 5
	fewestWordsLongest = 3
)

// MaxBytes is how much text a Set may be made for: its places have 32 bits.
const MaxBytes = 1 << 30

// Set is the texts of some benchmarks. It is built by Add and then, unchanged, read by any number of goroutines.
type Set struct {
	n       int
	words   []byte // of all texts of n words and more: each word and a space
	grams   table
	short   map[string]int32 // whole text -> place of its record
	wholes  map[whole]int32  // the same of texts of n words and more
	bytes   int              // of the keys of short
	records []record
	files   []File
	most    int
}

// File is one benchmark file.
type File struct {
	Name   string
	Rows   int
	Pieces int // pieces of n words, and texts too short for that, which no file before has
}

// record is where the words of one record of a file begin.
type record struct {
	begin uint32
	file  int32
	line  int32
}

// Leak is what a text shares with a benchmark.
type Leak struct {
	File string `json:"file"` // of the benchmark
	Line int    `json:"line"` // of the record there, from 1
	Text string `json:"text"` // the words shared, or the whole text
}

// New makes an empty set of benchmarks for n words in a row, that holds about so many bytes of text, at most MaxBytes.
func New(n, bytes int) *Set {
	return &Set{n: n, short: map[string]int32{}, wholes: map[whole]int32{}, most: min(bytes, MaxBytes)}
}

// Begin says which file the next records are of.
func (s *Set) Begin(file string) { s.files = append(s.files, File{Name: file}) }

// Files lists what was taken in.
func (s *Set) Files() []File { return slices.Clone(s.files) }

// Add takes in the texts of one record, the line-th of the file, from 1. Invalid: the benchmarks are too large.
func (s *Set) Add(line int, texts []string) error {
	before := s.pieces()
	place := int32(len(s.records))                                                                                       //nolint:gosec // bounded by MaxBytes
	s.records = append(s.records, record{begin: uint32(len(s.words)), file: int32(len(s.files) - 1), line: int32(line)}) //nolint:gosec // the same
	var w words
	longest, most := -1, 0
	for i, text := range texts {
		w.reset()
		w.add(text)
		if len(w.ends) > most {
			longest, most = i, len(w.ends)
		}
		switch {
		case len(w.ends) >= s.n:
			s.addGrams(&w)
			if sum := wholeOf(&w); s.wholes[sum] == 0 {
				s.wholes[sum] = place + 1
			}
		case len(w.ends) >= fewestWords:
			s.addShort(text, place)
		}
	}
	if most >= fewestWordsLongest && most < min(s.n, fewestWords) {
		s.addShort(texts[longest], place)
	}
	file := &s.files[len(s.files)-1]
	file.Rows, file.Pieces = file.Rows+1, file.Pieces+s.pieces()-before
	if s.Bytes() > s.most {
		return rebased.E(rebased.Invalid, "decontaminate.files: the benchmarks have over %d MiB of text: name fewer or smaller files", s.most>>20)
	}
	return nil
}

// Bytes is how much text the set holds; it takes some six times as much memory.
func (s *Set) Bytes() int { return len(s.words) + s.bytes }

func (s *Set) pieces() int { return s.grams.used + len(s.short) }

func (s *Set) addShort(text string, place int32) {
	whole := plain(text)
	if _, known := s.short[whole]; !known {
		s.short[whole] = place
		s.bytes += len(whole)
	}
}

// addGrams keeps a text's words if they have a piece that was not known.
func (s *Set) addGrams(w *words) {
	base, fresh := len(s.words), false
	w.grams(s.n, func(hash uint64, from, to int) bool {
		if _, known := s.known(hash, w.text[from:to]); !known {
			if !fresh {
				fresh = true
				s.words = append(s.words, w.text...)
			}
			s.grams.put(hash, uint32(base+from)) //nolint:gosec // bounded by MaxBytes and one record
		}
		return true
	})
}

// known finds where the set has a piece of words.
func (s *Set) known(hash uint64, piece []byte) (at uint32, ok bool) {
	for at := range s.grams.all(hash) {
		if end := int(at) + len(piece); end <= len(s.words) && string(s.words[at:end]) == string(piece) {
			return at, true
		}
	}
	return 0, false
}

// Find looks for the first of some texts, those of one row, that a benchmark holds too.
func (s *Set) Find(texts []string) (leak Leak, found bool) { return s.FindBut(nil, texts) }

// FindBut is Find for the examples of a task. A piece of which more than half the words are the task's own makes no leak; a text that is as a whole
// one of a benchmark does, however many of its words are, unless it is short and the task says it itself.
func (s *Set) FindBut(own *Own, texts []string) (leak Leak, found bool) {
	var w words
	for _, text := range texts {
		w.reset()
		w.add(text)
		if len(w.ends) < s.n {
			if place, ok := s.shortText(own, text, len(w.ends)); ok {
				return s.leak(s.records[place], strings.TrimSpace(text)), true
			}
			continue
		}
		if leak, found = s.longText(own, &w); found {
			return leak, true
		}
	}
	return Leak{}, false
}

func (s *Set) longText(own *Own, w *words) (leak Leak, found bool) {
	var said []int32 // nil = none of it is the task's own
	if own != nil {
		said = own.said(w)
	}
	last := s.n - 1 // word of the piece
	w.grams(s.n, func(hash uint64, from, to int) bool {
		last++
		if said != nil && 2*int(said[last]-said[last-s.n]) > s.n {
			return true
		}
		if at, ok := s.known(hash, w.text[from:to]); ok {
			leak, found = s.leak(s.holder(at), strings.TrimSuffix(string(w.text[from:to]), " ")), true
		}
		return !found
	})
	if found || said == nil {
		return leak, found
	}
	if place := s.wholes[wholeOf(w)]; place > 0 {
		return s.leak(s.records[place-1], strings.TrimSuffix(string(w.text), " ")), true
	}
	return Leak{}, false
}

func (s *Set) shortText(own *Own, text string, words int) (place int32, ok bool) {
	if words < fewestWordsLongest || len(s.short) == 0 {
		return 0, false
	}
	whole := plain(text)
	if own != nil {
		if _, said := own.wholes[whole]; said {
			return 0, false
		}
	}
	place, ok = s.short[whole]
	return place, ok
}

// holder finds the record whose words stand at a place.
func (s *Set) holder(at uint32) record {
	return s.records[sort.Search(len(s.records), func(i int) bool { return s.records[i].begin > at })-1]
}

func (s *Set) leak(r record, text string) Leak {
	return Leak{File: s.files[r.file].Name, Line: int(r.line), Text: text}
}
