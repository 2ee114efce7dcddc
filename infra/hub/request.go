package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/rebased/rebased"
)

// How calls are repeated: passing faults a few times here, a longer wait that the hub asks for is the caller's.
const (
	attempts    = 4
	backoff     = 500 * time.Millisecond // before the second attempt, doubled with each
	longestWait = 5 * time.Second
)

// retry runs a call until it succeeds, fails for good or has had its attempts.
func (h *Hub) retry(ctx context.Context, call func() error) error {
	wait := backoff
	for n := 1; ; n++ {
		err := call()
		if err == nil || n == attempts || !passing(err) {
			return err
		}
		asked := rebased.RetryAfterOf(err)
		if asked > longestWait {
			return err
		}
		if err := h.wait(ctx, max(asked, wait/2+rand.N(wait/2+1))); err != nil { //nolint:gosec // jitter
			return ended(ctx, err)
		}
		wait *= 2
	}
}

// passing reports whether an error may be gone at the next attempt.
func passing(err error) bool {
	kind := rebased.KindOf(err)
	return kind == rebased.Unavailable || kind == rebased.Throttled
}

// get sends one request and gives a good answer, or an error with a kind. The body must be closed.
func (h *Hub) get(ctx context.Context, repo Repo, op, address string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "%s: the address cannot be made: %w", op, err)
	}
	request.Header.Set("User-Agent", "rebased")
	maps.Copy(request.Header, header)
	response, err := h.client.Do(request)
	if err != nil {
		return nil, h.broken(ctx, op, err)
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusPartialContent {
		defer response.Body.Close()
		return nil, h.refusal(repo, op, response)
	}
	return response, nil
}

// maxReply bounds one answer of the API: a page of a listing has a thousand files.
const maxReply = 32 << 20

// ask gets a JSON answer, and the address of the page behind it, "" on the last.
func (h *Hub) ask(ctx context.Context, repo Repo, op, address string, answer any) (next string, err error) {
	err = h.retry(ctx, func() error {
		within, cancel := context.WithTimeout(ctx, h.stall)
		defer cancel()
		response, err := h.get(within, repo, op, address, nil)
		if err != nil {
			if ctx.Err() == nil && within.Err() != nil {
				return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: errStalled}
			}
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
		switch {
		case err != nil:
			return h.broken(ctx, op, err)
		case len(body) > maxReply:
			return rebased.E(rebased.Invalid, "%s: the answer is larger than %d bytes", op, maxReply)
		}
		if err := json.Unmarshal(body, answer); err != nil {
			return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: fmt.Errorf("the answer is no JSON of ours: %w", err)}
		}
		next, err = h.nextPage(response)
		return err
	})
	return next, err
}

// broken is the error of a request without a whole answer.
func (h *Hub) broken(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, err)
	}
	if kind := rebased.KindOf(err); kind != "" { // a redirect that was refused
		return &rebased.Error{Kind: kind, Op: op, Err: errors.New(h.quote(cause(err).Error()))}
	}
	return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: errors.New(h.quote(cause(err).Error()))}
}

func ended(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return rebased.E(rebased.Unavailable, "%w", ctx.Err())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
