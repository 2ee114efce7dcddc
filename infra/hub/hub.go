// Package hub reads datasets and models from the Hugging Face Hub, or from a server with its API: what a repository is (Info), its files at a commit
// (Files) and their bytes (Open). Datasets adapts it to the sources of an import. Push writes a version into a dataset repository.
//
// It is written from the hub's documentation (https://huggingface.co/docs/hub/api, https://huggingface.co/docs/dataset-viewer/parquet). The token is
// sent to the endpoint's own origin and to no other: files come by redirect from hosts that must not see it.
package hub

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// DefaultEndpoint is the public hub.
const DefaultEndpoint = "https://huggingface.co"

// The kinds of repositories.
const (
	Datasets = "dataset"
	Models   = "model"
)

// Config says how the hub is reached.
type Config struct {
	Endpoint string // HF_ENDPOINT; "" = DefaultEndpoint
	Token    string // HF_TOKEN; "" = none: public repositories only
	Holder   string // whose environment HF_TOKEN is in, for messages: " of the worker"; "" = that of the program itself
	// Wait pauses between attempts; nil waits by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// Hub is a client of one endpoint. It is safe for concurrent use.
type Hub struct {
	endpoint *url.URL
	token    string
	holder   string
	client   *http.Client
	writer   *http.Client // follows no redirect, and waits longer for an answer
	bare     *http.Client // never sends the token
	wait     func(ctx context.Context, d time.Duration) error
	stall    time.Duration // a body that gives no byte for so long is asked for again
}

// New makes a client. It connects to nothing. A wrong endpoint is Invalid.
func New(cfg Config) (*Hub, error) {
	if cfg.Endpoint == "" {
		cfg.Endpoint = DefaultEndpoint
	}
	endpoint, err := url.Parse(strings.TrimSuffix(cfg.Endpoint, "/"))
	if err != nil || endpoint.Host == "" || endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		return nil, rebased.E(rebased.Invalid, "HF_ENDPOINT must be http(s)://host[:port][/path]")
	}
	if cfg.Wait == nil {
		cfg.Wait = rebased.Sleep
	}
	h := &Hub{endpoint: endpoint, token: cfg.Token, holder: cfg.Holder, wait: cfg.Wait, stall: time.Minute}
	h.client = &http.Client{Transport: own{h, transport()}, CheckRedirect: checkRedirect}
	slow := transport()
	slow.ResponseHeaderTimeout = 5 * time.Minute // a large commit takes the hub its time
	h.writer = &http.Client{Transport: own{h, slow}, CheckRedirect: noRedirect}
	h.bare = &http.Client{Transport: slow, CheckRedirect: noRedirect}
	return h, nil
}

func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableCompression:    true, // the size of a file is the one that the listing says
	}
}

// own puts the token into the requests to the endpoint's origin, after redirects too, and into no others.
type own struct {
	hub  *Hub
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (o own) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	r.Header.Del("Referer")
	if o.hub.token != "" && r.URL.Scheme == o.hub.endpoint.Scheme && strings.EqualFold(r.URL.Host, o.hub.endpoint.Host) {
		r.Header.Set("Authorization", "Bearer "+o.hub.token)
	}
	return o.next.RoundTrip(r)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

const maxRedirects = 10

func checkRedirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return rebased.E(rebased.Invalid, "more than %d redirects", maxRedirects)
	case via[0].URL.Scheme == "https" && r.URL.Scheme != "https":
		return rebased.E(rebased.Invalid, "a redirect leads from https to %s", r.URL.Scheme)
	}
	return nil
}

// Repo names a repository at a revision.
type Repo struct {
	Kind     string // Datasets or Models
	ID       string // owner/name, or a name alone
	Revision string // a commit, a branch or a tag; "" = main
}

func (r Repo) revision() string {
	if r.Revision == "" {
		return "main"
	}
	return r.Revision
}

func (r Repo) String() string { return r.Kind + " " + r.ID }

// page is where a person looks at the repository.
func (h *Hub) page(r Repo) string {
	if r.Kind == Datasets {
		return h.endpoint.String() + "/datasets/" + r.ID
	}
	return h.endpoint.String() + "/" + r.ID
}

// api is an address of the API: /api/datasets/owner/name/rest. A segment of a revision or a path may hold anything but '/', which is escaped too
// in a revision, as the hub wants it.
func (h *Hub) api(r Repo, rest string) string {
	return h.endpoint.String() + "/api/" + r.Kind + "s/" + escapePath(r.ID) + rest
}

// resolve is the address of a file.
func (h *Hub) resolve(r Repo, path string) string {
	base := h.endpoint.String() + "/"
	if r.Kind == Datasets {
		base += "datasets/"
	}
	return base + escapePath(r.ID) + "/resolve/" + url.PathEscape(r.revision()) + "/" + escapePath(path)
}

func escapePath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}
