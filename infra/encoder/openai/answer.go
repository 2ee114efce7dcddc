package openai

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rebased/rebased"
)

const op = "encode by the embeddings server"

// vectors puts an answer's vectors in the order of the texts and scales them to unit length.
func (e *Encoder) vectors(data []sdk.Embedding, texts int) ([][]float32, error) {
	if len(data) != texts {
		return nil, unusable("%d vectors for %d texts", len(data), texts)
	}
	out := make([][]float32, texts)
	for _, d := range data {
		switch {
		case d.Index < 0 || d.Index >= int64(texts) || out[d.Index] != nil:
			return nil, unusable("vector indexes are not 0 to %d, once each", texts-1)
		case len(d.Embedding) == 0:
			return nil, unusable("vector %d has no numbers", d.Index)
		case e.dimensions > 0 && len(d.Embedding) != e.dimensions:
			return nil, unusable("vector of %d dimensions where %d are expected", len(d.Embedding), e.dimensions)
		}
		v, ok := unit(d.Embedding)
		if !ok {
			return nil, unusable("vector %d has no direction", d.Index)
		}
		out[d.Index] = v
	}
	return out, nil
}

func unusable(format string, args ...any) error {
	return &rebased.Error{Kind: rebased.Invalid, Op: op, Err: rebased.E(rebased.Invalid, "unusable answer: "+format, args...)}
}

// unit scales a vector to length 1; not ok when it is zero or not finite.
func unit(x []float64) (v []float32, ok bool) {
	var squares float64
	for _, n := range x {
		squares += n * n
	}
	if !(squares > 0) || math.IsInf(squares, 0) {
		return nil, false
	}
	v = make([]float32, len(x))
	for i, n := range x {
		v[i] = float32(n / math.Sqrt(squares))
	}
	return v, true
}

var errTooLarge = errors.New("the answer is larger than 64 MiB")

// limitResponse keeps a server from filling the memory.
func limitResponse(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(req)
	if res != nil && res.Body != nil {
		res.Body = &limited{ReadCloser: res.Body, left: maxResponse}
	}
	return res, err
}

type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left+1)])
	if l.left -= n; l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// translate gives a vendor's error the kind that tells the caller what to do.
func translate(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answered *sdk.Error
	switch {
	case errors.Is(err, errTooLarge):
		return &rebased.Error{Kind: rebased.Invalid, Op: op, Err: errTooLarge}
	case !errors.As(err, &answered):
		return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: err}
	}
	out := &rebased.Error{Kind: kindOf(answered), Op: op, Err: err}
	if (out.Kind == rebased.Throttled || out.Kind == rebased.Unavailable) && answered.Response != nil {
		out.RetryAfter = rebased.ParseRetryAfter(answered.Response.Header.Get("Retry-After"), time.Now(), maxRetryAfter)
	}
	if out.Kind == rebased.Invalid && answered.Message != "" {
		// The message says what was wrong with the request; those of refused credentials may repeat the credentials.
		out.Err = rebased.E(out.Kind, "%w: %.300s", err, answered.Message)
	}
	return out
}

func kindOf(err *sdk.Error) rebased.Kind {
	switch code := err.StatusCode; {
	case code == http.StatusTooManyRequests && err.Code == "insufficient_quota":
		return rebased.Exhausted
	case code == http.StatusTooManyRequests:
		return rebased.Throttled
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return rebased.Unauthorized
	case code == http.StatusRequestTimeout || code >= 500:
		return rebased.Unavailable
	}
	return rebased.Invalid
}
