package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

// multipart answers the calls of an upload; complete answers the n-th completion (from 0), look the look at the object after one.
type multipart struct {
	mark           string
	completions    int
	aborted        bool
	sent           map[string][]byte // by part number
	part, complete func(m *multipart, w http.ResponseWriter, n int)
	look           func(m *multipart, w http.ResponseWriter)
}

func (m *multipart) answer(w http.ResponseWriter, r *http.Request, n int) {
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodHead && m.completions == 0:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodHead:
		m.look(m, w)
	case r.Method == http.MethodPost && query.Has("uploads"):
		m.mark = r.Header.Get(markHeader)
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPut:
		m.sent[query.Get("partNumber")], _ = io.ReadAll(r.Body)
		m.part(m, w, n)
	case r.Method == http.MethodPost:
		if r.Header.Get("If-None-Match") != "*" {
			fail(w, http.StatusBadRequest, "NoCondition")
			return
		}
		m.completions++
		m.complete(m, w, m.completions-1)
	case r.Method == http.MethodDelete:
		m.aborted = true
		w.WriteHeader(http.StatusNoContent)
	}
}

// uploads opens a store on a server that takes uploads.
func uploads(t *testing.T) (*Store, *multipart, *server) {
	m := &multipart{
		sent: map[string][]byte{}, part: func(_ *multipart, w http.ResponseWriter, _ int) { w.Header().Set("ETag", `"part"`) },
		complete: func(_ *multipart, w http.ResponseWriter, _ int) { completed(w) },
	}
	store, server := scripted(t, m.answer)
	return store, m, server
}

func completed(w http.ResponseWriter) {
	_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"new"</ETag></CompleteMultipartUploadResult>`)
}

var twoPieces = bytes.Repeat([]byte("0123456789abcdef"), pieceSize/16+1)

func create(t *testing.T, store *Store) error {
	return store.CreateIfAbsent(t.Context(), "k", func(w io.Writer) error { _, err := w.Write(twoPieces); return err })
}

func TestAnUploadSendsAllPartsAndAgainThoseThatWereLost(t *testing.T) {
	store, m, _ := uploads(t)
	lost := 0
	m.part = func(_ *multipart, w http.ResponseWriter, _ int) {
		if lost++; lost%2 == 1 {
			cut(w)
			return
		}
		w.Header().Set("ETag", `"part"`)
	}
	if err := create(t, store); err != nil || m.aborted {
		t.Fatalf("%v, aborted: %v", err, m.aborted)
	}
	if got := slices.Concat(m.sent["1"], m.sent["2"]); !bytes.Equal(got, twoPieces) || len(m.sent) != 2 {
		t.Fatalf("%d parts of %d bytes, want the two of %d", len(m.sent), len(got), len(twoPieces))
	}
}

func TestSmallContentIsPutAtOnce(t *testing.T) {
	store, server := scripted(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"new"`)
	})
	err := store.CreateIfAbsent(t.Context(), "k", func(w io.Writer) error { _, err := w.Write(twoPieces[:pieceSize]); return err })
	if err != nil || !slices.Equal(server.requests, []string{"PUT /bucket/base/k"}) {
		t.Fatalf("%v, requests %q", err, server.requests)
	}
}

func TestACompletionWhoseReplyWasLostIsDecidedByTheMark(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"completed":          completed,
		"PreconditionFailed": func(w http.ResponseWriter) { fail(w, http.StatusPreconditionFailed, "PreconditionFailed") },
		"NoSuchUpload":       func(w http.ResponseWriter) { fail(w, http.StatusNotFound, "NoSuchUpload") },
	}
	for second, answer := range answers {
		for owner, want := range map[string]rebased.Kind{"ours": "", "another's": rebased.Conflict, "nobody's": rebased.Unavailable} {
			t.Run(fmt.Sprint(second, ", ", owner), func(t *testing.T) {
				store, m, _ := uploads(t)
				m.complete = func(_ *multipart, w http.ResponseWriter, n int) {
					if n == 0 {
						cut(w)
						return
					}
					answer(w)
				}
				m.look = func(m *multipart, w http.ResponseWriter) {
					switch owner {
					case "ours":
						w.Header().Set(markHeader, m.mark)
					case "another's":
						w.Header().Set(markHeader, "another")
					default:
						w.WriteHeader(http.StatusNotFound)
					}
				}
				err := create(t, store)
				if rebased.KindOf(err) != want || (err == nil) != (want == "") || m.aborted != (err != nil) {
					t.Errorf("got %v, aborted: %v; want kind %q", err, m.aborted, want)
				}
			})
		}
	}
}

func TestAFirstRefusalOfACompletionIsAConflictWithoutALook(t *testing.T) {
	store, m, _ := uploads(t)
	m.complete = func(_ *multipart, w http.ResponseWriter, _ int) {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
	}
	m.look = func(*multipart, http.ResponseWriter) { t.Error("the object was looked at") }
	wantError(t, create(t, store), rebased.Conflict, "put k: PreconditionFailed")
	if !m.aborted {
		t.Error("the upload was not aborted")
	}
}

func TestAnUploadOverAnObjectIsRefusedBeforeItIsSent(t *testing.T) {
	store, server := scripted(t, func(http.ResponseWriter, *http.Request, int) {})
	err := store.CreateIfAbsent(t.Context(), "k", func(w io.Writer) error {
		_, err := w.Write(twoPieces)
		return errors.Join(err, errors.New("what write makes of it"))
	})
	wantError(t, err, rebased.Conflict, "put k: the object exists")
	if !slices.Equal(server.requests, []string{"HEAD /bucket/base/k"}) {
		t.Errorf("requests %q, want the look alone", server.requests)
	}
}

func TestAnUploadThatFailsIsAborted(t *testing.T) {
	store, m, _ := uploads(t)
	m.part = func(_ *multipart, w http.ResponseWriter, _ int) { fail(w, http.StatusForbidden, "AccessDenied") }
	wantError(t, create(t, store), rebased.Unauthorized, "put k: AccessDenied")
	if !m.aborted || m.completions != 0 {
		t.Errorf("aborted: %v, completions: %d", m.aborted, m.completions)
	}
}

func TestAStreamThatBreaksOffIsReadOnFromItsPiece(t *testing.T) {
	store, server := scripted(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 2 {
			cut(w)
			return
		}
		if n > 0 && r.Header.Get("If-Match") != `"one"` {
			fail(w, http.StatusBadRequest, "NoCondition")
			return
		}
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(twoPieces))
		if n == 1 {
			panic(http.ErrAbortHandler) // after the headers and some of the body
		}
	})
	r, err := store.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, twoPieces) {
		t.Fatalf("%d bytes, %v, after %d requests", len(got), err, server.count())
	}
}

func TestAStreamOfAnObjectThatWasReplacedIsAConflict(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(twoPieces))
	})
	r, err := store.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(r)
	wantError(t, err, rebased.Conflict, "get k: ")
}

func TestAServerThatIgnoresRangesIsReadWhenTheObjectIsSmall(t *testing.T) {
	size := 4
	store, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(twoPieces[:size])
	})
	r, err := store.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "0123" {
		t.Errorf("%q, %v", got, err)
	}
	size = pieceSize + 1
	_, err = store.Open(t.Context(), "k")
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "which part") {
		t.Error(err)
	}
}
