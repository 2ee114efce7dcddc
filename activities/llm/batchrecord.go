package llm

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// record is what the bucket holds of a batch under way: <n>.json.
type record struct {
	Name      string    `json:"name"`             // what the provider is told, where it keeps names
	By        string    `json:"by"`               // the account that pays
	Build     string    `json:"build"`            // the build that made it
	Booked    bool      `json:"booked,omitempty"` // under a budget: bounds and outcomes stand in the books
	Made      time.Time `json:"made"`
	Sent      time.Time `json:"sent,omitzero"`       // when its last submission began; zero = it was not submitted
	NotBefore time.Time `json:"not_before,omitzero"` // it is submitted again
	Batch     string    `json:"batch,omitempty"`     // the provider's id
	Past      []string  `json:"past,omitempty"`      // its ids before it was submitted once more
	Tries     int       `json:"tries,omitempty"`     // submissions since it was made, or submitted once more
	Missing   time.Time `json:"missing,omitzero"`    // since when the provider does not know it
	Unwanted  bool      `json:"unwanted,omitempty"`  // it is to be canceled
	Canceled  bool      `json:"canceled,omitempty"`  // the provider was told so
	Ended     bool      `json:"ended,omitempty"`     // only the name is left, so that no other batch takes its number while somebody may be busy with it
	Again     bool      `json:"again,omitempty"`     // it was submitted once more after all its requests were refused
	Keys      keys      `json:"keys"`

	// For metrics; empty in records of before.
	Task  string        `json:"task,omitempty"`
	Step  string        `json:"step,omitempty"`
	Model string        `json:"model,omitempty"`
	Price rebased.Price `json:"price,omitzero"`

	ticket Ticket
	etag   string
	has    map[Key]bool
}

// keys are the keys of a batch's requests, 32 bytes each in one text.
type keys []Key

// MarshalJSON implements json.Marshaler.
func (k keys) MarshalJSON() ([]byte, error) {
	var packed []byte
	for _, key := range k {
		b, err := hex.DecodeString(string(key))
		if err != nil {
			return nil, err
		}
		packed = append(packed, b...)
	}
	return json.Marshal(packed)
}

// UnmarshalJSON implements json.Unmarshaler.
func (k *keys) UnmarshalJSON(data []byte) error {
	var packed []byte
	if err := json.Unmarshal(data, &packed); err != nil {
		return err
	}
	*k = (*k)[:0]
	for key := range slices.Chunk(packed, 32) {
		*k = append(*k, Key(hex.EncodeToString(key)))
	}
	return nil
}

func (r *record) holds(key Key) bool {
	if r.has == nil {
		r.has = make(map[Key]bool, len(r.Keys))
		for _, k := range r.Keys {
			r.has[k] = true
		}
	}
	return r.has[key]
}

func (r *record) payer() Payer { return Payer{Task: r.Task, Step: r.Step, Model: r.Model} }

// sent names the sending of one of its requests in the books; "" when nobody keeps them.
func (r *record) sent(key Key) string {
	if !r.Booked {
		return ""
	}
	return sentInBatch(r.Name, key)
}

const batchesPrefix = rebased.ResponsesPrefix + "batches/"

func (t Ticket) key() string { return fmt.Sprintf("%s%s/%010d.json", batchesPrefix, t.Scope, t.N) }

// requestsKey is where the requests of a batch stand.
func (r *record) requestsKey() string {
	return batchesPrefix + r.ticket.Scope + "/" + r.Name + ".requests"
}

func ticketOf(key string) (t Ticket, ok bool) {
	scope, name, ok := strings.Cut(key[len(batchesPrefix):], "/")
	if _, err := fmt.Sscanf(name, "%010d.json", &t.N); err != nil || !ok {
		return t, false
	}
	t.Scope = scope
	return t, t.key() == key
}

// open reads the records of a scope and tells the last number. Those of batches so old that no provider has them are removed.
func (b *Batches) open(ctx context.Context, scope string) (open []*record, last int, err error) {
	records, last, err := b.list(ctx, batchesPrefix+scope+"/")
	for _, r := range records {
		if b.now().Sub(r.Made) <= batchesKept {
			open = append(open, r)
		} else {
			err = errors.Join(err, b.forget(ctx, r))
		}
	}
	return open, last, err
}

// all reads the records of all scopes.
func (b *Batches) all(ctx context.Context) ([]*record, error) {
	open, _, err := b.list(ctx, batchesPrefix)
	return open, err
}

// list reads the records under a prefix that have not ended, and tells the last number of all.
func (b *Batches) list(ctx context.Context, prefix string) (records []*record, last int, err error) {
	var old []*record
	for object, err := range b.Store.objects.List(ctx, prefix) {
		if err != nil {
			return nil, 0, err
		}
		t, ok := ticketOf(object.Key)
		if !ok {
			continue
		}
		last = max(last, t.N)
		switch r, err := b.read(ctx, t); {
		case err == nil && !r.Ended:
			records = append(records, r)
		case err == nil:
			old = append(old, r)
		case rebased.KindOf(err) != rebased.NotFound: // it has ended meanwhile
			return nil, 0, err
		}
	}
	for _, r := range old { // of the last number something stays, so that it is not given again
		if r.ticket.N < last && b.now().Sub(r.Made) > endedKept {
			err = errors.Join(err, b.Store.objects.Delete(ctx, r.ticket.key()))
		}
	}
	return records, last, err
}

func (b *Batches) read(ctx context.Context, t Ticket) (*record, error) {
	body, etag, err := b.Store.objects.Get(ctx, t.key())
	if err != nil {
		return nil, err
	}
	r := &record{ticket: t, etag: etag}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, rebased.E(rebased.Invalid, "%s is damaged: %w", t.key(), err)
	}
	r.ticket.Name = r.Name
	return r, nil
}

func (b *Batches) create(ctx context.Context, r *record) (err error) {
	body, err := json.Marshal(r)
	if err == nil {
		r.etag, err = b.Store.objects.PutIfAbsent(ctx, r.ticket.key(), body)
	}
	return err
}

// save writes a record that nobody else has changed since it was read. Else the error is Unavailable: to be tried again from what is there.
func (b *Batches) save(ctx context.Context, r *record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	r.etag, err = b.Store.objects.PutIfMatch(ctx, r.ticket.key(), r.etag, body)
	if rebased.KindOf(err) == rebased.Conflict {
		return rebased.E(rebased.Unavailable, "%s: another worker carries this batch on too", r.ticket.key())
	}
	return err
}

// forget ends a record that nobody else has changed since it was read; whoever asks for it then finds that it has ended.
func (b *Batches) forget(ctx context.Context, r *record) error {
	ended := &record{Name: r.Name, Build: r.Build, Made: b.now(), Unwanted: r.Unwanted, Ended: true, ticket: r.ticket, etag: r.etag}
	if err := b.save(ctx, ended); err != nil {
		return err
	}
	b.drop(ctx, r)
	return nil
}

// drop removes the requests of a batch. Left behind they do no harm.
func (b *Batches) drop(ctx context.Context, r *record) {
	_ = b.Store.objects.Delete(ctx, r.requestsKey())
}

func (b *Batches) putRequests(ctx context.Context, r *record, requests []Request) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	for _, q := range requests {
		if err := encoder.Encode(q); err != nil {
			return err
		}
	}
	_, err := b.Store.objects.Put(ctx, r.requestsKey(), body.Bytes())
	return err
}

func (b *Batches) requests(ctx context.Context, r *record) ([]Request, error) {
	body, _, err := b.Store.objects.Get(ctx, r.requestsKey())
	if err != nil {
		return nil, fmt.Errorf("read the requests of a batch: %w", err)
	}
	requests := make([]Request, 0, len(r.Keys))
	for decoder := json.NewDecoder(bytes.NewReader(body)); decoder.More(); {
		var q Request
		if err := decoder.Decode(&q); err != nil {
			return nil, rebased.E(rebased.Invalid, "%s is damaged: %w", r.requestsKey(), err)
		}
		requests = append(requests, q)
	}
	return requests, nil
}
