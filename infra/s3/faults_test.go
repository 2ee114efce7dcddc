package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebased/rebased"
)

func TestErrorsHaveTheKindThatTheAnswerMeans(t *testing.T) {
	for _, c := range []struct {
		status   int
		code     string
		want     rebased.Kind
		requests int
	}{
		{404, "NoSuchKey", rebased.NotFound, 1},
		{404, "NoSuchBucket", rebased.Invalid, 1},
		{403, "AccessDenied", rebased.Unauthorized, 1},
		{401, "Unauthorized", rebased.Unauthorized, 1},
		{400, "ExpiredToken", rebased.Unauthorized, 1},
		{403, "QuotaExceeded", rebased.Exhausted, 1},
		{400, "InvalidArgument", rebased.Invalid, 1},
		{501, "NotImplemented", rebased.Invalid, 1},
		{301, "PermanentRedirect", rebased.Invalid, 1},
		{412, "PreconditionFailed", rebased.Conflict, 1},
		{409, "OperationAborted", rebased.Conflict, 3},
		{429, "TooManyRequests", rebased.Throttled, 3},
		{503, "SlowDown", rebased.Throttled, 3},
		{503, "ServiceUnavailable", rebased.Unavailable, 3},
		{500, "InternalError", rebased.Unavailable, 3},
		{400, "RequestTimeout", rebased.Unavailable, 3},
		{200, "a proxy's page", rebased.Unavailable, 3},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			store, server := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, c.status, c.code) })
			var err error
			for _, err = range store.List(t.Context(), "k") {
				break
			}
			wantError(t, err, c.want, "list k*: ")
			if got := server.count(); got != c.requests {
				t.Fatalf("%d requests, want %d", got, c.requests)
			}
		})
	}
}

func TestAMissingBucketIsNamed(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, 404, "NoSuchBucket") })
	_, err := store.PutIfMatch(t.Context(), "k", `"etag"`, nil)
	wantError(t, err, rebased.Invalid, "put k: bucket bucket does not exist")
}

func TestFailuresThatPassAreRetried(t *testing.T) {
	store, server := scripted(t, func(w http.ResponseWriter, r *http.Request, n int) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case n == 0:
			fail(w, 500, "InternalError")
		case n == 1:
			cut(w)
		case string(body) == "body":
			w.Header().Set("ETag", `"etag"`)
		}
	})
	etag, err := store.Put(t.Context(), "k", []byte("body"))
	if err != nil || etag != `"etag"` || server.count() != 3 {
		t.Fatalf("got etag %q, %v after %d requests; want success at the third", etag, err, server.count())
	}
	if want := "PUT /bucket/base/k"; server.requests[2] != want {
		t.Fatalf("requested %q, want %q", server.requests[2], want)
	}
}

func TestABodyThatBreaksOffIsReadAgain(t *testing.T) {
	store, server := scripted(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "whole"[:n+3])
	})
	body, _, err := store.Get(t.Context(), "k")
	if err != nil || string(body) != "whol" || server.count() != 2 {
		t.Fatalf("got %q, %v after %d requests; want the whole body at the second", body, err, server.count())
	}
}

func TestALongWaitIsTheCallers(t *testing.T) {
	store, server := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "60")
		fail(w, 503, "SlowDown")
	})
	_, _, err := store.Get(t.Context(), "k")
	wantError(t, err, rebased.Throttled, "get k: SlowDown")
	if got := rebased.RetryAfterOf(err); got != time.Minute || server.count() != 1 {
		t.Fatalf("retry after %v, %d requests; want one minute and one request", got, server.count())
	}
}

func TestAHangingBucketIsUnavailable(t *testing.T) {
	store, _ := scripted(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	store.pace.answer = time.Millisecond
	wantError(t, store.Delete(t.Context(), "k"), rebased.Unavailable, "delete k: the bucket did not answer in time")
}

func TestAttemptsThatMoveManyBytesMayTakeLonger(t *testing.T) {
	for size, want := range map[int64]bool{0: true, 10 << 20: false} {
		synctest.Test(t, func(t *testing.T) {
			store := &Store{pace: defaultPace()}
			err := store.try(t.Context(), 0, func(ctx context.Context, follow func(int64)) error {
				follow(size)
				select {
				case <-time.After(store.pace.answer + 9*time.Second): // of the test's own clock
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			if gaveUp := rebased.KindOf(err) == rebased.Unavailable; gaveUp != want {
				t.Errorf("%d bytes: got %v, gave up: %v, want %v", size, err, gaveUp, want)
			}
		})
	}
}

func TestABodyThatStallsIsUnavailable(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	store.pace.answer = 10 * time.Millisecond
	_, _, err := store.Get(t.Context(), "k")
	wantError(t, err, rebased.Unavailable, "get k: the bucket did not answer in time")
}

func TestCancelEndsACallAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store, server := scripted(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		cancel()
		<-r.Context().Done()
	})
	_, _, err := store.Get(ctx, "k")
	if !errors.Is(err, context.Canceled) || rebased.KindOf(err) != "" || server.count() != 1 {
		t.Fatalf("got %v after %d requests, want context.Canceled after one", err, server.count())
	}
}

func TestADeadlineIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	store, _ := scripted(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	_, _, err := store.Get(ctx, "k")
	wantError(t, err, rebased.Unavailable, "get k: context deadline exceeded")
}

func TestAnObjectOverTheLimitIsNotRead(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Length", strconv.Itoa(MaxBody+1))
		w.WriteHeader(http.StatusOK)
	})
	_, _, err := store.Get(t.Context(), "k")
	wantError(t, err, rebased.Invalid, "get k: the object has 1073741825 bytes")
}

func TestListGoesThroughAllPages(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if got := r.URL.Query().Get("continuation-token"); got != []string{"", "one", "two"}[n] {
			t.Errorf("page %d was asked for with the token %q", n, got)
		}
		fmt.Fprintf(w, "<ListBucketResult><Contents><Key>base/k%d</Key><Size>%d</Size></Contents>%s</ListBucketResult>", n, n, []string{
			"<IsTruncated>true</IsTruncated><NextContinuationToken>one</NextContinuationToken>",
			"<IsTruncated>true</IsTruncated><NextContinuationToken>two</NextContinuationToken>", "",
		}[n])
	})
	var keys []string
	for entry, err := range store.List(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, entry.Key)
	}
	if got := strings.Join(keys, " "); got != "k0 k1 k2" {
		t.Fatalf("listed %q", got)
	}
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	settings(t, map[string]string{"AWS_ENDPOINT_URL_S3": gone.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"})
	store, err := Open(t.Context(), "s3://bucket")
	if err != nil {
		t.Fatal(err)
	}
	store.pace.backoff = time.Microsecond
	wantError(t, store.Ping(t.Context()), rebased.Unavailable, "put probes/")
}

// wantError wants an error of a kind, on one line, that begins so.
func wantError(t *testing.T, err error, want rebased.Kind, begins string) {
	t.Helper()
	if got := rebased.KindOf(err); got != want {
		t.Fatalf("got the kind %q of error %v, want %q", got, err, want)
	}
	if text := err.Error(); !strings.HasPrefix(text, begins) || strings.Contains(text, "\n") || len(text) > 400 {
		t.Fatalf("got the message %q, want one short line that begins with %q", text, begins)
	}
}
