package shard

import (
	"slices"
	"strconv"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
)

// match gives the slots of within that a filter lets through; a nil filter lets all through.
func (s *Shard) match(f *pb.Filter, within bitset) (bitset, error) {
	matched := within.clone()
	for _, c := range f.GetMust() {
		hit, err := s.condition(c, matched)
		if err != nil {
			return nil, err
		}
		matched = hit
	}
	if should := f.GetShould(); len(should) > 0 {
		either := make(bitset, len(matched))
		for _, c := range should {
			hit, err := s.condition(c, matched)
			if err != nil {
				return nil, err
			}
			either.union(hit)
		}
		matched = either
	}
	for _, c := range f.GetMustNot() {
		hit, err := s.condition(c, matched)
		if err != nil {
			return nil, err
		}
		matched.subtract(hit)
	}
	return matched, nil
}

// condition gives the slots of within that fulfil a condition.
func (s *Shard) condition(c *pb.Condition, within bitset) (bitset, error) {
	switch k := c.GetConditionOneOf().(type) {
	case *pb.Condition_Field:
		return s.fieldCondition(k.Field, within)
	case *pb.Condition_HasId:
		return s.hasID(k.HasId.GetHasId(), within)
	case *pb.Condition_IsEmpty:
		p := newPath(k.IsEmpty.GetKey())
		return s.scanPayloads(within, func(payload []byte) (bool, error) {
			v, err := p.value(payload)
			return isEmpty(v), err
		})
	case *pb.Condition_Filter:
		return s.match(k.Filter, within)
	}
	return nil, rebased.E(rebased.Invalid, "a condition of the filter is empty")
}

func (s *Shard) hasID(ids []*pb.PointId, within bitset) (bitset, error) {
	matched := make(bitset, len(within))
	for _, p := range ids {
		id, err := NewID(p)
		if err != nil {
			return nil, err
		}
		if slot, ok := s.table.slots[id]; ok && within.has(slot) {
			matched.add(slot)
		}
	}
	return matched, nil
}

// isEmpty says what Qdrant calls empty: nothing, null or an empty list.
func isEmpty(v *pb.Value) bool {
	switch k := v.GetKind().(type) {
	case nil, *pb.Value_NullValue:
		return true
	case *pb.Value_ListValue:
		return len(k.ListValue.GetValues()) == 0
	}
	return false
}

// fieldCondition answers from the payload index of the field when there is one of the condition's type, and reads payloads otherwise.
func (s *Shard) fieldCondition(c *pb.FieldCondition, within bitset) (bitset, error) {
	m, err := newMatcher(c.GetMatch())
	if err != nil {
		return nil, err
	}
	if f, ok := s.table.fields[c.GetKey()]; ok && f.kind == m.kind {
		return m.lookup(f, within), nil
	}
	p := newPath(c.GetKey())
	return s.scanPayloads(within, func(payload []byte) (bool, error) {
		values, err := p.values(payload)
		return slices.ContainsFunc(values, m.accepts), err
	})
}

// scanPayloads asks test about the payload of each slot.
func (s *Shard) scanPayloads(within bitset, test func(payload []byte) (bool, error)) (bitset, error) {
	matched := make(bitset, len(within))
	for slot := range within.all() {
		ok, err := test(s.payloadOf(slot))
		if err != nil {
			return nil, err
		}
		if ok {
			matched.add(slot)
		}
	}
	return matched, nil
}

// matcher is a match condition: a value of its type has to be one of the terms, or with except any value not to be one.
type matcher struct {
	kind   FieldType
	terms  map[string]bool
	except bool
	truth  *bool // a condition on a boolean; kind and terms are empty
}

func newMatcher(m *pb.Match) (*matcher, error) {
	switch k := m.GetMatchValue().(type) {
	case *pb.Match_Keyword:
		return keywords([]string{k.Keyword}, false), nil
	case *pb.Match_Keywords:
		return keywords(k.Keywords.GetStrings(), false), nil
	case *pb.Match_ExceptKeywords:
		return keywords(k.ExceptKeywords.GetStrings(), true), nil
	case *pb.Match_Integer:
		return integers([]int64{k.Integer}, false), nil
	case *pb.Match_Integers:
		return integers(k.Integers.GetIntegers(), false), nil
	case *pb.Match_ExceptIntegers:
		return integers(k.ExceptIntegers.GetIntegers(), true), nil
	case *pb.Match_Boolean:
		return &matcher{truth: &k.Boolean}, nil
	}
	return nil, rebased.E(rebased.Invalid, "a field condition has no match")
}

func keywords(terms []string, except bool) *matcher {
	m := &matcher{kind: Keyword, terms: make(map[string]bool, len(terms)), except: except}
	for _, t := range terms {
		m.terms[t] = true
	}
	return m
}

func integers(terms []int64, except bool) *matcher {
	m := &matcher{kind: Integer, terms: make(map[string]bool, len(terms)), except: except}
	for _, t := range terms {
		m.terms[strconv.FormatInt(t, 10)] = true
	}
	return m
}

// lookup finds the slots in the index of the field. Except looks at the values of the index's type only, as in Qdrant.
func (m *matcher) lookup(f *field, within bitset) bitset {
	matched := make(bitset, len(within))
	mark := func(slots []uint32) {
		for _, slot := range slots {
			if within.has(slot) {
				matched.add(slot)
			}
		}
	}
	if !m.except {
		for term := range m.terms {
			mark(f.slots[term])
		}
		return matched
	}
	for term, slots := range f.slots {
		if !m.terms[term] {
			mark(slots)
		}
	}
	return matched
}

// accepts decides on one value of a payload. To except a value of another type is a different value; null is none.
func (m *matcher) accepts(v *pb.Value) bool {
	if m.truth != nil {
		b, ok := v.GetKind().(*pb.Value_BoolValue)
		return ok && b.BoolValue == *m.truth
	}
	if term, ok := termOf(v, m.kind); ok {
		return m.terms[term] != m.except
	}
	_, null := v.GetKind().(*pb.Value_NullValue)
	return m.except && !null && v.GetKind() != nil
}
