package llm

import (
	"bytes"
	"container/list"
	"encoding/json"
	"fmt"
)

// segment is the content of one object of a log: a JSON line {"key", "answer"} for each answer.
type segment map[Key]Answer

type segmentLine struct {
	Key    Key    `json:"key"`
	Answer Answer `json:"answer"`
}

func encodeSegment(batch []*write) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	for _, w := range batch {
		_ = encoder.Encode(segmentLine{Key: w.key, Answer: w.answer}) // strings and numbers only: cannot fail
	}
	return buffer.Bytes()
}

func decodeSegment(body []byte) (segment, error) {
	s := segment{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	for decoder.More() {
		var line segmentLine
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("stored answers are damaged at byte %d: %w", decoder.InputOffset(), err)
		}
		if _, known := s[line.Key]; !known {
			s[line.Key] = line.Answer
		}
	}
	return s, nil
}

// segmentCache keeps the segments used last, up to a number of bytes of text.
type segmentCache struct {
	limit, size int
	order       *list.List // of *cachedSegment, the last used in front
	entries     map[int]*list.Element
}

type cachedSegment struct {
	number, size int
	segment      segment
}

func newSegmentCache(limit int) *segmentCache {
	return &segmentCache{limit: limit, order: list.New(), entries: map[int]*list.Element{}}
}

func (c *segmentCache) get(n int) (segment, bool) {
	e, ok := c.entries[n]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedSegment).segment, true
}

func (c *segmentCache) add(n int, s segment) {
	if e, ok := c.entries[n]; ok {
		c.order.MoveToFront(e)
		return
	}
	entry := &cachedSegment{number: n, segment: s}
	for key, a := range s {
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
