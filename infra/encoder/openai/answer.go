package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
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

// answered sees each answer before the SDK does: it makes errors of refusals, since the SDK's own repeat whatever the server has said, and keeps
// a server from filling the memory.
func (e *Encoder) answered(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(req)
	if err != nil || res == nil || res.Body == nil {
		return res, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		defer res.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal)) // what there is of it; the status counts
		return nil, refusal(res, body, e.key)
	}
	res.Body = &limited{ReadCloser: res.Body, left: maxResponse}
	return res, nil
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

// translate gives an error of a request its kind; key is what its text must not hold.
func translate(ctx context.Context, err error, key string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	refused, ok := errors.AsType[*rebased.Error](err)
	switch {
	case ok:
		return refused
	case errors.Is(err, errTooLarge):
		return &rebased.Error{Kind: rebased.Invalid, Op: op, Err: errTooLarge}
	}
	return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: errors.New(rebased.Quote(err.Error(), key))}
}

// refusal makes an error of an answer that is none: the status, and of a request that is wrong what the server says of it. What servers say of
// credentials may repeat them, and nobody needs it.
func refusal(res *http.Response, body []byte, key string) error {
	said, code := saidIn(body)
	text := strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	out := &rebased.Error{Kind: kindOf(res.StatusCode, code), Op: op}
	switch out.Kind {
	case rebased.Throttled, rebased.Unavailable:
		out.RetryAfter = rebased.ParseRetryAfter(res.Header.Get("Retry-After"), time.Now(), maxRetryAfter)
	case rebased.Invalid, rebased.NotFound:
		if said = rebased.Quote(said, key); said != "" {
			text += ": " + said
		}
	}
	out.Err = errors.New(text)
	return out
}

// saidIn finds the message and the code in the body of a refusal: in the protocol's {"error": {"message": …, "code": …}}, in what other servers
// make of it ({"error": "…"}, {"message": "…"}), or the text that it is.
func saidIn(body []byte) (message, code string) {
	var plain struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(body, &plain) != nil {
		return string(body), ""
	}
	var inner struct {
		Message string `json:"message"`
		Code    any    `json:"code"` // a number with some servers
	}
	if json.Unmarshal(plain.Error, &message) == nil {
		return cmp.Or(message, plain.Message), ""
	}
	_ = json.Unmarshal(plain.Error, &inner)
	code, _ = inner.Code.(string)
	return cmp.Or(inner.Message, plain.Message), code
}

func kindOf(status int, code string) rebased.Kind {
	switch {
	case status == http.StatusTooManyRequests && code == "insufficient_quota":
		return rebased.Exhausted
	case status == http.StatusTooManyRequests:
		return rebased.Throttled
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return rebased.Unauthorized
	case status == http.StatusRequestTimeout || status >= 500:
		return rebased.Unavailable
	case status == http.StatusNotFound || code == "model_not_found": // whatever is sent
		return rebased.NotFound
	}
	return rebased.Invalid
}
