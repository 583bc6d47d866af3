package transport

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"rotunda/services/media/control"
	"rotunda/services/media/srtp"
)

// handshaker is pion/dtls on a socket of its own.
type handshaker struct {
	socket      *net.UDPConn
	certificate certificate
	conn        *dtls.Conn
	send, recv  *srtp.Context
	suite       string
}

func newHandshaker(t testing.TB) *handshaker {
	t.Helper()
	c, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	socket, _ := newPeer(t)
	return &handshaker{socket: socket, certificate: c}
}

// shake makes the handshake as client or server and takes the keys.
func (p *handshaker) shake(ctx context.Context, to net.Addr, client bool, profiles ...dtls.SRTPProtectionProfile) error {
	return p.shakeOver(ctx, p.socket, to, client, profiles...)
}

func (p *handshaker) shakeOver(ctx context.Context, socket net.PacketConn, to net.Addr, client bool, profiles ...dtls.SRTPProtectionProfile) error {
	var err error
	shared := []dtls.Option{dtls.WithCertificates(p.certificate.tls), dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithInsecureSkipVerify(true), dtls.WithFlightInterval(50 * time.Millisecond)}
	if client {
		var options []dtls.ClientOption
		for _, o := range shared {
			options = append(options, o)
		}
		p.conn, err = dtls.ClientWithOptions(socket, to, options...)
	} else {
		options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, o := range shared {
			options = append(options, o)
		}
		p.conn, err = dtls.ServerWithOptions(socket, to, options...)
	}
	if err != nil {
		return err
	}
	if err := p.conn.HandshakeContext(ctx); err != nil {
		p.conn.Close()
		return err
	}
	profile, _ := p.conn.SelectedSRTPProtectionProfile()
	p.suite, _ = srtp.ByProfile(uint16(profile))
	n, err := srtp.ExporterLength(p.suite)
	if err != nil {
		return err
	}
	state, _ := p.conn.ConnectionState()
	keys, err := state.ExportKeyingMaterial(srtp.ExporterLabel, nil, n)
	if err != nil {
		return err
	}
	p.send, p.recv, err = srtp.NewExported(p.suite, keys, client)
	return err
}

func TestDTLSMakesKeysInEitherRole(t *testing.T) {
	l := startLoop(t, Config{})
	for _, c := range []struct {
		name   string
		active bool
		offer  []dtls.SRTPProtectionProfile
		want   string
	}{
		{"active, all profiles", true, profiles, control.SuiteAEAD256},
		{"passive, all profiles", false, profiles, control.SuiteAEAD256},
		{"active, AEAD_AES_128_GCM", true, profiles[1:2], control.SuiteAEAD128},
		{"passive, AES_CM_128_HMAC_SHA1_80", false, profiles[2:3], control.SuiteAESCM80},
		{"active, AES_CM_128_HMAC_SHA1_32", true, profiles[3:], control.SuiteAESCM32},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEar()
			p := newHandshaker(t)
			tr := control.Transport{RTCPMux: true, Security: control.DTLS, Latch: !c.active, Handover: &control.Handover{Active: c.active, Fingerprints: []string{"sha-1 00:11", p.certificate.fingerprint}}}
			if c.active {
				tr.Remote = p.socket.LocalAddr().(*net.UDPAddr).AddrPort()
			}
			e := open(t, l, tr, h)
			defer e.Close()
			if !strings.HasPrefix(e.Local().Fingerprint, "sha-256 ") {
				t.Fatalf("fingerprint %q", e.Local().Fingerprint)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := p.shake(ctx, net.UDPAddrFromAddrPort(e.Local().RTP[0]), !c.active, c.offer...); err != nil {
				t.Fatal(err)
			}
			if got := awaitState(t, h, "connected"); got != "connected "+c.want {
				t.Errorf("state %q, want connected with %s", got, c.want)
			}
			sent := protect(t, p.send, rtpOf(1, 200))
			write(t, p.socket, sent, e.Local().RTP[0])
			same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(1, 200))
			if got, want := e.Stats().Remote, p.socket.LocalAddr().String(); got != want {
				t.Errorf("remote %s, want %s", got, want)
			}
			p.conn.Close()
			if got := awaitState(t, h, "closed"); !strings.Contains(got, "other side") {
				t.Errorf("state %q, want closed by the other side", got)
			}
		})
	}
}

func TestDTLSFingerprintsAreChecked(t *testing.T) {
	l := startLoop(t, Config{})
	for _, active := range []bool{true, false} {
		h := newEar()
		p := newHandshaker(t)
		other := newHandshaker(t)
		e := open(t, l, control.Transport{RTCPMux: true, Security: control.DTLS, Remote: p.socket.LocalAddr().(*net.UDPAddr).AddrPort(),
			Handover: &control.Handover{Active: active, Fingerprints: []string{other.certificate.fingerprint}}}, h)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		failed := make(chan error, 1)
		go func() {
			failed <- p.shake(ctx, net.UDPAddrFromAddrPort(e.Local().RTP[0]), !active, profiles...)
		}()
		if got := awaitState(t, h, "failed"); !strings.Contains(got, "fingerprint") {
			t.Errorf("active %v: state %q, want failed for the fingerprint", active, got)
		}
		cancel()
		<-failed
		e.SendRTP([][]byte{rtpOf(1, 100)}, Audio)
		if s := e.Stats(); s.PacketsSent != 0 || s.Dropped["keys"] != 1 {
			t.Errorf("active %v: %d packets sent, %v dropped: want none and one for want of keys", active, s.PacketsSent, s.Dropped)
		}
		e.Close()
	}
}

func TestNewFingerprintsMakeANewHandshake(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	e := open(t, l, control.Transport{RTCPMux: true, Latch: true, Security: control.DTLS}, h)
	for i := range 2 {
		p := newHandshaker(t)
		update(t, e, func(w *control.Transport) {
			w.Handover = &control.Handover{Fingerprints: []string{p.certificate.fingerprint}}
			w.Remote = p.socket.LocalAddr().(*net.UDPAddr).AddrPort()
		})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := p.shake(ctx, net.UDPAddrFromAddrPort(e.Local().RTP[0]), true, profiles[i]); err != nil {
			t.Fatalf("handshake %d: %v", i, err)
		}
		cancel()
		awaitState(t, h, "connected "+suites[i])
		l.barrier() // the second time keys are taken between two packets
		write(t, p.socket, protect(t, p.send, rtpOf(uint16(i), 100)), e.Local().RTP[0])
		same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(uint16(i), 100))
		// The same again changes nothing.
		update(t, e, func(*control.Transport) {})
		if got := e.Stats().State; got != "connected" {
			t.Errorf("state %q after an update without a change, want connected", got)
		}
		defer p.conn.Close()
	}
}

func TestThePeerIsToldThatAnEndpointIsClosed(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	p := newHandshaker(t)
	e := open(t, l, control.Transport{RTCPMux: true, Latch: true, Security: control.DTLS, Handover: &control.Handover{Fingerprints: []string{p.certificate.fingerprint}}}, h)
	if err := p.shake(t.Context(), net.UDPAddrFromAddrPort(e.Local().RTP[0]), true, profiles...); err != nil {
		t.Fatal(err)
	}
	awaitState(t, h, "connected")
	e.Close()
	if n, err := p.conn.Read(make([]byte, 100)); err != io.EOF {
		t.Errorf("%d bytes, error %v at the peer, want the end", n, err)
	}
	p.conn.Close()
}

// lossy loses every other datagram that is written to it.
type lossy struct {
	net.PacketConn
	n int
}

func (l *lossy) WriteTo(p []byte, to net.Addr) (int, error) {
	if l.n++; l.n%2 == 1 {
		return len(p), nil
	}
	return l.PacketConn.WriteTo(p, to)
}

func TestAHandshakeSurvivesLossAndALateAnswer(t *testing.T) {
	l := startLoop(t, Config{})
	for _, active := range []bool{true, false} {
		h := newEar()
		p := newHandshaker(t)
		// The peer's first records come before its fingerprint does.
		e := open(t, l, control.Transport{RTCPMux: true, Latch: true, Security: control.DTLS}, h)
		done := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		go func() {
			done <- p.shakeOver(ctx, &lossy{PacketConn: p.socket}, net.UDPAddrFromAddrPort(e.Local().RTP[0]), !active, profiles...)
		}()
		update(t, e, func(w *control.Transport) {
			w.Remote = p.socket.LocalAddr().(*net.UDPAddr).AddrPort()
			w.Handover = &control.Handover{Active: active, Fingerprints: []string{p.certificate.fingerprint}}
		})
		if err := await(t, "end of the handshake", done); err != nil {
			t.Fatal(err)
		}
		awaitState(t, h, "connected")
		cancel()
		p.conn.Close()
		e.Close()
	}
}

func TestCloseEndsAHandshakeThatNobodyAnswers(t *testing.T) {
	l := startLoop(t, Config{})
	_, addr := newPeer(t)
	for _, active := range []bool{true, false} {
		e := open(t, l, control.Transport{RTCPMux: true, Security: control.DTLS, Remote: addr,
			Handover: &control.Handover{Active: active, Fingerprints: []string{l.certificate.fingerprint}}}, newEar())
		e.Close() // the cleanup of the loop finds what it leaves
	}
}

func TestVerifyKnowsTheHashesOfRFC8122(t *testing.T) {
	der := []byte("a certificate")
	short, long := sha256.Sum256(der), sha512.Sum512(der)
	good := "sha-256 " + colons(short[:])
	for _, c := range []struct {
		name  string
		given []string
		ok    bool
	}{
		{"none", nil, false},
		{"sha-256", []string{good}, true},
		{"in lower case, with spaces", []string{" SHA-256  " + strings.ToLower(colons(short[:])) + " "}, true},
		{"sha-512", []string{"sha-512 " + colons(long[:])}, true},
		{"the second one", []string{"md5 00", "sha-256 00:01", good}, true},
		{"cut short", []string{good[:len(good)-3]}, false},
		{"no hash", []string{"sha-256"}, false},
		{"md5", []string{"md5 D4:1D:8C:D9:8F:00:B2:04:E9:80:09:98:EC:F8:42:7E"}, false},
	} {
		if err := verify(der, c.given); (err == nil) != c.ok {
			t.Errorf("%s: %v, want it to match: %v", c.name, err, c.ok)
		}
	}
}
