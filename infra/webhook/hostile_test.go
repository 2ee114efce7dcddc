package webhook

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rebased/rebased"
)

func parse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// names is a DNS server on loopback that answers every question about addresses of IPv4 with the same ones.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			if _, err := conn.WriteTo(reply(t, question[:n], addresses), from); err != nil {
				return
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func reply(t *testing.T, question []byte, addresses []string) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		t.Error(err)
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, address := range addresses {
		if m.Questions[0].Type == dnsmessage.TypeA {
			header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return out
}

func TestAddressesOutsideThePublicInternetAreRefused(t *testing.T) {
	p := open(t, Config{})
	for _, host := range []string{
		"127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1",
		"[::1]", "[::]", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[ff02::1]",
	} {
		err := p.Check(t.Context(), to("https://"+host+"/latest/meta-data/"))
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "REBASED_WEBHOOK_ALLOW") {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"8.8.8.8", "[2606:4700::1111]", "ci.test"} {
		if err := p.Check(t.Context(), to("https://"+host)); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Forms of addresses that some libraries take for numbers: the resolver is asked for them as for any name, and what it says is checked.
func TestAddressesInOddFormsAreRefusedWhenTheyAreDialed(t *testing.T) {
	p := open(t, Config{Resolver: names(t, "127.0.0.1")})
	for _, host := range []string{"2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "127.0.0.1.nip.io"} {
		if _, err := p.Publish(t.Context(), to("https://"+host), released); err == nil || strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestANameThatStandsForAPrivateAddressIsRefusedWhenItIsDialed(t *testing.T) {
	for _, address := range []string{"169.254.169.254", "127.0.0.1", "10.0.0.1"} {
		p := open(t, Config{Resolver: names(t, address)})
		if err := p.Check(t.Context(), to("https://ci.test")); err != nil {
			t.Fatal("a name is not looked up before it is used, when it may stand for another address: ", err)
		}
		_, err := p.Publish(t.Context(), to("https://ci.test/"), released)
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "stands for "+address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAnAllowedNetworkIsReachedByNameAndNothingElseIs(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	port := parse(t, r.URL).Port()
	for _, c := range []struct {
		allow    string
		resolves []string
		arrives  bool
	}{
		{"127.0.0.0/8", []string{"127.0.0.1"}, true},
		{"127.0.0.0/8", []string{"169.254.169.254", "127.0.0.1"}, true}, // the first is not dialed
		{"10.0.0.0/8", []string{"127.0.0.1"}, false},
		{"ci.test:" + port, []string{"127.0.0.1"}, true},
		{"ci.test:1", []string{"127.0.0.1"}, false},
		{"", []string{"127.0.0.1"}, false},
	} {
		p := open(t, Config{Allow: c.allow, Resolver: names(t, c.resolves...)})
		if _, err := p.Publish(t.Context(), to("http://ci.test:"+port), released); (err == nil) != c.arrives {
			t.Errorf("%q and %v: %v", c.allow, c.resolves, err)
		}
	}
}

func TestHTTPIsForAllowedTargetsAlone(t *testing.T) {
	if err := open(t, Config{}).Check(t.Context(), to("http://ci.test")); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "not https") {
		t.Errorf("nothing is allowed: %v", err)
	}
	p := open(t, Config{Allow: "10.0.0.0/8", Resolver: names(t, "8.8.8.8")})
	if _, err := p.Publish(t.Context(), to("http://ci.test"), released); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "not https") {
		t.Errorf("a network is allowed, and the name is of another: %v", err)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	elsewhere := newReceiver(t, httptest.NewServer)
	r := newReceiver(t, httptest.NewServer)
	for _, location := range []string{"http://169.254.169.254/latest/meta-data/", elsewhere.URL, "/again"} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			r.answers(func(w http.ResponseWriter, request *http.Request) { http.Redirect(w, request, location, code) })
			before := len(r.messages())
			_, err := open(t, Config{Allow: "127.0.0.0/8"}).Publish(t.Context(), to(r.URL), released)
			if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "redirects") {
				t.Errorf("%d to %s: %v", code, location, err)
			}
			if len(elsewhere.messages()) != 0 || len(r.messages()) != before+1 {
				t.Errorf("%d to %s was followed", code, location)
			}
		}
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	p := open(t, Config{Allow: "hook.test:80", Resolver: names(t, "127.0.0.1")})
	if p.transport(parse(t, "http://hook.test")).Proxy != nil {
		t.Error("a proxy is looked for")
	}
	_, _ = p.Publish(t.Context(), to("http://hook.test"), released)
}

func TestAnEndlessReplyIsReadToItsBoundAlone(t *testing.T) {
	for _, code := range []int{200, 500} {
		r := newReceiver(t, httptest.NewServer)
		ended := make(chan struct{})
		r.answers(func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			w.WriteHeader(code)
			for block := make([]byte, 1<<16); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		})
		receipt, err := open(t, Config{Allow: r.hostPort()}).Publish(t.Context(), to(r.URL), released)
		if (err == nil) != (code == 200) || len(receipt.Result) > 128<<10 || err != nil && len(err.Error()) > 1000 {
			t.Errorf("%d: %d bytes, %v", code, len(receipt.Result), err)
		}
		<-ended // the connection was given up
	}
}

func TestEndlessHeadersAreNotRead(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, err = conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		for i := 0; err == nil; i++ {
			_, err = conn.Write([]byte("X-More: " + strings.Repeat("x", 4000) + "\r\n"))
		}
	})
	if _, err := open(t, Config{Allow: r.hostPort()}).Publish(t.Context(), to(r.URL), released); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("got %v", err)
	}
}

// slow is a server on a pipe, for clocks that a test moves: it answers, then says a byte a second for ever.
func slow(t *testing.T, conn net.Conn, head string) {
	buffer := make([]byte, 1<<16)
	if _, err := conn.Read(buffer); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write([]byte(head)); err != nil {
		return
	}
	for {
		time.Sleep(time.Second)
		if _, err := conn.Write([]byte("x")); err != nil {
			return
		}
	}
}

func TestASlowReplyIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		head  string
		taken bool
	}{
		"slow headers":            {"HTTP/1.1 200 OK\r\nX-Slow: ", false},
		"slow body":               {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", true}, // the status is there: the server has the message
		"slow body of an error":   {"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n", false},
		"a status and no headers": {"HTTP/1.1 2", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, Config{Allow: "hook.test:80"})
				began, ended := time.Now(), make(chan struct{})
				p.dial = func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						defer close(ended)
						slow(t, server, c.head)
					}()
					return client, nil
				}
				_, err := p.Publish(t.Context(), to("http://hook.test"), released)
				if (err == nil) != c.taken || err != nil && rebased.KindOf(err) != rebased.Unavailable {
					t.Errorf("got %v", err)
				}
				if took := time.Since(began); took > within {
					t.Errorf("took %v", took)
				}
				<-ended // the connection was given up
			})
		})
	}
}
