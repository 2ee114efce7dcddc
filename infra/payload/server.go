package payload

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"

	"github.com/rebased/rebased"
)

// bodyLimit bounds the payloads of one request.
const bodyLimit = 16 << 20

// Authorize says whether the sender of an Authorization header may have payloads opened: nil, or Unauthorized, or what kept us from knowing.
type Authorize func(ctx context.Context, authorization string) error

// ServerConfig says who may ask a codec server.
type ServerConfig struct {
	// Origins are those of the web UIs that may ask from a browser, http(s)://host[:port]; pages of others are refused.
	Origins []string
	// Authorize is asked about every request; nil serves whoever reaches the server by a loopback name.
	Authorize Authorize
}

// NewServer makes the codec server of Temporal's web UI and command line: POST /decode and /encode, payloads in, payloads out, as JSON.
func NewServer(codec *Codec, c ServerConfig) *http.Server {
	mux := http.NewServeMux()
	payloads := http.MaxBytesHandler(converter.NewPayloadCodecHTTPHandler(codec), bodyLimit)
	mux.Handle("/decode", payloads)
	mux.Handle("/encode", payloads)
	return &http.Server{
		Handler: c.guard(mux), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// guard lets through who may ask.
func (c ServerConfig) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if c.Authorize == nil && !IsLoopback(r.Host) { // a name that a page had resolve to this machine
			http.Error(w, "this server is asked by the name localhost, or for an Authorization header", http.StatusForbidden)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			if !slices.Contains(c.Origins, origin) {
				http.Error(w, "this origin is not among those of --origin", http.StatusForbidden)
				return
			}
			allow(w.Header(), r, origin)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		if c.Authorize != nil {
			if err := c.Authorize(r.Context(), r.Header.Get("Authorization")); err != nil {
				status := http.StatusBadGateway
				if rebased.KindOf(err) == rebased.Unauthorized {
					status = http.StatusUnauthorized
				}
				http.Error(w, rebased.Quote(err.Error(), ""), status)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// allow tells a browser that the page may ask, with the headers that the web UI sends.
func allow(h http.Header, r *http.Request, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true") // a proxy before this server may want its cookie
	h.Set("Vary", "Origin")
	if r.Method != http.MethodOptions {
		return
	}
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" { // a UI on the internet, a server on this machine
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
}

// IsLoopback tells whether host[:port] is this machine, seen from itself.
func IsLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
