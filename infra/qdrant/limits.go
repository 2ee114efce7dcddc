package qdrant

import (
	"context"
	"sync"
	"time"

	"github.com/qdrant/go-client/qdrant"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

// limits are what a collection's strict mode allows; 0 = no limit.
type limits struct {
	list         int     // points of one answer
	upsert       int     // points of one write
	values       int     // datasets of one condition of a filter
	oversampling float64 // see Collection.Int8
	noExact      bool    // exact search is forbidden
}

// limitsFor is how long limits are believed: an operator may change them at any time.
const limitsFor = time.Minute

// known remembers the limits of collections. The zero value is ready to use.
type known struct {
	mu sync.Mutex
	of map[string]limits
	at map[string]time.Time
}

// limits asks for a collection's strict mode, once a minute. Nobody waits for another's question: two may ask at once.
func (x *Index) limits(ctx context.Context, collection string) (limits, error) {
	if l, ok := x.known.get(collection); ok {
		return l, nil
	}
	answer, err := x.collections.Get(ctx, &qdrant.GetCollectionInfoRequest{CollectionName: collection})
	if err != nil {
		return limits{}, err
	}
	l := limitsOf(answer.GetResult().GetConfig().GetStrictModeConfig())
	x.known.put(collection, l)
	return l, nil
}

func (k *known) get(collection string) (limits, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.at[collection]
	return k.of[collection], ok && time.Since(at) < limitsFor
}

func (k *known) put(collection string, l limits) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of, k.at = make(map[string]limits), make(map[string]time.Time)
	}
	k.of[collection], k.at[collection] = l, time.Now()
}

func limitsOf(c *qdrant.StrictModeConfig) limits {
	if !c.GetEnabled() {
		return limits{}
	}
	return limits{
		list: int(c.GetMaxQueryLimit()), upsert: int(c.GetUpsertMaxBatchsize()), values: int(c.GetConditionMaxSize()), //nolint:gosec // limits are small
		oversampling: float64(c.GetSearchMaxOversampling()), noExact: c.SearchAllowExact != nil && !c.GetSearchAllowExact(),
	}
}

// allow tells what an operator must change before a query can be answered. A list that grows cannot be cut: the server has no way to go on
// where the one before ended.
func (l limits) allow(q retrieve.Query, how Collection) error {
	switch {
	case l.list > 0 && q.Limit > l.list:
		return rebased.E(rebased.Invalid, "the strict mode of %s allows lists of %d rows, one of %d is needed: raise its max_query_limit to at least twice that",
			q.Collection, l.list, q.Limit)
	case l.noExact && !how.Int8:
		return rebased.E(rebased.Invalid, "the strict mode of %s forbids exact search: set its search_allow_exact to true", q.Collection)
	}
	return nil
}

// within is how many go into one message: as many as are wanted, unless the limit is less.
func within(wanted, limit int) int {
	if limit > 0 {
		return min(wanted, limit)
	}
	return wanted
}
