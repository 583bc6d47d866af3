package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"rotunda/mmp/pki/revocation"
	"rotunda/services/callbridge/store"
)

// TLS are the settings of `tls ldap`.
type TLS struct {
	// Verify checks the directory's certificate against Roots and its address; without it, any certificate will do, which
	// keeps out listeners but no impostor.
	Verify bool
	// OCSP asks, beyond that, whether the certificate was revoked. It has no effect without Verify.
	OCSP bool
	// Roots are those of `tls ldap trust`.
	Roots *x509.CertPool
	// Min is the lowest version, such as tls.VersionTLS12; 0 stands for 1.2.
	Min uint16
}

// config is that of a connection to a host.
func (t TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: t.Min, RootCAs: t.Roots}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	if !t.Verify {
		c.InsecureSkipVerify = true // chosen by `tls ldap verify disable`
		return c, nil
	}
	if t.Roots == nil {
		return nil, errors.New("certificates are to be verified, and there is no trust bundle: set one with `tls ldap trust <bundle>`")
	}
	if t.OCSP {
		c.VerifyConnection = revocation.Asker{}.Connection
	}
	return c, nil
}

// server is an ldapServers object.
type server struct {
	address            string
	port               int64
	username, password string
	secure, paged      bool
}

func serverOf(r *store.Record) server {
	port, _ := r.Number("portNumber")
	return server{
		address: r.Text("address"), port: port, username: r.Text("username"), password: r.Text("password"),
		secure: r.Bool("secure"), paged: r.Text("usePagedResults") != "false",
	}
}

func (s server) String() string { return net.JoinHostPort(s.address, strconv.FormatInt(s.port, 10)) }

const (
	// patience with a connection and its TLS handshake, with the answer to a bind, and with the next entry of a search: a
	// directory that walks its whole tree for a filter without an index takes long for the first.
	dialPatience  = 10 * time.Second
	bindPatience  = 20 * time.Second
	entryPatience = 2 * time.Minute

	// mostPacket is the largest answer that is read: one entry with the few attributes that we ask for.
	mostPacket = 8 << 20
)

func init() {
	// The library's own bound is 2 GiB for each packet. Nothing else here reads BER.
	ber.MaxPacketLengthBytes = mostPacket
}

// session is a connection on which a bind succeeded.
type session struct {
	conn *ldap.Conn
	// raw is the connection below, which can be cut at any time.
	raw net.Conn
	// unwatch ends the watch over the context.
	unwatch func() bool
}

// connect connects and binds. The connection is closed when ctx ends.
//
// Where the server is to be secure, TLS begins at once (LDAPS), or by StartTLS: by the latter first on the ports 389 and 3268, which
// are plain by convention, and otherwise when the port answers no TLS handshake. Credentials are never sent in the clear there.
func connect(ctx context.Context, s server, t TLS) (*session, error) {
	host := strings.Trim(s.address, "[]")
	if !s.secure {
		return open(ctx, s, host, nil, false)
	}
	config, err := t.config(host)
	if err != nil {
		return nil, err
	}
	startTLS := s.port == 389 || s.port == 3268
	x, err := open(ctx, s, host, config, startTLS)
	if err == nil || !speaksOtherwise(err) {
		return x, err
	}
	x, second := open(ctx, s, host, config, !startTLS)
	if second != nil && speaksOtherwise(second) {
		// Neither: the first error is that of the way that the port stands for.
		return nil, err
	}
	return x, second
}

// handshakeError says that TLS did not begin. Otherwise is true where it failed as it does when the other side does not expect
// it in this way: not because of a certificate.
type handshakeError struct {
	err       error
	otherwise bool
}

func (e *handshakeError) Error() string { return "TLS: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

func speaksOtherwise(err error) bool {
	var h *handshakeError
	return errors.As(err, &h) && h.otherwise
}

// notTLS says whether a handshake that began at once met a plain server: it takes the first bytes for a broken request and hangs up.
func notTLS(err error) bool {
	var plain tls.RecordHeaderError
	return errors.As(err, &plain) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func open(ctx context.Context, s server, host string, config *tls.Config, startTLS bool) (*session, error) {
	dialing, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(dialing, "tcp", net.JoinHostPort(host, strconv.FormatInt(s.port, 10)))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s, err)
	}
	// The library's StartTLS and its writes know no context.
	if config != nil && !startTLS {
		secured := tls.Client(raw, config)
		if err := secured.HandshakeContext(dialing); err != nil {
			raw.Close()
			return nil, fmt.Errorf("connect to %s: %w", s, &handshakeError{err, notTLS(err)})
		}
		raw = secured
	}
	conn := ldap.NewConn(raw, config != nil && !startTLS)
	conn.Start()
	if config != nil && startTLS {
		unwatch := context.AfterFunc(dialing, func() { raw.Close() })
		err := conn.StartTLS(config)
		unwatch()
		if err != nil {
			conn.Close()
			// The library says it in words alone.
			begun := strings.Contains(err.Error(), "TLS handshake failed") || dialing.Err() != nil
			return nil, fmt.Errorf("connect to %s: StartTLS: %w", s, &handshakeError{err, !begun})
		}
	}
	x := &session{conn: conn, raw: raw, unwatch: context.AfterFunc(ctx, func() { raw.Close() })}
	conn.SetTimeout(bindPatience)
	switch {
	case s.username == "" && s.password == "":
		err = conn.UnauthenticatedBind("")
	case s.password == "":
		// A name without a password is an anonymous bind to most directories, and would look like success (RFC 4513, 5.1.2).
		err = errors.New("there is a user name and no password: set both, or neither to be anonymous")
	default:
		err = conn.Bind(s.username, s.password)
	}
	if err != nil {
		x.close()
		return nil, fmt.Errorf("log in to %s: %w", s, explain(err))
	}
	// Searches have a patience of their own, with each entry.
	conn.SetTimeout(0)
	return x, nil
}

func (x *session) close() {
	x.unwatch()
	x.conn.Close()
}
