package webadmin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of connections. A form is filled in between two requests, so idle connections may last; what is slow within a request
// is not a browser.
const (
	headerLimit    = 10 * time.Second
	readLimit      = 60 * time.Second
	writeLimit     = 5 * time.Minute // of a log that is downloaded
	keepLimit      = 2 * time.Minute
	maxHeader      = 32 << 10
	maxConnections = 1000
	drainLimit     = 3 * time.Second
)

// port is what is served on one kind of port, on addresses that come and go.
type port struct {
	name    string
	handler http.Handler
	tls     *tls.Config
	log     *slog.Logger
	slots   chan struct{}

	mu   sync.Mutex
	open map[netip.AddrPort]*opened
	wait sync.WaitGroup
}

func newPort(name string, handler http.Handler, config *tls.Config, logger *slog.Logger) *port {
	return &port{name: name, handler: handler, tls: config, log: logger, slots: make(chan struct{}, maxConnections), open: map[netip.AddrPort]*opened{}}
}

// follow opens what is wanted and not open, and closes the rest. A restart of what stays would cut downloads for nothing.
func (p *port) follow(wanted []netip.AddrPort) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := map[netip.AddrPort]bool{}
	var errs []error
	for _, a := range wanted {
		keep[a] = true
		if p.open[a] != nil {
			continue
		}
		l, err := net.Listen("tcp", a.String())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.serve(a, l)
	}
	for a, server := range p.open {
		if !keep[a] {
			delete(p.open, a)
			p.end(server)
		}
	}
	return errors.Join(errs...)
}

// serve serves a listener until its server is closed. The caller holds mu.
func (p *port) serve(a netip.AddrPort, l net.Listener) {
	// Each server adds to its own.
	config := p.tls.Clone()
	// What has left the server, a WebSocket that is passed on, ends with this context.
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: p.handler, BaseContext: func(net.Listener) context.Context { return ctx }, TLSConfig: config, ReadHeaderTimeout: headerLimit, ReadTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: keepLimit,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(discard{}, "", 0)}
	p.open[a] = &opened{server, cancel}
	l = &bounded{l, p.slots}
	p.wait.Go(func() {
		var err error
		if config != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("a port is not served any more", "port", p.name, "error", err)
			cancel()
			p.mu.Lock()
			delete(p.open, a) // the next look opens it again
			p.mu.Unlock()
		}
	})
}

// opened is a server, and what ends that which has left it.
type opened struct {
	*http.Server
	cut context.CancelFunc
}

func (p *port) end(server *opened) {
	p.wait.Go(func() {
		defer server.cut()
		ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	})
}

// close ends all of it.
func (p *port) close() {
	p.mu.Lock()
	for a, server := range p.open {
		delete(p.open, a)
		p.end(server)
	}
	p.mu.Unlock()
	p.wait.Wait()
}

// bounded accepts as many connections at a time as there are slots; others wait in the kernel's queue.
type bounded struct {
	net.Listener
	slots chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	b.slots <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &slotted{Conn: c, free: sync.OnceFunc(func() { <-b.slots })}, nil
}

type slotted struct {
	net.Conn
	free func()
}

func (s *slotted) Close() error {
	defer s.free()
	return s.Conn.Close()
}

// certificates gives each handshake the settings of that moment, so that a new certificate needs no new listener.
type certificates struct{ current atomic.Pointer[settings] }

func (c *certificates) config() *tls.Config {
	// The outer one says only what a listener must know; the versions that are taken are those of the settings.
	return &tls.Config{MinVersion: tls.VersionTLS10, NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.certificate() },
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s := c.current.Load()
			if _, err := c.certificate(); err != nil {
				return nil, err
			}
			c := &tls.Config{MinVersion: s.TLS.Version(), CipherSuites: s.TLS.Suites(), Certificates: []tls.Certificate{*s.certificate}, NextProtos: protocols}
			if s.Cards.Enabled {
				// Asked for and not demanded: the API's clients have none. The handshake proves that the far end has the key; whose it
				// is, and whether it still counts, is asked at the shell.
				c.ClientAuth, c.ClientCAs = tls.RequestClientCert, s.issuers
			}
			return c, nil
		}}
}

var protocols = []string{"h2", "http/1.1"}

func (c *certificates) certificate() (*tls.Certificate, error) {
	if s := c.current.Load(); s.certificate != nil {
		return s.certificate, nil
	}
	return nil, errors.New("no certificate")
}

// redirect sends browsers that came without TLS to the HTTPS port.
func redirect(current *atomic.Pointer[settings]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
			if a, err := netip.ParseAddr(h); err == nil && a.Is6() {
				host = "[" + h + "]"
			}
		}
		if host == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			// What was to be changed went over the network in clear; it is not to be repeated by itself.
			http.Error(w, "use https", http.StatusForbidden)
			return
		}
		if p := current.Load().Port; p != 443 {
			host = fmt.Sprintf("%s:%d", host, p)
		}
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusMovedPermanently)
	})
}
