// Package browser makes a far end of the load generator reachable as browsers are: ICE (RFC 8445), as the controlling side
// of a lite agent, and DTLS-SRTP (RFC 5764). After the handshake nothing is left of it on the path of packets, so that a
// thousand receivers cost no more than plain ones; what stays is a check of consent every few seconds (RFC 7675), which
// browsers send as well.
package browser

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/logging"

	"rotunda/services/media/bench/wire"
	"rotunda/services/media/srtp"
)

// Identity is the certificate that all ends of a bench share.
type Identity struct {
	certificate tls.Certificate
	// Fingerprint is that of SDP, "sha-256 AB:CD:…".
	Fingerprint string
}

// NewIdentity makes a certificate.
func NewIdentity() (*Identity, error) {
	certificate, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	print, err := fingerprint.Fingerprint(parsed, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &Identity{certificate, "sha-256 " + print}, nil
}

// End is one far end with its ICE credentials.
type End struct {
	Far             *wire.Far
	Ufrag, Password string

	load     *wire.Load
	identity *Identity
	remote   Remote
	records  *records
	checked  chan struct{}
	once     sync.Once
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

// Remote are the credentials of the other side. Active says that it begins the DTLS handshake.
type Remote struct {
	Ufrag, Password string
	Active          bool
}

// handshakeLimit is for checks and handshake together, with hundreds of others going on.
const handshakeLimit = 30 * time.Second

// New returns an end whose credentials can be signalled; it is not reachable before Connect.
func New(load *wire.Load, identity *Identity) *End {
	e := &End{load: load, identity: identity, Ufrag: random(8), Password: random(24), checked: make(chan struct{})}
	e.Far = &wire.Far{Other: e.take}
	return e
}

// Connect finds the other side at Far.Remote and agrees on keys, with one SRTP suite on offer so that all who are compared
// use the same.
func (e *End) Connect(ctx context.Context, remote Remote, suite string) error {
	e.remote = remote
	e.records = newRecords(e.Far.Remote, func(b []byte) { e.load.Send(e.Far.Remote, b) })
	e.load.Add(e.Far)
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	e.wait.Go(func() { e.check(alive) })
	within, done := context.WithTimeout(ctx, handshakeLimit)
	defer done()
	select {
	case <-e.checked:
	case <-within.Done():
		return fmt.Errorf("no answer to checks from %v: %w", e.Far.Remote, within.Err())
	}
	return e.shake(within, suite)
}

// Close ends the checks; the other side will notice.
func (e *End) Close() {
	if e.cancel != nil {
		e.cancel()
		e.wait.Wait()
	}
	if e.records != nil {
		_ = e.records.Close()
	}
}

// shake makes the handshake and hands its keys to the far end.
func (e *End) shake(ctx context.Context, suite string) error {
	profile, err := profileOf(suite)
	if err != nil {
		return err
	}
	shared := []dtls.Option{
		dtls.WithCertificates(e.identity.certificate),
		dtls.WithSRTPProtectionProfiles(profile),
		dtls.WithInsecureSkipVerify(true), // whose certificate it is matters to nobody here
		dtls.WithFlightInterval(200 * time.Millisecond),
		dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled, Writer: discard{}}),
	}
	var conn *dtls.Conn
	if e.remote.Active {
		options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(true)}
		for _, o := range shared {
			options = append(options, o)
		}
		conn, err = dtls.ServerWithOptions(e.records, e.records.LocalAddr(), options...)
	} else {
		var options []dtls.ClientOption
		for _, o := range shared {
			options = append(options, o)
		}
		conn, err = dtls.ClientWithOptions(e.records, e.records.LocalAddr(), options...)
	}
	if err != nil {
		return fmt.Errorf("dtls: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("dtls handshake: %w", err)
	}
	state, ok := conn.ConnectionState()
	if chosen, agreed := conn.SelectedSRTPProtectionProfile(); !ok || !agreed || chosen != profile {
		return errors.New("dtls handshake: no srtp suite")
	}
	length, err := srtp.ExporterLength(suite)
	if err != nil {
		return err
	}
	material, err := state.ExportKeyingMaterial(srtp.ExporterLabel, nil, length)
	if err != nil {
		return fmt.Errorf("export keys: %w", err)
	}
	send, receive, err := srtp.NewExported(suite, material, !e.remote.Active)
	if err != nil {
		return err
	}
	e.load.Do(func() { e.Far.Protect, e.Far.Unprotect = send, receive })
	return nil
}

// profileOf is the number of a suite in the handshake (RFC 5764, 7714).
func profileOf(suite string) (dtls.SRTPProtectionProfile, error) {
	for _, p := range []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80} {
		if name, ok := srtp.ByProfile(uint16(p)); ok && name == suite {
			return p, nil
		}
	}
	return 0, fmt.Errorf("suite %s has no profile", suite)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
