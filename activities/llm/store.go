package llm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Store keeps answers in the bucket, for good, under their keys.
//
// Answers of one scope stand in a log of numbered segments, responses/<scope>/0000000001.jsonl and so on, each written with put-if-absent:
// who loses the race for a number reads what won, learns of the answers in it and takes the next number. So all workers see one order, the
// first answer stored under a key is the one that counts, and answers that finish while a segment is being written share the next one.
type Store struct {
	objects rebased.Objects
	sleep   func(context.Context, time.Duration) error

	mu   sync.Mutex
	logs map[string]*Log
}

// NewStore keeps answers in objects.
func NewStore(objects rebased.Objects) *Store {
	return &Store{objects: objects, sleep: rebased.Sleep, logs: map[string]*Log{}}
}

// Open gives the log of a scope with everything that is stored in it by now. It stays in memory until all who have opened it have closed it.
func (s *Store) Open(ctx context.Context, scope string) (*Log, error) {
	s.mu.Lock()
	l := s.logs[scope]
	if l == nil {
		l = newLog(s, scope)
		s.logs[scope] = l
	}
	l.users++
	s.mu.Unlock()
	if err := l.refresh(ctx); err != nil {
		l.Close()
		return nil, fmt.Errorf("read stored answers: %w", err)
	}
	return l, nil
}

// Close says that the log is not needed any more by one who has opened it. Nobody's log is forgotten some seconds later, unless it is opened again: a
// build of many rows needs the memory of its index for what comes next, and a process that runs for years that of all of them.
func (l *Log) Close() {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.users--; l.users == 0 {
		time.AfterFunc(keptIdle, l.forget)
	}
}

// forget drops a log that nobody uses and that has stored all it was given.
func (l *Log) forget() {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case l.users > 0 || s.logs[l.scope] != l:
	case l.idle():
		delete(s.logs, l.scope)
	default:
		time.AfterFunc(keptIdle, l.forget)
	}
}

// Drain waits until every answer that was paid for is durable, or ctx ends.
func (s *Store) Drain(ctx context.Context) error {
	for {
		s.mu.Lock()
		busy := false
		for _, l := range s.logs {
			busy = busy || !l.idle()
		}
		s.mu.Unlock()
		if !busy {
			return nil
		}
		if err := s.sleep(ctx, drainPoll); err != nil {
			return fmt.Errorf("answers are still being stored: %w", err)
		}
	}
}

const (
	keptIdle      = 5 * time.Second // a log that nobody uses
	drainPoll     = 20 * time.Millisecond
	loadParallel  = 8       // segments read at once
	loadStep      = 16      // segments read before what they say is taken in
	cacheBytes    = 8 << 20 // text of answers kept in memory a log, beyond the index
	flushRetry    = 200 * time.Millisecond
	flushRetryMax = 10 * time.Second
)

// Log holds the answers of one scope.
type Log struct {
	store  *Store
	scope  string
	prefix string
	users  int // who have opened it; under the store's mu

	mu       sync.Mutex
	places   places
	accounts map[string]*account // the books
	cache    *segmentCache       // answers of segments read or written of late
	next     int                 // number of the first segment that is not known
	sizes    map[int]int         // of the known segments, bytes
	pending  []*write            // lines that wait for the next segment
	flushing bool
	calls    map[Key]chan struct{} // calls under way; closed when they end
}

type write struct {
	line   line
	answer Answer // after done: the answer that counts
	done   chan struct{}
}

// wait waits until the line is durable; when ctx ends, only the wait ends.
func (w *write) wait(ctx context.Context) error {
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newLog(s *Store, scope string) *Log {
	return &Log{
		store: s, scope: scope, prefix: rebased.ResponsesPrefix + scope + "/", places: places{}, accounts: map[string]*account{},
		cache: newSegmentCache(cacheBytes), next: 1, sizes: map[int]int{}, calls: map[Key]chan struct{}{},
	}
}

func (l *Log) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.flushing && len(l.pending) == 0 && len(l.calls) == 0
}

func (l *Log) segmentKey(n int) string { return fmt.Sprintf("%s%010d.jsonl", l.prefix, n) }

func segmentNumber(prefix, key string) (n int, ok bool) {
	_, err := fmt.Sscanf(strings.TrimPrefix(key, prefix), "%d.jsonl", &n)
	return n, err == nil
}

// refresh reads the segments that others wrote since the last look, and takes in what was collected.
func (l *Log) refresh(ctx context.Context) error {
	l.mu.Lock()
	first, sizes := l.next, maps.Clone(l.sizes)
	l.mu.Unlock()
	last := first - 1
	empty := map[int]bool{} // their answers were all collected
	var collected []int
	for object, err := range l.store.objects.List(ctx, l.prefix) {
		if err != nil {
			return err
		}
		n, ok := segmentNumber(l.prefix, object.Key)
		switch {
		case ok && n >= first:
			last = max(last, n)
			empty[n] = object.Size == 0
		case ok && int64(sizes[n]) != object.Size:
			collected = append(collected, n)
		}
	}
	if err := l.relearn(ctx, collected); err != nil {
		return err
	}
	for ; first <= last; first += loadStep {
		if err := l.load(ctx, first, min(last, first+loadStep-1), empty); err != nil {
			return err
		}
	}
	return nil
}

// load reads the segments from a first to a last one and takes in what they say.
func (l *Log) load(ctx context.Context, first, last int, empty map[int]bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loadParallel)
	segments := make([]segment, last-first+1)
	for i := range segments {
		if empty[first+i] {
			continue
		}
		group.Go(func() (err error) {
			segments[i], err = l.read(ctx, first+i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range segments {
		l.learn(first+i, s)
	}
	return nil
}

func (l *Log) read(ctx context.Context, n int) (segment, error) {
	body, _, err := l.store.objects.Get(ctx, l.segmentKey(n))
	if err != nil {
		return segment{}, err
	}
	s, err := decodeSegment(body)
	if err != nil {
		return segment{}, rebased.E(rebased.Invalid, "%s: %w", l.segmentKey(n), err)
	}
	return s, nil
}

// learn takes the n-th segment into index and books, once; the first answer under a key stays. Segments come in order. The caller holds mu.
func (l *Log) learn(n int, s segment) {
	if n < l.next {
		return
	}
	for key := range s.answers {
		l.places.learn(key, n)
	}
	l.enter(s.lines)
	l.cache.add(n, s.answers)
	l.sizes[n] = s.size
	l.next = n + 1
}

// Get finds a stored answer.
func (l *Log) Get(ctx context.Context, key Key) (Answer, bool, error) {
	l.mu.Lock()
	n, known := l.places.find(key)
	answers, cached := l.cache.get(n)
	l.mu.Unlock()
	if !known {
		return Answer{}, false, nil
	}
	if !cached {
		s, err := l.read(ctx, n)
		if err != nil {
			return Answer{}, false, fmt.Errorf("read a stored answer: %w", err)
		}
		answers = s.answers
		l.mu.Lock()
		l.cache.add(n, answers)
		l.mu.Unlock()
	}
	answer, there := answers[key]
	if !there { // it was collected since the log was read
		l.mu.Lock()
		l.places.forget(key, n)
		l.mu.Unlock()
	}
	return answer, there, nil
}

// Do gives the stored answer to a key, or makes the call and stores its answer, under the name of its sending, before it returns. Of several
// that ask for one key at a time, one calls and the others wait for it. stored tells that no call was made here.
func (l *Log) Do(ctx context.Context, key Key, call func() (answer Answer, sent string, err error)) (answer Answer, stored bool, err error) {
	for {
		if answer, stored, err = l.Get(ctx, key); err != nil || stored {
			return answer, stored, err
		}
		l.mu.Lock()
		if _, known := l.places.find(key); known {
			l.mu.Unlock()
			continue
		}
		under, busy := l.calls[key]
		if !busy {
			under = make(chan struct{})
			l.calls[key] = under
		}
		l.mu.Unlock()
		if !busy {
			answer, err = l.callAndStore(ctx, key, call)
			l.mu.Lock()
			delete(l.calls, key)
			l.mu.Unlock()
			close(under)
			return answer, false, err
		}
		select {
		case <-under:
		case <-ctx.Done():
			return Answer{}, false, ctx.Err()
		}
	}
}

func (l *Log) callAndStore(ctx context.Context, key Key, call func() (Answer, string, error)) (Answer, error) {
	answer, sent, err := call()
	if err != nil {
		return Answer{}, err
	}
	return l.Put(ctx, key, answer, sent)
}

// enqueue has a line written with the next segment. What it says was paid for, so it goes on being stored when ctx ends.
func (l *Log) enqueue(ctx context.Context, e line) *write {
	w := &write{line: e, done: make(chan struct{})}
	l.resume(ctx, w)
	return w
}

func (l *Log) resume(ctx context.Context, w *write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, w)
	if !l.flushing {
		l.flushing = true
		go l.flush(context.WithoutCancel(ctx))
	}
}

// Put stores an answer and returns, once it is durable, the answer that counts: the first one stored under the key. sent is the sending that it
// settles, "" = none. When ctx ends, only the wait ends.
func (l *Log) Put(ctx context.Context, key Key, answer Answer, sent string) (Answer, error) {
	w := l.enqueue(ctx, line{Key: key, Answer: &answer, By: answer.By, Sent: sent})
	if err := w.wait(ctx); err != nil {
		return Answer{}, err
	}
	return w.answer, nil
}

// flush writes segments until nothing is pending. A bucket that does not answer is tried again without end: the answers are paid.
func (l *Log) flush(ctx context.Context) {
	wait := flushRetry
	for {
		l.mu.Lock()
		batch := l.unknown(ctx)
		if len(batch) == 0 {
			l.flushing = false
			l.mu.Unlock()
			return
		}
		n := l.next
		l.mu.Unlock()
		if err := l.writeSegment(ctx, n, batch); err != nil {
			_ = l.store.sleep(ctx, wait)
			wait = min(2*wait, flushRetryMax)
			continue
		}
		wait = flushRetry
	}
}

// unknown gives the pending writes that need a segment, and settles those whose key has a stored answer. An answer that lost the race for its
// key was paid all the same: its sending stays open in the books. The caller holds mu.
func (l *Log) unknown(ctx context.Context) []*write {
	var open, later []*write
	first := map[Key]bool{}
	for _, w := range l.pending {
		n, known := l.places.find(w.line.Key)
		switch {
		case w.line.Answer == nil:
			open = append(open, w)
		case !known && first[w.line.Key]:
			later = append(later, w)
		case !known:
			first[w.line.Key] = true
			open = append(open, w)
		default:
			if answers, cached := l.cache.get(n); cached {
				w.answer = answers[w.line.Key]
				close(w.done)
			} else {
				go l.settle(ctx, w)
			}
		}
	}
	l.pending = append(append([]*write{}, open...), later...)
	return open
}

// settle reads the answer that won and hands it to one writer.
func (l *Log) settle(ctx context.Context, w *write) {
	for wait := flushRetry; ; wait = min(2*wait, flushRetryMax) {
		answer, found, err := l.Get(ctx, w.line.Key)
		switch {
		case err == nil && found:
			w.answer = answer
			close(w.done)
			return
		case err == nil: // it was collected: this one counts now
			l.resume(ctx, w)
			return
		}
		_ = l.store.sleep(ctx, wait)
	}
}

// writeSegment tries to write the n-th segment. When somebody else has it, it is read instead and the writes stay pending.
func (l *Log) writeSegment(ctx context.Context, n int, batch []*write) error {
	lines := make([]line, len(batch))
	for i, w := range batch {
		lines[i] = w.line
	}
	body := encodeSegment(lines)
	_, err := l.store.objects.PutIfAbsent(ctx, l.segmentKey(n), body)
	if rebased.KindOf(err) == rebased.Conflict {
		return l.follow(ctx, n)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learn(n, segmentOf(lines, len(body)))
	written := make(map[*write]bool, len(batch))
	for _, w := range batch {
		written[w] = true
		if w.line.Answer != nil {
			w.answer = *w.line.Answer
		}
		close(w.done)
	}
	l.pending = slices.DeleteFunc(l.pending, func(w *write) bool { return written[w] })
	return nil
}

// follow learns the n-th segment, which somebody else wrote.
func (l *Log) follow(ctx context.Context, n int) error {
	s, err := l.read(ctx, n)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learn(n, s)
	return nil
}
