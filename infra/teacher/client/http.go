// Package client is what the adapters of teachers share: an HTTP client for many calls at once, and how what a server says becomes the text of an
// error that is short and holds no key.
package client

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rebased/rebased"
)

// maxBody bounds a reply: far over any answer of the largest max_tokens.
const maxBody = 16 << 20

// NewHTTP makes a client for many calls at once to one server: connections are kept, replies are bounded, redirects are refused, since
// they would carry the prompt and the key elsewhere.
func NewHTTP() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: bounded{&http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        2048,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     90 * time.Second,
		}},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("the teacher redirects to %s: set its address as base URL", r.URL.Host)
		},
	}
}

// Address takes a server's base URL apart. What is no plain address of a server is Invalid.
func Address(baseURL string) (*url.URL, error) {
	address, err := url.Parse(baseURL)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") ||
		address.User != nil || address.RawQuery != "" || address.Fragment != "" {
		return nil, rebased.E(rebased.Invalid, "the teacher's base URL must be http:// or https:// and a host, without credentials and query")
	}
	return address, nil
}

type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		most := limit(r.Context())
		response.Body = &boundedBody{ReadCloser: response.Body, most: most, left: most}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	most, left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the teacher's reply is over %d bytes", b.most)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
