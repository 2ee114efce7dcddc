package webhook

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/rebased/rebased"
)

// addresses decide where requests may go. Without a word of the operator that is https to addresses of the public internet alone: not this machine, not its
// networks, not the metadata service of its cloud. It is decided for each address that is dialed, after the name was looked up, so that a name that stands
// for another address meanwhile gains nothing. There is no proxy, whatever HTTPS_PROXY says: it would look names up by itself.
type addresses struct {
	hosts    map[string]bool // host:port that may be any address, by http too
	networks []netip.Prefix  // that may be dialed, by http too
	guard    *ssrf.Guardian
}

func parseAllow(list string) (addresses, error) {
	a := addresses{hosts: map[string]bool{}}
	var v4, v6 []netip.Prefix
	for i, entry := range strings.Split(list, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "" {
			continue
		}
		if network, err := netip.ParsePrefix(entry); err == nil {
			a.networks = append(a.networks, network)
			if network.Addr().Is4() {
				v4 = append(v4, network)
			} else {
				v6 = append(v6, network)
			}
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil || host == "" || port == "" || strings.Contains(entry, "/") {
			return a, rebased.E(rebased.Invalid, "number %d must be host:port or a network such as 10.0.0.0/8, got %.80q", i+1, entry)
		}
		a.hosts[entry] = true
	}
	a.guard = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	return a, nil
}

const allowAdvice = "an operator can allow it to the workers with REBASED_WEBHOOK_ALLOW"

// check refuses what can be told from an address without looking its name up.
func (a addresses) check(address *url.URL) error {
	if a.hosts[hostPort(address)] {
		return nil
	}
	if address.Scheme != "https" && len(a.networks) == 0 {
		return rebased.E(rebased.Invalid, "%s is not https: %s", origin(address), allowAdvice)
	}
	if ip, err := netip.ParseAddr(address.Hostname()); err == nil {
		return a.dialed(address, ip)
	}
	return nil
}

// dialed refuses addresses that must not be connected to.
func (a addresses) dialed(address *url.URL, ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	if a.hosts[hostPort(address)] {
		return nil
	}
	for _, network := range a.networks {
		if network.Contains(ip) {
			return nil
		}
	}
	switch {
	case address.Scheme != "https":
		return rebased.E(rebased.Invalid, "%s is not https: %s", origin(address), allowAdvice)
	case a.guard.SafeAddr(ip) != nil:
		return rebased.E(rebased.Invalid, "%s stands for %s, which is no address of the public internet: %s", origin(address), ip, allowAdvice)
	}
	return nil
}

// transport makes one request to an address.
func (p *Publisher) transport(address *url.URL) *http.Transport {
	dialer := &net.Dialer{
		Timeout: connect, Resolver: p.resolver,
		ControlContext: func(_ context.Context, _, dialed string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(dialed)
			if err != nil {
				return rebased.E(rebased.Invalid, "%s stands for %.80q, which is no address", origin(address), dialed)
			}
			return p.addresses.dialed(address, at.Addr())
		},
	}
	dial := p.dial
	if dial == nil {
		dial = dialer.DialContext
	}
	return &http.Transport{
		Proxy: nil, DialContext: dial, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: connect, MaxResponseHeaderBytes: maxHeaders, TLSClientConfig: &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12},
	}
}

// hostPort is the host and port of an address, the port written out.
func hostPort(address *url.URL) string {
	port := address.Port()
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[address.Scheme == "https"]
	}
	return net.JoinHostPort(strings.ToLower(address.Hostname()), port)
}
