package rebased

import (
	"crypto/sha256"
	"encoding/binary"
)

// RowID names a row by what it says: equal rows of one dataset split differ by their occurrence only, so that a row keeps its id when others
// come and go. It has the form of a UUID, in lower case.
type RowID string

// Cell is one column of one row. Column is the dotted name of a flattened field.
type Cell struct {
	Column string `json:"column"`
	Text   string `json:"text"`
}

// Row is one row of a corpus, its cells in the order of the source.
type Row struct {
	ID      RowID     `json:"id"`
	Dataset DatasetID `json:"dataset"`
	Cells   []Cell    `json:"cells"`
}

// NewRowID derives the id of a row from its dataset, its cells and how many equal rows stood before it in the same split.
func NewRowID(dataset DatasetID, cells []Cell, occurrence int) RowID {
	var small [4096]byte
	said := small[:0]
	field := func(s string) {
		said = binary.LittleEndian.AppendUint64(said, uint64(len(s)))
		said = append(said, s...)
	}
	field(dataset.Name)
	field(dataset.Config)
	field(dataset.Split)
	for _, c := range cells {
		field(c.Column)
		field(c.Text)
	}
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(said, uint64(occurrence))) //nolint:gosec // a count is never negative
	return RowID(uuid(sum[:]))
}

// uuid writes the first 16 bytes of a hash in the form of a version 8 (custom) UUID, RFC 9562.
func uuid(sum []byte) string {
	var b RowKey
	copy(b[:], sum)
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return string(b.ID())
}

// RowKey is a RowID in 16 bytes, for tables of very many rows. Keys have the order of their ids.
type RowKey [16]byte

// Key gives the key of an id. Invalid: it has not the form of one.
func (id RowID) Key() (RowKey, error) {
	var key RowKey
	if len(id) != idBytes {
		return RowKey{}, id.invalid()
	}
	at := 0
	for i := range key {
		if dashBefore(i) {
			if id[at] != '-' {
				return RowKey{}, id.invalid()
			}
			at++
		}
		high, low := hexValue(id[at]), hexValue(id[at+1])
		if high|low > 0xf {
			return RowKey{}, id.invalid()
		}
		key[i] = high<<4 | low
		at += 2
	}
	return key, nil
}

const idBytes = len("00000000-0000-0000-0000-000000000000")

func dashBefore(i int) bool { return i == 4 || i == 6 || i == 8 || i == 10 }

// hexValue is that of a digit in lower case, 0xff of anything else.
func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

func (id RowID) invalid() error {
	return E(Invalid, "row id %q is no UUID in lower case", string(id))
}

// ID writes the key as an id.
func (k RowKey) ID() RowID {
	id := make([]byte, 0, idBytes)
	for i, b := range k {
		if dashBefore(i) {
			id = append(id, '-')
		}
		id = append(id, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&0xf])
	}
	return RowID(id)
}

// Scores are the terms of the method's row score (arXiv 2407.05463), each a cosine in [-1, 1], and the columns that decided the first two.
type Scores struct {
	Total     float32 `json:"score"` // (In + Out + Data) / 3
	In        float32 `json:"score_in"`
	Out       float32 `json:"score_out"`
	Data      float32 `json:"score_data"`
	InColumn  string  `json:"in_column"`
	OutColumn string  `json:"out_column"`
}

// Candidate is a retrieved row: the row, its place in the ranking (0 = best), its scores and where its dataset came from.
type Candidate struct {
	Row
	Scores
	Rank     int    `json:"rank"`
	License  string `json:"license"`
	Revision string `json:"revision"` // source revision of the dataset
}
