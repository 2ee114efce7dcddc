package llm

import (
	"context"
	"time"
)

// BackoffFirst is the first pause after a failure.
const BackoffFirst = backoffFirst

// NoWaits makes a store try again at once.
func (s *Store) NoWaits() { s.sleep = func(context.Context, time.Duration) error { return nil } }

// Stored counts the answers that a store knows of.
func (s *Store) Stored() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logs {
		l.mu.Lock()
		n += len(l.places)
		l.mu.Unlock()
	}
	return n
}

// Pending counts the answers that wait for a segment.
func (l *Log) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)
}

// Logs counts the logs that a store holds in memory.
func (s *Store) Logs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.logs)
}
