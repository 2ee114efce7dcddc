// Package webhook hands released versions to a web server: one POST by the rules of Standard Webhooks 1.0 (standardwebhooks.com), signed with secrets that
// the worker alone has. It stands behind publish.Publisher. The address comes from a task file, which whoever may start builds can write, so it is not
// trusted: see addresses.
package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
)

// Bounds of one request.
const (
	within      = 30 * time.Second // from the first look-up to the last byte
	connect     = 10 * time.Second
	maxReply    = 64 << 10 // bytes that are read of a reply
	maxHeaders  = 64 << 10
	maxPatience = 24 * time.Hour // that a server may ask for
)

// Config says how requests are signed and where they may go.
type Config struct {
	Secrets string // REBASED_WEBHOOK_SECRET: [https://origin=]whsec_…, separated by spaces
	Allow   string // REBASED_WEBHOOK_ALLOW: host:port and CIDR, separated by commas

	Authorities *x509.CertPool   // that vouch for servers; nil = the system's
	Resolver    *net.Resolver    // nil = the system's
	Now         func() time.Time // nil = time.Now
}

// Publisher implements publish.Publisher.
type Publisher struct {
	signers   signers
	addresses addresses
	roots     *x509.CertPool
	resolver  *net.Resolver
	now       func() time.Time
	dial      func(ctx context.Context, network, address string) (net.Conn, error) // of tests; nil = by addresses
}

var _ publish.Publisher = (*Publisher)(nil)

// New checks the settings. Errors are Invalid and hold no secret.
func New(c Config) (*Publisher, error) {
	keys, err := parseSecrets(c.Secrets)
	if err != nil {
		return nil, fmt.Errorf("REBASED_WEBHOOK_SECRET: %w", err)
	}
	allowed, err := parseAllow(c.Allow)
	if err != nil {
		return nil, fmt.Errorf("REBASED_WEBHOOK_ALLOW: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Publisher{signers: keys, addresses: allowed, roots: c.Authorities, resolver: c.Resolver, now: c.Now}, nil
}

// event is the body of a request.
type event struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      publish.Message `json:"data"`
}

// Check implements publish.Publisher.
func (p *Publisher) Check(_ context.Context, to rebased.Handoff) error {
	_, err := p.target(to)
	return err
}

func (p *Publisher) target(to rebased.Handoff) (*url.URL, error) {
	if to.Webhook == nil {
		return nil, rebased.E(rebased.Invalid, "the task names no webhook")
	}
	address, err := url.Parse(to.Webhook.URL)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "handoff.webhook.url is no URL")
	}
	if err := p.addresses.check(address); err != nil {
		return nil, err
	}
	if len(p.signers.of(address)) == 0 {
		return nil, rebased.E(rebased.Unauthorized, "no secret to sign requests to %s with: set REBASED_WEBHOOK_SECRET where the workers run", origin(address))
	}
	return address, nil
}

// Publish implements publish.Publisher. The server has the message once it answers with a status of 2xx, whatever it says then.
func (p *Publisher) Publish(ctx context.Context, to rebased.Handoff, m publish.Message) (publish.Receipt, error) {
	address, err := p.target(to)
	if err != nil {
		return publish.Receipt{}, err
	}
	work, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	request, err := p.request(work, address, m)
	if err != nil {
		return publish.Receipt{}, err
	}
	transport := p.transport(address)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request) // a client would follow redirects
	if err != nil {
		return publish.Receipt{}, broken(ctx, address, err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end, or given up
	said, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if response.StatusCode/100 == 2 {
		return publish.Receipt{Result: publish.ResultOf(said, int(min(response.ContentLength, 1<<40)))}, nil
	}
	if ctx.Err() != nil {
		return publish.Receipt{}, broken(ctx, address, err)
	}
	return publish.Receipt{}, p.refusal(address, response, said)
}

func (p *Publisher) request(ctx context.Context, address *url.URL, m publish.Message) (*http.Request, error) {
	body, err := json.Marshal(event{Type: "version.released", Timestamp: m.ReleasedAt.UTC(), Data: m})
	if err != nil {
		return nil, fmt.Errorf("encode the message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "handoff.webhook.url: %s", rebased.Quote(err.Error(), ""))
	}
	now := p.now()
	signature, err := p.signers.sign(address, m.IdempotencyKey, now, body)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "rebased", "Idempotency-Key": m.IdempotencyKey,
		headerID: m.IdempotencyKey, headerTimestamp: strconv.FormatInt(now.Unix(), 10), headerSignature: signature,
	} {
		request.Header.Set(name, value)
	}
	return request, nil
}

// broken is a request that came to no reply.
func broken(ctx context.Context, address *url.URL, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if refused, ok := errors.AsType[*rebased.Error](err); ok { // by addresses
		return refused
	}
	return rebased.E(rebased.Unavailable, "hand off to %s: %s", origin(address), rebased.Quote(err.Error(), ""))
}

// refusal is a reply that is none of 2xx. What a later request may be taken for is tried again: 408, 425, 429, those of 500 and more, and 409, which servers
// answer while they still work on a request of the same Idempotency-Key (draft-ietf-httpapi-idempotency-key-header, 2.7).
func (p *Publisher) refusal(address *url.URL, response *http.Response, said []byte) error {
	op := "hand off to " + origin(address)
	wait := rebased.ParseRetryAfter(response.Header.Get("Retry-After"), p.now(), maxPatience)
	text := fmt.Errorf("the server answers %d %s: %s", response.StatusCode, http.StatusText(response.StatusCode), rebased.Quote(string(said), ""))
	kind := rebased.Invalid
	switch code := response.StatusCode; {
	case code/100 == 3:
		text = fmt.Errorf("the server answers %d and redirects, which a hand-off does not follow: name the last address", code)
	case code == http.StatusTooManyRequests:
		kind = rebased.Throttled
	case code == http.StatusRequestTimeout, code == http.StatusConflict, code == http.StatusTooEarly, code >= http.StatusInternalServerError:
		kind = rebased.Unavailable
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		kind = rebased.Unauthorized
	case code == http.StatusNotFound, code == http.StatusGone:
		kind = rebased.NotFound
	}
	return &rebased.Error{Kind: kind, Op: op, RetryAfter: wait, Err: text}
}
