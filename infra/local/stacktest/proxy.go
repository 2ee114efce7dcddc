package stacktest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a way to a server that a test can cut: what is under way breaks off, and nothing new comes through until it is healed.
type Proxy struct {
	Address string // host:port, on loopback

	to       string
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	after int // bytes to the server until it cuts itself; 0 = never
	conns map[net.Conn]bool
}

// NewProxy makes a way to a server, open. The end of the test closes it.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: l.Addr().String(), to: to, listener: l, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
	})
	go p.serve()
	return p
}

// Cut breaks all connections off and lets none through.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

func (p *Proxy) cutLocked() {
	p.cut, p.after = true, 0
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// CutAfter cuts once so many more bytes have gone to the server.
func (p *Proxy) CutAfter(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = bytes
}

// IsCut tells whether the way is cut.
func (p *Proxy) IsCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// Heal lets connections through again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(client)
	}
}

func (p *Proxy) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.take(client, server) {
		return
	}
	defer p.drop(client, server)
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(counted{server, p}, client); done <- struct{}{} }()
	go func() { _, _ = io.Copy(client, server); done <- struct{}{} }()
	<-done
}

func (p *Proxy) take(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// counted counts what goes to the server.
type counted struct {
	io.Writer
	proxy *Proxy
}

func (c counted) Write(b []byte) (int, error) {
	p := c.proxy
	p.mu.Lock()
	if p.after > 0 {
		if p.after -= len(b); p.after <= 0 {
			p.cutLocked()
		}
	}
	p.mu.Unlock()
	return c.Writer.Write(b)
}
