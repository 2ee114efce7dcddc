package app

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
	"github.com/rebased/rebased/starter/cluster"
)

// codecServer is what `rebased codec-server` was told.
type codecServer struct {
	listen      string
	origins     []string
	askTemporal bool
	behindProxy bool
	cert, key   string
}

const (
	tokenName   = "REBASED_CODEC_TOKEN" //nolint:gosec // a variable's name
	leastToken  = 16                    // characters
	codecListen = "127.0.0.1:8081"
	codecStop   = 5 * time.Second
)

func (a *app) codecServerCommand() *cobra.Command {
	var s codecServer
	cmd := &cobra.Command{
		Use:   "codec-server",
		Short: "Serve Temporal's web UI and command line with decrypted payloads",
		Long: `Serve Temporal's web UI and command line with decrypted payloads, until Ctrl-C: POST /decode and /encode, by the keys of
REBASED_PAYLOAD_KEYS or REBASED_PAYLOAD_KEYS_FILE. Who reaches it reads what is encrypted: on another address than loopback it must know who asks,
by a token in REBASED_CODEC_TOKEN or by asking Temporal, and the connection must be encrypted.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serveCodec(cmd.Context(), s) },
	}
	flags := cmd.Flags()
	flags.StringVar(&s.listen, "listen", codecListen, "host:port to listen on")
	flags.StringArrayVar(&s.origins, "origin", nil, "origin of a web UI whose pages may ask, http(s)://host[:port]; once for each")
	flags.BoolVar(&s.askTemporal, "ask-temporal", false, "serve who may read the namespace: Temporal is asked with the token that the web UI passes on")
	flags.StringVar(&s.cert, "tls-cert", "", "file of the certificate to serve with, in PEM")
	flags.StringVar(&s.key, "tls-key", "", "file of its key, in PEM")
	flags.BoolVar(&s.behindProxy, "behind-proxy", false, "a proxy ends TLS before it: allow an address that is not loopback without a certificate")
	return cmd
}

func (a *app) serveCodec(ctx context.Context, s codecServer) error {
	token := a.getenv(tokenName)
	if err := s.check(token); err != nil {
		return err
	}
	codec, err := payload.Load(ctx, cluster.Environ(a.environ))
	if err != nil {
		return err
	}
	if !codec.Opens() {
		return rebased.E(rebased.Invalid, "no key is set: set REBASED_PAYLOAD_KEYS or REBASED_PAYLOAD_KEYS_FILE")
	}
	config := payload.ServerConfig{Origins: s.origins}
	switch {
	case s.askTemporal:
		readers, err := cluster.DialReaders(ctx, cluster.Options{Address: a.temporalAddress, Namespace: a.temporalNamespace, Environ: a.environ})
		if err != nil {
			return err
		}
		defer readers.Close()
		config.Authorize = readers.Check
	case token != "":
		config.Authorize = holds(token)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return rebased.E(rebased.Invalid, "--listen: %w", err)
	}
	return a.serveUntil(ctx, payload.NewServer(codec, config), listener, s)
}

// check refuses what would hand out secrets.
func (s codecServer) check(token string) error {
	for _, origin := range s.origins {
		u, err := neturl.Parse(origin)
		if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return rebased.E(rebased.Invalid, "--origin must be http(s)://host[:port] as the browser shows it, and no more, got %.80q", origin)
		}
	}
	switch {
	case (s.cert == "") != (s.key == ""):
		return rebased.E(rebased.Invalid, "--tls-cert and --tls-key are given together")
	case token != "" && s.askTemporal:
		return rebased.E(rebased.Invalid, "%s and --ask-temporal are two ways to know who asks: use one", tokenName)
	case token != "" && len(token) < leastToken:
		return rebased.E(rebased.Invalid, "%s has %d characters, must have %d or more: make one with openssl rand -hex 32", tokenName, len(token), leastToken)
	case payload.IsLoopback(s.listen):
		return nil
	case token == "" && !s.askTemporal:
		return rebased.E(rebased.Invalid, "--listen %s is not loopback, and everybody who reaches it would read what is encrypted: set %s, or --ask-temporal", s.listen, tokenName)
	case s.cert == "" && !s.behindProxy:
		return rebased.E(rebased.Invalid, "--listen %s is not loopback, and what is decrypted would cross the network in plain: give --tls-cert and --tls-key, or --behind-proxy where a proxy ends TLS", s.listen)
	}
	return nil
}

// holds asks for a token that all who may read know.
func holds(token string) payload.Authorize {
	want := []byte("Bearer " + token)
	return func(_ context.Context, authorization string) error {
		if subtle.ConstantTimeCompare([]byte(authorization), want) != 1 {
			return rebased.E(rebased.Unauthorized, "the Authorization header must be Bearer and the token of this server")
		}
		return nil
	}
}

func (a *app) serveUntil(ctx context.Context, server *http.Server, listener net.Listener, s codecServer) error {
	ended := make(chan error, 1)
	scheme := "http"
	if s.cert != "" {
		scheme = "https"
	}
	go func() {
		if s.cert != "" {
			ended <- server.ServeTLS(listener, s.cert, s.key)
			return
		}
		ended <- server.Serve(listener)
	}()
	a.console.Notef("codec server on %s://%s, for pages of %s", scheme, listener.Addr(), orNone(s.origins))
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", s.listen, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), codecStop)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

func orNone(origins []string) string {
	if len(origins) == 0 {
		return "no origin"
	}
	return strings.Join(origins, ", ")
}
