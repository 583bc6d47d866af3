package turn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"rotunda/services/freeport"
)

const testRealm = "example.com"

var loopback = netip.MustParseAddr("127.0.0.1")

// testPlan is a server on loopback that relays to loopback, on ports that are free at the moment.
func testPlan(t testing.TB) Plan {
	t.Helper()
	return Plan{Addresses: []netip.Addr{loopback}, Relay4: loopback, Port: freeport.For(t), HighCapacity: true, Realm: testRealm,
		User: "admin", Password: "secret"}
}

func startServer(t testing.TB, p Plan) *Server {
	t.Helper()
	s := NewServer(func(string) {})
	if err := s.Apply(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// metric is one counter by its name with label.
func metric(s *Server, name string) uint64 { return s.Status().Counters[name] }

// eventually waits until something is so that happens on another thread.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("wanted that %s, and it did not come to be", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// caller is a TURN client that does exactly what a test says.
type caller struct {
	t              testing.TB
	conn           net.Conn
	stream         bool
	user, password string
	nonce          stun.Nonce
	realm          stun.Realm
}

// dial connects a client by "udp", "tcp" or "tls".
func dial(t testing.TB, network string, port int) *caller {
	t.Helper()
	return dialAt(t, network, netip.AddrPortFrom(loopback, uint16(port)))
}

func dialAt(t testing.TB, network string, server netip.AddrPort) *caller {
	t.Helper()
	address := server.String()
	c := &caller{t: t, stream: network != "udp", user: "admin", password: "secret"}
	var err error
	if network == "tls" {
		c.conn, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	} else {
		c.conn, err = net.Dial(network, address)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *caller) write(b []byte) {
	c.t.Helper()
	if c.stream && b[0]>>6 == 1 {
		b = append(b[:len(b):len(b)], make([]byte, -len(b)&3)...)
	}
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// frame reads one message or channel frame; nil when nothing comes within the time.
func (c *caller) frame(within time.Duration) []byte {
	c.t.Helper()
	b := make([]byte, 4096)
	_ = c.conn.SetReadDeadline(time.Now().Add(within))
	if !c.stream {
		n, err := c.conn.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		return b[:n]
	}
	if _, err := io.ReadFull(c.conn, b[:4]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		c.t.Fatalf("read: %v", err)
	}
	n := frameSize(b)
	if _, err := io.ReadFull(c.conn, b[4:n]); err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return b[:n]
}

const soon = 10 * time.Second

func (c *caller) key() stun.MessageIntegrity {
	return longTermKey([]byte(c.user), c.realm.String(), c.password)
}

var udpTransport = stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}

// build makes a request, signed once the server has given a nonce.
func (c *caller) build(method stun.Method, attributes ...stun.Setter) *stun.Message {
	c.t.Helper()
	setters := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	if len(c.nonce) > 0 {
		setters = append(setters, stun.NewUsername(c.user), c.realm, c.nonce, c.key())
	}
	return stun.MustBuild(setters...)
}

// once sends a request and returns its answer; what else comes is passed over.
func (c *caller) once(request *stun.Message) *stun.Message {
	c.t.Helper()
	c.write(request.Raw)
	for {
		b := c.frame(soon)
		if b == nil {
			c.t.Fatalf("%s: wanted an answer, got none", request.Type)
		}
		answer := &stun.Message{Raw: b}
		if !stun.IsMessage(b) || answer.Decode() != nil || answer.TransactionID != request.TransactionID {
			continue
		}
		return answer
	}
}

// ask does so with a nonce and returns the error code, 0 for success.
func (c *caller) ask(method stun.Method, attributes ...stun.Setter) (*stun.Message, stun.ErrorCode) {
	c.t.Helper()
	for range 3 {
		answer := c.once(c.build(method, attributes...))
		var code stun.ErrorCodeAttribute
		if code.GetFrom(answer) != nil {
			return answer, 0
		}
		var nonce stun.Nonce
		if nonce.GetFrom(answer) != nil || string(nonce) == string(c.nonce) {
			return answer, code.Code
		}
		first := len(c.nonce) == 0
		c.nonce = nonce
		if err := c.realm.GetFrom(answer); err != nil {
			c.t.Fatalf("wanted a realm with the nonce, got %v", err)
		}
		if !first && code.Code == stun.CodeUnauthorized {
			return answer, code.Code
		}
	}
	c.t.Fatalf("%s: wanted an end, got a nonce after the other", method)
	return nil, 0
}

func (c *caller) must(method stun.Method, attributes ...stun.Setter) *stun.Message {
	c.t.Helper()
	answer, code := c.ask(method, attributes...)
	if code != 0 {
		c.t.Fatalf("%s: wanted success, got %d", method, code)
	}
	return answer
}

// allocate returns the relay address.
func (c *caller) allocate() netip.AddrPort {
	c.t.Helper()
	return c.relayOf(c.must(stun.MethodAllocate, udpTransport))
}

func (c *caller) relayOf(answer *stun.Message) netip.AddrPort {
	c.t.Helper()
	var relay stun.XORMappedAddress
	if err := relay.GetFromAs(answer, stun.AttrXORRelayedAddress); err != nil {
		c.t.Fatal(err)
	}
	return (&net.UDPAddr{IP: relay.IP, Port: relay.Port}).AddrPort()
}

// at is XOR-PEER-ADDRESS.
type at netip.AddrPort

func (p at) AddTo(m *stun.Message) error {
	a := net.UDPAddrFromAddrPort(netip.AddrPort(p))
	x := stun.XORMappedAddress{IP: a.IP, Port: a.Port}
	return x.AddToAs(m, stun.AttrXORPeerAddress)
}

func numbered(number uint16) stun.Setter {
	return stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{byte(number >> 8), byte(number), 0, 0}}
}

func (c *caller) permit(peer netip.AddrPort) {
	c.t.Helper()
	c.must(stun.MethodCreatePermission, at(peer))
}

func (c *caller) bind(number uint16, peer netip.AddrPort) {
	c.t.Helper()
	c.must(stun.MethodChannelBind, numbered(number), at(peer))
}

func channelFrame(number uint16, payload string) []byte {
	b := binary.BigEndian.AppendUint16(nil, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

func (c *caller) say(number uint16, payload string) {
	c.t.Helper()
	c.write(channelFrame(number, payload))
}

// indicate sends a Send indication.
func (c *caller) indicate(peer netip.AddrPort, payload string) {
	c.t.Helper()
	c.write(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), at(peer),
		stun.RawAttribute{Type: stun.AttrData, Value: []byte(payload)}).Raw)
}

// hear returns what media comes next: the channel, or 0 and the peer of a Data indication.
func (c *caller) hear() (number uint16, peer netip.AddrPort, payload string) {
	c.t.Helper()
	b := c.frame(soon)
	if b == nil {
		c.t.Fatal("wanted media, got none")
	}
	if b[0]>>6 == 1 {
		return binary.BigEndian.Uint16(b), peer, string(b[4 : 4+binary.BigEndian.Uint16(b[2:])])
	}
	m := &stun.Message{Raw: b}
	if err := m.Decode(); err != nil {
		c.t.Fatal(err)
	}
	var from stun.XORMappedAddress
	data, err := m.Get(stun.AttrData)
	if err == nil {
		err = from.GetFromAs(m, stun.AttrXORPeerAddress)
	}
	if err != nil {
		c.t.Fatalf("wanted a Data indication, got %s: %v", m, err)
	}
	return 0, (&net.UDPAddr{IP: from.IP, Port: from.Port}).AddrPort(), string(data)
}

// wants compares the next media.
func (c *caller) wants(number uint16, payload string) {
	c.t.Helper()
	if got, _, text := c.hear(); got != number || text != payload {
		c.t.Errorf("wanted %q in channel %#x, got %q in %#x", payload, number, text, got)
	}
}

// peer is somebody behind a relay.
type testPeer struct {
	t testing.TB
	*net.UDPConn
}

func newPeer(t testing.TB) testPeer { return newPeerAt(t, loopback) }

func newPeerAt(t testing.TB, at netip.Addr) testPeer {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return testPeer{t, c}
}

func (p testPeer) address() netip.AddrPort { return p.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p testPeer) wants(payload string, from netip.AddrPort) {
	p.t.Helper()
	b := make([]byte, 4096)
	_ = p.SetReadDeadline(time.Now().Add(soon))
	n, source, err := p.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != payload || source.Port() != from.Port() {
		p.t.Errorf("wanted %q from port %d, got %q from %v, %v", payload, from.Port(), b[:n], source, err)
	}
}

func (p testPeer) say(payload string, to netip.AddrPort) {
	p.t.Helper()
	if _, err := p.WriteToUDPAddrPort([]byte(payload), to); err != nil {
		p.t.Fatal(err)
	}
}

// testCertificate is one for a name.
func testCertificate(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
