package porttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

// Objects checks a bucket. open gives an empty one for each case.
func Objects(t *testing.T, open func(t *testing.T) rebased.Objects) {
	t.Helper()
	cases := []struct {
		name string
		run  func(t *testing.T, o rebased.Objects)
	}{
		{"GetGivesWhatPutStored", getGivesWhatPutStored},
		{"GetOfAnAbsentKeyIsNotFound", getOfAnAbsentKeyIsNotFound},
		{"PutReplaces", putReplaces},
		{"BodiesAreCopies", bodiesAreCopies},
		{"BodiesOfAnySize", bodiesOfAnySize},
		{"KeysOfAnyScript", keysOfAnyScript},
		{"PutIfAbsentWritesOnce", putIfAbsentWritesOnce},
		{"PutIfAbsentHasOneWinner", putIfAbsentHasOneWinner},
		{"PutIfMatchReplacesTheObjectItNames", putIfMatchReplacesTheObjectItNames},
		{"PutIfMatchOfAnAbsentKeyIsConflict", putIfMatchOfAnAbsentKeyIsConflict},
		{"PutIfMatchHasOneWinner", putIfMatchHasOneWinner},
		{"PutIfMatchLosesNoUpdate", putIfMatchLosesNoUpdate},
		{"ListIsInOrderOfBytes", listIsInOrderOfBytes},
		{"ListKeepsToThePrefix", listKeepsToThePrefix},
		{"ListGivesSizesAndETags", listGivesSizesAndETags},
		{"ListTellsWhenAnObjectWasWritten", listTellsWhenAnObjectWasWritten},
		{"ListStopsWhenTold", listStopsWhenTold},
		{"DeleteRemoves", deleteRemoves},
		{"DeleteOfAnAbsentKeyIsNoError", deleteOfAnAbsentKeyIsNoError},
		{"OpenReadsWhatPutStored", openReadsWhatPutStored},
		{"OpenOfAnAbsentKeyIsNotFound", openOfAnAbsentKeyIsNotFound},
		{"OpenNeverMixesTwoObjects", openNeverMixesTwoObjects},
		{"CreateIfAbsentStoresWhatIsWritten", createIfAbsentStoresWhatIsWritten},
		{"CreateIfAbsentWritesOnce", createIfAbsentWritesOnce},
		{"CreateIfAbsentHasOneWinner", createIfAbsentHasOneWinner},
		{"CreateIfAbsentShowsNothingBeforeAllIsWritten", createIfAbsentShowsNothingBeforeAllIsWritten},
		{"CreateIfAbsentLeavesNothingWhenWriteFails", createIfAbsentLeavesNothingWhenWriteFails},
		{"ACancelEndsAStream", aCancelEndsAStream},
		{"ACanceledContextEndsEveryCall", aCanceledContextEndsEveryCall},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

const racers = 16

func getGivesWhatPutStored(t *testing.T, o rebased.Objects) {
	etag := mustPut(t, o, "a/b.json", "one")
	body, got, err := o.Get(t.Context(), "a/b.json")
	if err != nil || string(body) != "one" {
		t.Fatalf("got %q, %v; want what was put", body, err)
	}
	if etag == "" || got != etag {
		t.Fatalf("put said etag %q, get says %q; want the same one", etag, got)
	}
}

func getOfAnAbsentKeyIsNotFound(t *testing.T, o rebased.Objects) {
	_, _, err := o.Get(t.Context(), "nothing/here")
	wantKind(t, err, rebased.NotFound)
}

func putReplaces(t *testing.T, o rebased.Objects) {
	first := mustPut(t, o, "k", "one")
	second := mustPut(t, o, "k", "two")
	wantBody(t, o, "k", "two")
	if first == second {
		t.Fatalf("two bodies share the etag %q", first)
	}
}

func bodiesAreCopies(t *testing.T, o rebased.Objects) {
	sent := []byte("one")
	if _, err := o.Put(t.Context(), "k", sent); err != nil {
		t.Fatal(err)
	}
	sent[0] = 'X'
	got, _, err := o.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	got[1] = 'X'
	wantBody(t, o, "k", "one")
}

func bodiesOfAnySize(t *testing.T, o rebased.Objects) {
	large := make([]byte, 5<<20)
	for i := range large {
		large[i] = byte(i * 7 >> 3)
	}
	for key, body := range map[string][]byte{"empty": {}, "nil": nil, "large": large} {
		if _, err := o.Put(t.Context(), key, body); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
		got, _, err := o.Get(t.Context(), key)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("get %s: %d bytes, %v; want the %d that were put", key, len(got), err, len(body))
		}
	}
}

func keysOfAnyScript(t *testing.T, o rebased.Objects) {
	keys := []string{"corpora/größe/データ/part.parquet", "a b/c+d=e,f;g@h!(i)'j$k", "эмодзи/🙂", "dots/..hidden/x..y"}
	for _, key := range keys {
		mustPut(t, o, key, key)
	}
	for _, key := range keys {
		wantBody(t, o, key, key)
	}
	slices.Sort(keys)
	wantKeys(t, o, "", keys...)
}

func putIfAbsentWritesOnce(t *testing.T, o rebased.Objects) {
	etag, err := o.PutIfAbsent(t.Context(), "k", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"two", "one"} {
		_, err = o.PutIfAbsent(t.Context(), "k", []byte(body))
		wantKind(t, err, rebased.Conflict)
	}
	wantBody(t, o, "k", "one")
	if _, got, _ := o.Get(t.Context(), "k"); got != etag {
		t.Fatalf("the etag became %q, was %q", got, etag)
	}
}

func putIfAbsentHasOneWinner(t *testing.T, o rebased.Objects) {
	winner := race(t, func(ctx context.Context, body string) error {
		_, err := o.PutIfAbsent(ctx, "k", []byte(body))
		return err
	})
	wantBody(t, o, "k", winner)
}

func putIfMatchReplacesTheObjectItNames(t *testing.T, o rebased.Objects) {
	first := mustPut(t, o, "k", "one")
	second, err := o.PutIfMatch(t.Context(), "k", first, []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.PutIfMatch(t.Context(), "k", first, []byte("three"))
	wantKind(t, err, rebased.Conflict)
	wantBody(t, o, "k", "two")
	if _, err := o.PutIfMatch(t.Context(), "k", second, []byte("three")); err != nil {
		t.Fatalf("the etag that PutIfMatch returned does not hold: %v", err)
	}
}

func putIfMatchOfAnAbsentKeyIsConflict(t *testing.T, o rebased.Objects) {
	etag := mustPut(t, o, "k", "one")
	if err := o.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	_, err := o.PutIfMatch(t.Context(), "k", etag, []byte("two"))
	wantKind(t, err, rebased.Conflict)
	wantKeys(t, o, "")
}

func putIfMatchHasOneWinner(t *testing.T, o rebased.Objects) {
	etag := mustPut(t, o, "k", "start")
	winner := race(t, func(ctx context.Context, body string) error {
		_, err := o.PutIfMatch(ctx, "k", etag, []byte(body))
		return err
	})
	wantBody(t, o, "k", winner)
}

// putIfMatchLosesNoUpdate lets every racer append its mark by compare-and-swap until it succeeds: all marks must be there in the end.
func putIfMatchLosesNoUpdate(t *testing.T, o rebased.Objects) {
	mustPut(t, o, "k", "")
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			if err := appendMark(t.Context(), o, byte('a'+i)); err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	all.Wait()
	body, _, err := o.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(body)
	if string(body) != "abcdefghijklmnop" {
		t.Fatalf("got the marks %q, want one of each of the %d racers", body, racers)
	}
}

func appendMark(ctx context.Context, o rebased.Objects, mark byte) error {
	for {
		body, etag, err := o.Get(ctx, "k")
		if err != nil {
			return err
		}
		_, err = o.PutIfMatch(ctx, "k", etag, append(body, mark))
		if rebased.KindOf(err) != rebased.Conflict {
			return err
		}
	}
}

// listIsInOrderOfBytes uses keys whose order differs when a store sorts folder by folder: '-' and '.' stand before '/', '0' after it.
func listIsInOrderOfBytes(t *testing.T, o rebased.Objects) {
	keys := []string{"a-b", "a.b", "a/b", "a/b-c/d", "a/b.c", "a/b0", "a0", "aB", "ab", "aé"}
	for _, key := range slices.Backward(keys) {
		mustPut(t, o, key, "x")
	}
	wantKeys(t, o, "", keys...)
}

func listKeepsToThePrefix(t *testing.T, o rebased.Objects) {
	for _, key := range []string{"a/1", "a/2/x", "ab/1", "b/1"} {
		mustPut(t, o, key, "x")
	}
	wantKeys(t, o, "a/", "a/1", "a/2/x")
	wantKeys(t, o, "a", "a/1", "a/2/x", "ab/1")
	wantKeys(t, o, "a/2/x", "a/2/x")
	wantKeys(t, o, "c/")
}

func listGivesSizesAndETags(t *testing.T, o rebased.Objects) {
	etag := mustPut(t, o, "k", "four")
	for entry, err := range o.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		entry.Modified = time.Time{}
		if want := (rebased.Object{Key: "k", Size: 4, ETag: etag}); entry != want {
			t.Fatalf("listed %+v, want %+v", entry, want)
		}
	}
}

func listTellsWhenAnObjectWasWritten(t *testing.T, o rebased.Objects) {
	modified := func() time.Time {
		for entry, err := range o.List(t.Context(), "k") {
			if err != nil {
				t.Fatal(err)
			}
			return entry.Modified
		}
		t.Fatal("nothing is listed")
		return time.Time{}
	}
	mustPut(t, o, "k", "same")
	first := modified()
	mustPut(t, o, "k", "same")
	if again := modified(); first.IsZero() || again.Before(first) {
		t.Fatalf("written at %v, and later at %v", first, again)
	}
}

func listStopsWhenTold(t *testing.T, o rebased.Objects) {
	for i := range 5 {
		mustPut(t, o, fmt.Sprint("k", i), "x")
	}
	next, stop := iter.Pull2(o.List(t.Context(), "k"))
	if entry, err, ok := next(); !ok || err != nil || entry.Key != "k0" {
		t.Fatalf("first entry %+v, %v, %v; want k0", entry, err, ok)
	}
	stop()
	wantKeys(t, o, "k", "k0", "k1", "k2", "k3", "k4")
}

func deleteRemoves(t *testing.T, o rebased.Objects) {
	mustPut(t, o, "a/k", "one")
	mustPut(t, o, "a/l", "one")
	if err := o.Delete(t.Context(), "a/k"); err != nil {
		t.Fatal(err)
	}
	_, _, err := o.Get(t.Context(), "a/k")
	wantKind(t, err, rebased.NotFound)
	wantKeys(t, o, "", "a/l")
	if _, err := o.PutIfAbsent(t.Context(), "a/k", []byte("two")); err != nil {
		t.Fatalf("the key is not free after Delete: %v", err)
	}
}

func deleteOfAnAbsentKeyIsNoError(t *testing.T, o rebased.Objects) {
	if err := o.Delete(t.Context(), "never/was"); err != nil {
		t.Fatal(err)
	}
}

func aCanceledContextEndsEveryCall(t *testing.T, o rebased.Objects) {
	etag := mustPut(t, o, "k", "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"get":           func() error { _, _, err := o.Get(ctx, "k"); return err },
		"put":           func() error { _, err := o.Put(ctx, "k", []byte("two")); return err },
		"put if absent": func() error { _, err := o.PutIfAbsent(ctx, "l", []byte("two")); return err },
		"put if match":  func() error { _, err := o.PutIfMatch(ctx, "k", etag, []byte("two")); return err },
		"delete":        func() error { return o.Delete(ctx, "k") },
		"open":          func() error { _, err := o.Open(ctx, "k"); return err },
		"create if absent": func() error {
			return o.CreateIfAbsent(ctx, "l", func(w io.Writer) error { _, err := w.Write([]byte("two")); return err })
		},
		"list": func() error {
			for _, err := range o.List(ctx, "") {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	wantBody(t, o, "k", "one")
	wantKeys(t, o, "", "k")
}
