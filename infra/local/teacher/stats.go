package teacher

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// Stats is what the teacher has done since it started or was reset. Requests are told apart by the SHA-256 of their bodies.
type Stats struct {
	Requests     int           `json:"requests"`           // chat completions asked for
	Answered     int           `json:"answered"`           // chat completions sent whole with status 200, those of no use included
	Tokens       int           `json:"tokens"`             // of the answers: what a provider would bill
	Refused      int           `json:"refused"`            // answered 4xx for what they ask
	Limited      int           `json:"limited"`            // answered 429 for the limits
	Faults       map[fault]int `json:"faults"`             // injected, by kind
	Distinct     int           `json:"distinct"`           // different requests
	Repeated     int           `json:"repeated"`           // of them, those answered more than once: paid twice
	InFlight     int           `json:"in_flight"`          // now
	MaxInFlight  int           `json:"max_in_flight"`      // at one time
	Batches      int           `json:"batches"`            // made
	Batched      int           `json:"batched"`            // answers given in batches, part of Answered
	Canceled     int           `json:"batches_canceled"`   //
	FirstRequest int64         `json:"first_request_nano"` // Unix time in nanoseconds; 0 = none yet
	LastAnswer   int64         `json:"last_answer_nano"`   // Unix time in nanoseconds; 0 = none yet
}

// book keeps the count.
type book struct {
	mu       sync.Mutex
	total    Stats
	requests map[[sha256.Size]byte]tally
}

// tally is what became of one request.
type tally struct{ attempts, answers uint32 }

func newBook() *book {
	b := &book{}
	b.clear()
	return b
}

func (b *book) clear() {
	b.total = Stats{Faults: map[fault]int{}, InFlight: b.total.InFlight, MaxInFlight: b.total.InFlight}
	b.requests = map[[sha256.Size]byte]tally{}
}

// begin enters a request and says which attempt of it this is, from 1.
func (b *book) begin(id [sha256.Size]byte) (attempt int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total.Requests == 0 {
		b.total.FirstRequest = time.Now().UnixNano()
	}
	b.total.Requests++
	b.total.InFlight++
	b.total.MaxInFlight = max(b.total.MaxInFlight, b.total.InFlight)
	t := b.requests[id]
	t.attempts++
	b.requests[id] = t
	return int(t.attempts)
}

// end is called once for each begin.
func (b *book) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.InFlight--
}

func (b *book) refused() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.Refused++
}

func (b *book) limited() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.Limited++
}

// allow enters a fault, unless there were as many as may be.
func (b *book) allow(f fault, bound int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := 0
	for _, n := range b.total.Faults {
		sum += n
	}
	if bound > 0 && sum >= bound {
		return false
	}
	b.total.Faults[f]++
	return true
}

// batch enters that a batch was made.
func (b *book) batch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.Batches++
}

func (b *book) batchCanceled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.Canceled++
}

// inBatch enters an answer that a batch has given.
func (b *book) inBatch(id [sha256.Size]byte, tokens int) {
	b.answered(id, tokens)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.Batched++
}

func (b *book) answered(id [sha256.Size]byte, tokens int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.Answered++
	b.total.Tokens += tokens
	b.total.LastAnswer = time.Now().UnixNano()
	t := b.requests[id]
	t.answers++
	b.requests[id] = t
	if t.answers == 2 {
		b.total.Repeated++
	}
}

func (b *book) stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.total
	out.Faults = maps.Clone(b.total.Faults)
	out.Distinct = len(b.requests)
	return out
}

func (b *book) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
}
