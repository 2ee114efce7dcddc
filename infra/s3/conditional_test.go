package s3

import (
	"context"
	"net/http"
	"testing"

	"github.com/rebased/rebased"
)

const markHeader = "X-Amz-Meta-Rebased-Write"

// conditionalPuts are both kinds of conditional put.
func conditionalPuts(s *Store) map[string]func(ctx context.Context) (string, error) {
	return map[string]func(ctx context.Context) (string, error){
		"PutIfAbsent": func(ctx context.Context) (string, error) { return s.PutIfAbsent(ctx, "k", []byte("body")) },
		"PutIfMatch":  func(ctx context.Context) (string, error) { return s.PutIfMatch(ctx, "k", `"old"`, []byte("body")) },
	}
}

func TestAPutWhoseReplyWasLostIsASuccess(t *testing.T) {
	var mark string
	store, _ := scripted(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch n % 3 {
		case 0:
			mark = r.Header.Get(markHeader)
			cut(w)
		case 1:
			fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		case 2:
			w.Header().Set(markHeader, mark)
			w.Header().Set("ETag", `"new"`)
		}
	})
	for name, put := range conditionalPuts(store) {
		if etag, err := put(t.Context()); err != nil || etag != `"new"` {
			t.Errorf("%s: got %q, %v; want the ETag of the object that was written", name, etag, err)
		}
	}
}

func TestAPutWhoseReplyWasLostCanHaveLost(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusNotFound} { // of the look at the object: another writer's, or deleted since
		store, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request, n int) {
			switch n % 3 {
			case 0:
				cut(w)
			case 1:
				fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
			case 2:
				w.Header().Set(markHeader, "another writer's")
				w.WriteHeader(status)
			}
		})
		for _, put := range conditionalPuts(store) {
			_, err := put(t.Context())
			wantError(t, err, rebased.Conflict, "put k: PreconditionFailed")
		}
	}
}

func TestAFirstRefusalIsAConflictWithoutALook(t *testing.T) {
	store, server := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
	})
	for _, put := range conditionalPuts(store) {
		_, err := put(t.Context())
		wantError(t, err, rebased.Conflict, "put k: PreconditionFailed")
	}
	if got := server.count(); got != 2 {
		t.Fatalf("%d requests, want one a put", got)
	}
}

func TestPutIfMatchOfAKeyThatIsGoneIsAConflict(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, http.StatusNotFound, "NoSuchKey") })
	_, err := store.PutIfMatch(t.Context(), "k", `"old"`, nil)
	wantError(t, err, rebased.Conflict, "put k: NoSuchKey")
}

func TestPutIfMatchWithoutAnETagIsInvalid(t *testing.T) {
	store, server := scripted(t, nil)
	_, err := store.PutIfMatch(t.Context(), "k", "", nil)
	wantError(t, err, rebased.Invalid, "put k: an ETag is required")
	if server.count() != 0 {
		t.Fatal("the server was asked")
	}
}
