package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"

	"rotunda/services/media/control"
	"rotunda/services/media/srtp"
)

const (
	// handshakeTime is for the whole handshake once the peer can be reached.
	handshakeTime = 20 * time.Second
	// flightTime is until the first retransmission; it doubles from there. RFC 6347 says one second for unknown paths, media
	// peers answer within tens of milliseconds, and a lost flight delays the first picture.
	flightTime = 100 * time.Millisecond
	// recordSlots is how many records wait for a handshake goroutine: two flights with a long certificate chain.
	recordSlots = 32
	recordMTU   = 1200
)

// association is the DTLS side of an endpoint: the handshake that makes keys, and after it the connection that answers
// retransmissions and hears the peer's goodbye.
type association struct {
	e       *Endpoint
	records atomic.Pointer[queue] // what the loop has received
	reach   chan struct{}         // closed when the peer can be reached
	reached sync.Once

	// Only Update and Close touch what follows, one at a time.
	begun  *control.Handover
	used   bool // the first queue
	epoch  int  // ICE restarts
	cancel context.CancelFunc
	done   chan struct{}
}

func newAssociation(e *Endpoint) *association {
	a := &association{e: e, reach: make(chan struct{})}
	a.records.Store(newQueue(recordSlots))
	e.phase.dtls = running
	return a
}

// reachable lets the handshake begin.
func (a *association) reachable() { a.reached.Do(func() { close(a.reach) }) }

// update begins a handshake when the remote fingerprints are known, and a new one when they or the roles have changed. An
// ICE restart alone keeps the association (RFC 8842, section 5.5), unless that was over.
func (a *association) update(t control.Transport) {
	h := t.Handover
	if h == nil || len(h.Fingerprints) == 0 {
		return
	}
	if t.ICE == nil && (!h.Active || t.Remote.IsValid()) {
		a.reachable()
	}
	epoch := 0
	if t.ICE != nil {
		epoch = t.ICE.Restart
	}
	over := false
	if a.done != nil {
		a.e.mu.Lock()
		over = a.e.phase.dtls == failed || a.e.phase.dtls == ended
		a.e.mu.Unlock()
	}
	same := a.begun != nil && a.begun.Active == h.Active && slices.Equal(a.begun.Fingerprints, h.Fingerprints)
	if same && !(over && epoch > a.epoch) {
		return
	}
	a.stop()
	if a.used {
		a.records.Store(newQueue(recordSlots))
	}
	a.used = true
	a.begun = &control.Handover{Active: h.Active, Fingerprints: slices.Clone(h.Fingerprints)}
	a.epoch = epoch
	a.e.advance(func(p *phase) { p.dtls = running }, "")
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel, a.done = cancel, make(chan struct{})
	go a.run(ctx, a.begun, t.ICE != nil, a.done)
}

// run is one association from its handshake to its end.
func (a *association) run(ctx context.Context, h *control.Handover, ice bool, finished chan<- struct{}) {
	defer close(finished)
	select {
	case <-a.reach:
	case <-ctx.Done():
		return
	}
	conn, err := a.connect(ctx, h, ice)
	if err == nil {
		err = a.takeKeys(conn, h.Active)
	}
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		if ctx.Err() == nil {
			a.e.advance(func(p *phase) { p.dtls = failed }, fmt.Sprintf("dtls handshake: %v", err))
		}
		return
	}
	a.e.advance(func(p *phase) { p.dtls = done }, "")

	// Data channels are not offered: what comes is read only to see the end, and so that retransmissions are answered.
	said := make(chan struct{})
	closing := context.AfterFunc(ctx, func() {
		defer close(said)
		_ = conn.Close()
	})
	var data [packetSize]byte
	for err == nil {
		_, err = conn.Read(data[:])
	}
	if !closing() {
		<-said // the goodbye leaves before the endpoint closes its way out
	}
	_ = conn.Close()
	if ctx.Err() == nil {
		a.e.advance(func(p *phase) { p.dtls = ended }, "dtls was closed by the other side")
	}
}

// connect makes the handshake.
func (a *association) connect(ctx context.Context, h *control.Handover, ice bool) (*dtls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	shared := []dtls.Option{
		dtls.WithCertificates(a.e.loop.certificate.tls),
		dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithFlightInterval(flightTime),
		dtls.WithMTU(recordMTU),
		dtls.WithLoggerFactory(silentLogs),
		// Certificates are self-signed: the fingerprint is the whole check (RFC 5763, section 5).
		dtls.WithInsecureSkipVerify(true),
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 {
				return errFingerprint
			}
			return verify(raw[0], h.Fingerprints)
		}),
	}
	shared = append(shared, approved()...)
	shim := &recordConn{e: a.e, in: a.records.Load()}
	var conn *dtls.Conn
	var err error
	if h.Active {
		options := make([]dtls.ClientOption, len(shared))
		for i, o := range shared {
			options[i] = o
		}
		conn, err = dtls.ClientWithOptions(shim, shim.LocalAddr(), options...)
	} else {
		// ICE has shown already that the peer is where it says it is, so that the cookie would only cost a round trip.
		options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(ice)}
		for _, o := range shared {
			options = append(options, o)
		}
		conn, err = dtls.ServerWithOptions(shim, shim.LocalAddr(), options...)
	}
	if err != nil {
		return nil, err
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no end after %v", handshakeTime)
		}
		return conn, err
	}
	return conn, nil
}

// profiles are those of package srtp in the order of preference.
var profiles = []dtls.SRTPProtectionProfile{
	dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AES128_CM_HMAC_SHA1_32,
}

// takeKeys hands the keys of the handshake to SRTP.
func (a *association) takeKeys(conn *dtls.Conn, client bool) error {
	profile, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return errors.New("no srtp profile in common")
	}
	suite, ok := srtp.ByProfile(uint16(profile))
	if !ok {
		return fmt.Errorf("srtp profile %#x", uint16(profile))
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return errors.New("no connection state")
	}
	length, err := srtp.ExporterLength(suite)
	if err != nil {
		return err
	}
	material, err := state.ExportKeyingMaterial(srtp.ExporterLabel, nil, length)
	if err != nil {
		return fmt.Errorf("export keys: %w", err)
	}
	send, receive, err := srtp.NewExported(suite, material, client)
	if err != nil {
		return err
	}
	a.e.rekey(receive, false)
	a.e.out.key(send, false)
	a.e.out.settle()
	return nil
}

// close ends the association for good.
func (a *association) close() {
	a.stop()
	a.records.Load().close()
}

// stop ends the running association, if any, with a goodbye to the peer, and waits for it.
func (a *association) stop() {
	if a.done == nil {
		return
	}
	a.cancel()
	<-a.done
	a.cancel, a.done = nil, nil
}

// recordConn is the socket that pion/dtls sees. It has one peer, whose address means nothing.
type recordConn struct {
	e  *Endpoint
	in *queue
}

func (c *recordConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, _, err := c.in.read(p)
	return n, c.LocalAddr(), err
}

func (c *recordConn) WriteTo(p []byte, _ net.Addr) (int, error) {
	c.e.sendRecord(p)
	return len(p), nil
}

func (c *recordConn) Close() error {
	c.in.close()
	return nil
}

func (c *recordConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.e.sockets[0][0].local) }

func (c *recordConn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *recordConn) SetReadDeadline(t time.Time) error { c.in.limit.Set(t); return nil }

// SetWriteDeadline does nothing: writing never waits.
func (c *recordConn) SetWriteDeadline(time.Time) error { return nil }
