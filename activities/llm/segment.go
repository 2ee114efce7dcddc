package llm

import (
	"bytes"
	"container/list"
	"encoding/json"
	"fmt"

	"github.com/rebased/rebased"
)

// line is one line of a segment: an answer, or an entry of the books of the account By (see account).
type line struct {
	Key    Key     `json:"key"`
	Answer *Answer `json:"answer,omitempty"`
	By     string  `json:"by,omitempty"`
	// Sent names one sending of the request; the line with its outcome repeats it.
	Sent  string         `json:"sent,omitempty"`
	Bound *rebased.Usage `json:"bound,omitempty"` // about to be sent: the most that it may use
	Batch bool           `json:"batch,omitempty"` // Bound is at the price of a batch
	Void  bool           `json:"void,omitempty"`  // the outcome: not billed
}

// segment is the content of one object of a log, in order.
type segment struct {
	answers map[Key]Answer
	lines   []line // answers and entries; nil once they are in the books
	size    int    // bytes
}

func encodeSegment(lines []line) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	for _, l := range lines {
		_ = encoder.Encode(l) // strings and numbers only: cannot fail
	}
	return buffer.Bytes()
}

func decodeSegment(body []byte) (segment, error) {
	var lines []line
	decoder := json.NewDecoder(bytes.NewReader(body))
	for decoder.More() {
		var l line
		if err := decoder.Decode(&l); err != nil {
			return segment{}, fmt.Errorf("stored answers are damaged at byte %d: %w", decoder.InputOffset(), err)
		}
		lines = append(lines, l)
	}
	return segmentOf(lines, len(body)), nil
}

// segmentOf indexes lines; the first answer under a key counts.
func segmentOf(lines []line, size int) segment {
	s := segment{answers: make(map[Key]Answer, len(lines)), lines: lines, size: size}
	for _, l := range lines {
		if _, known := s.answers[l.Key]; l.Answer != nil && !known {
			s.answers[l.Key] = *l.Answer
		}
	}
	return s
}

// segmentCache keeps the answers of the segments used last, up to a number of bytes of text.
type segmentCache struct {
	limit, size int
	order       *list.List // of *cachedSegment, the last used in front
	entries     map[int]*list.Element
}

// drop removes a segment that is not as it was.
func (c *segmentCache) drop(n int) {
	if e, ok := c.entries[n]; ok {
		c.size -= c.order.Remove(e).(*cachedSegment).size
		delete(c.entries, n)
	}
}

type cachedSegment struct {
	number, size int
	answers      map[Key]Answer
}

func newSegmentCache(limit int) *segmentCache {
	return &segmentCache{limit: limit, order: list.New(), entries: map[int]*list.Element{}}
}

func (c *segmentCache) get(n int) (map[Key]Answer, bool) {
	e, ok := c.entries[n]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedSegment).answers, true
}

func (c *segmentCache) add(n int, answers map[Key]Answer) {
	if e, ok := c.entries[n]; ok {
		c.order.MoveToFront(e)
		return
	}
	entry := &cachedSegment{number: n, answers: answers}
	for key, a := range answers {
		entry.size += len(key) + len(a.Text) + len(a.Model) + 128
	}
	c.entries[n] = c.order.PushFront(entry)
	c.size += entry.size
	for c.size > c.limit && c.order.Len() > 1 {
		oldest := c.order.Back()
		gone := c.order.Remove(oldest).(*cachedSegment)
		delete(c.entries, gone.number)
		c.size -= gone.size
	}
}
