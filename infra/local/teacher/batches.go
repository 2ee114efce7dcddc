package teacher

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxBatch is the size of the largest batch, in bytes.
const maxBatch = 256 << 20

// BatchFaults says how batches fare. Counts are used up by the batches that come next.
type BatchFaults struct {
	LatencyMS int     `json:"batch_latency_ms"` // how long a batch takes
	Expired   float64 `json:"batch_expired"`    // share of requests that expire unanswered
	Errored   float64 `json:"batch_errored"`    // share of requests that end in an error of the server
	Done      float64 `json:"batch_done"`       // share of requests that a batch has answered when it is canceled
	Failed    int     `json:"batch_failed"`     // so many batches fail as a whole
	Full      int     `json:"batch_full"`       // so many batches find no room in the queue; OpenAI only
	Cut       int     `json:"batch_cut"`        // so many are made, and the reply is cut off
	Lost      int     `json:"batch_lost"`       // so many are not made, and the reply is cut off
}

func (f BatchFaults) validate() error {
	if f.LatencyMS < 0 || f.Failed < 0 || f.Full < 0 || f.Cut < 0 || f.Lost < 0 {
		return errors.New("faults: batch_latency_ms, batch_failed, batch_full, batch_cut and batch_lost must not be negative")
	}
	if !(f.Expired >= 0 && f.Errored >= 0 && f.Expired+f.Errored <= 1 && f.Done >= 0 && f.Done <= 1) {
		return errors.New("faults: batch_expired, batch_errored (with it) and batch_done must be between 0 and 1")
	}
	return nil
}

// batch is one that was made.
type batch struct {
	id       string
	dialect  dialect
	messages bool // the dialect is Anthropic's
	made     time.Time
	takes    time.Duration
	name     map[string]string // OpenAI's metadata
	lines    []batchLine
	failure  string // of the whole
	canceled bool
	outcomes []outcome // nil until it has ended
}

type batchLine struct {
	id   string // custom_id
	body json.RawMessage
}

// outcome is what came of one request of a batch.
type outcome struct {
	id      string
	status  string          // answered, refused, errored, expired, canceled
	body    json.RawMessage // of the answer or the error
	refusal *refusal
}

// batches keeps the batches of all protocols, in the order in which they were made. They end with the process.
type batches struct {
	mu    sync.Mutex
	all   []*batch
	made  int         // ever, so that no id comes twice
	used  BatchFaults // counts that were used up since the faults were set
	files map[string][]byte
}

// forget begins the counts of faults anew.
func (b *batches) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = BatchFaults{}
}

// clear forgets all batches.
func (b *batches) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all, b.files = nil, nil
}

// use takes one of a count, while there is one. The caller holds mu.
func use(used *int, of int) bool {
	if *used >= of {
		return false
	}
	*used++
	return true
}

// add makes a batch; cut tells that its maker must not hear of it. It gives nil where nothing was made.
func (s *Server) add(of batch) (b *batch, cut bool) {
	f := s.present().BatchFaults
	s.batches.mu.Lock()
	defer s.batches.mu.Unlock()
	if use(&s.batches.used.Lost, f.Lost) {
		return nil, true
	}
	b = &of
	s.batches.made++
	b.id, b.made, b.takes = fmt.Sprintf("batch_%06d", s.batches.made), s.gate.now(), time.Duration(f.LatencyMS)*time.Millisecond
	switch {
	case b.failure != "":
	case use(&s.batches.used.Full, f.Full):
		b.failure = "token_limit_exceeded"
	case use(&s.batches.used.Failed, f.Failed):
		b.failure = "batch_failed"
	}
	s.batches.all = append(s.batches.all, b)
	s.book.batch()
	return b.copied(), use(&s.batches.used.Cut, f.Cut)
}

// look shows a batch as it stands now; nil = there is none.
func (s *Server) look(id string) *batch {
	s.batches.mu.Lock()
	defer s.batches.mu.Unlock()
	b := s.batches.find(id)
	if b == nil {
		return nil
	}
	s.advance(b)
	return b.copied()
}

// find finds a batch. The caller holds mu.
func (b *batches) find(id string) *batch {
	for _, of := range b.all {
		if of.id == id {
			return of
		}
	}
	return nil
}

// copied is what can be shown of a batch while others change it.
func (b *batch) copied() *batch {
	c := *b
	return &c
}

// advance ends a batch whose time has come. The caller holds mu.
func (s *Server) advance(b *batch) {
	if b.outcomes != nil || (!b.canceled && s.gate.now().Sub(b.made) < b.takes) {
		return
	}
	f := s.present().BatchFaults
	b.outcomes = make([]outcome, 0, len(b.lines))
	if b.failure != "" {
		return
	}
	for _, l := range b.lines {
		b.outcomes = append(b.outcomes, s.come(b, l, f))
	}
}

// come is what comes of a request of a batch that ends.
func (s *Server) come(b *batch, l batchLine, f BatchFaults) outcome {
	id := sha256.Sum256(l.body)
	out := outcome{id: l.id}
	switch at := place(id, 0); {
	case b.canceled && at >= f.Done:
		out.status = "canceled"
		return out
	case !b.canceled && at < f.Expired:
		out.status = "expired"
		return out
	case !b.canceled && at < f.Expired+f.Errored:
		out.status, out.refusal = "errored", &refusal{http.StatusInternalServerError, "server_error", "", "the server failed (injected)"}
	default:
		var a answer
		if a, out.refusal = s.answer(b.dialect, l.body); out.refusal == nil {
			s.book.inBatch(id, a.input+a.output)
			out.status, out.body = "answered", marshal(b.dialect.write(hex.EncodeToString(id[:12]), a))
			return out
		}
		out.status = "refused"
	}
	out.body = marshal(b.dialect.problem(*out.refusal))
	return out
}

// cancel ends a batch early and shows it then; false = it had ended.
func (s *Server) cancel(id string) (*batch, bool) {
	s.batches.mu.Lock()
	defer s.batches.mu.Unlock()
	b := s.batches.find(id)
	if b.outcomes != nil {
		return b.copied(), false
	}
	b.canceled = true
	s.book.batchCanceled()
	s.advance(b)
	return b.copied(), true
}

// newest lists up to so many batches of a protocol, the last made first, behind one of them; more tells that there are others.
func (s *Server) newest(ours func(*batch) bool, after string, limit int) (page []*batch, more bool) {
	s.batches.mu.Lock()
	defer s.batches.mu.Unlock()
	behind := after == ""
	for _, b := range slices.Backward(s.batches.all) {
		switch {
		case !ours(b):
		case !behind:
			behind = b.id == after
		case len(page) == limit:
			return page, true
		default:
			s.advance(b)
			page = append(page, b.copied())
		}
	}
	return page, false
}

// tally counts the outcomes by status; what has not ended is processing.
func (b *batch) tally() map[string]int {
	counts := map[string]int{}
	if b.outcomes == nil {
		counts["processing"] = len(b.lines)
	}
	for _, o := range b.outcomes {
		counts[o.status]++
	}
	return counts
}

func marshal(body any) json.RawMessage {
	data, err := json.Marshal(body)
	if err != nil { // every body of this package can be marshaled
		panic(err)
	}
	return data
}
