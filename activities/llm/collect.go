package llm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// Collection says which stored answers go.
type Collection struct {
	// Needed tells whether an answer must stay.
	Needed func(Key) bool
	// Open tells whether an account may still be asked what it has spent: all its lines stay.
	Open func(account string) bool
	// Answered and Written are before when an answer was given, and its segment written, for it to go.
	Answered, Written time.Time
	// Before is called before a segment is replaced, with what is to go of it. Its error ends the collection. nil = nothing is replaced.
	Before func(ctx context.Context) error
	// Gone is told of each segment of which something went, or would go.
	Gone func(answers int, bytes int64)
}

// Collect removes answers from the store. A segment keeps its number, with the lines that stay, be it none: no number is ever given again, and who has
// read the log before finds that an answer has gone when it opens the log again, or reads the segment. A segment that somebody else has replaced meanwhile stays as it is.
// What a build under way uses must be Needed, or there must be none; see Log.Get for one that has read the log before.
func (s *Store) Collect(ctx context.Context, c Collection) error {
	for object, err := range s.objects.List(ctx, rebased.ResponsesPrefix) {
		switch {
		case err != nil:
			return fmt.Errorf("list the stored answers: %w", err)
		case strings.HasPrefix(object.Key, batchesPrefix) || !object.Modified.Before(c.Written) || object.Size == 0:
			continue
		}
		scope, name, _ := strings.Cut(strings.TrimPrefix(object.Key, rebased.ResponsesPrefix), "/")
		if _, ok := segmentNumber("", name); !ok || scope == "" {
			continue
		}
		if err := s.collect(ctx, object, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) collect(ctx context.Context, object rebased.Object, c Collection) error {
	body, etag, err := s.objects.Get(ctx, object.Key)
	if err != nil {
		return fmt.Errorf("read stored answers: %w", err)
	}
	whole, err := decodeSegment(body)
	if err != nil {
		return rebased.E(rebased.Invalid, "%s: %w", object.Key, err)
	}
	var stay []line
	answers := 0
	for _, l := range whole.lines {
		switch {
		case c.stays(l):
			stay = append(stay, l)
		case l.Answer != nil:
			answers++
		}
	}
	if len(stay) == len(whole.lines) {
		return nil
	}
	left := encodeSegment(stay)
	if c.Before != nil {
		if err := c.Before(ctx); err != nil {
			return err
		}
		if _, err := s.objects.PutIfMatch(ctx, object.Key, etag, left); rebased.KindOf(err) == rebased.Conflict {
			return nil
		} else if err != nil {
			return err
		}
	}
	c.Gone(answers, int64(len(body)-len(left)))
	return nil
}

// stays tells whether a line of an old segment stays. Entries of the books go with their account.
func (c Collection) stays(l line) bool {
	if l.By != "" && c.Open(l.By) {
		return true
	}
	return l.Answer != nil && (c.Needed(l.Key) || !time.UnixMilli(l.Answer.At).Before(c.Answered))
}

// relearn reads segments anew of which answers were collected, and forgets these.
func (l *Log) relearn(ctx context.Context, numbers []int) error {
	there := make(map[int]places, len(numbers))
	sizes := make(map[int]int, len(numbers))
	for _, n := range numbers {
		s, err := l.read(ctx, n)
		if err != nil {
			return err
		}
		there[n], sizes[n] = places{}, s.size
		for key := range s.answers {
			there[n].learn(key, n)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, n := range l.places {
		if stay, changed := there[int(n)]; changed {
			if _, stays := stay[key]; !stays {
				delete(l.places, key)
			}
		}
	}
	for n, size := range sizes {
		l.cache.drop(n)
		l.sizes[n] = size
	}
	return nil
}
