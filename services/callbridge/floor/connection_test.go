package floor

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// There is no real peer to test with: Debian's baresip 1.0.0 comes without a BFCP module, and SIPp and Kamailio know no floors. Both roles are
// tested against each other here, and against bytes typed from the RFC in the other tests.

// heard is a [Handler] that tells a test.
type heard chan string

func (h heard) Requested()           { h <- "requested" }
func (h heard) Released()            { h <- "released" }
func (h heard) Granted()             { h <- "granted" }
func (h heard) Denied()              { h <- "denied" }
func (h heard) Revoked()             { h <- "revoked" }
func (h heard) StatusOther(yes bool) { h <- map[bool]string{true: "other", false: "nobody"}[yes] }

func (h heard) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-h:
		if got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing was told in 10 s, want %q", want)
	}
}

func open(t *testing.T, transport string) (*Connection, heard) {
	t.Helper()
	h := make(heard, 64)
	c, err := Open(Config{Transport: transport, Local: netip.MustParseAddr("127.0.0.1")}, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-c.Done()
	})
	if p := c.Local().Port(); p < 64512 {
		t.Errorf("port %d: want one from 64512", p)
	}
	return c, h
}

func TestServerAndClientOverSockets(t *testing.T) {
	for _, c := range []struct {
		name, transport string
		serverActive    bool
	}{{"udp", "udp", false}, {"tcp, the client opens", "tcp", false}, {"tcp, the server opens", "tcp", true}} {
		t.Run(c.name, func(t *testing.T) {
			s, told := open(t, c.transport)
			k, own := open(t, c.transport)
			a := Agreement{ConferenceID: 70000, UserID: 4, FloorID: 1}
			a.Remote = s.Local()
			a.Active = c.transport == "tcp" && !c.serverActive
			k.Request() // asked for before there is anybody to ask
			k.Agree(a)
			a.Remote, a.Server, a.Active = k.Local(), true, c.serverActive
			s.Agree(a)
			told.expect(t, "requested")
			s.Grant()
			own.expect(t, "granted")
			s.Revoke()
			own.expect(t, "revoked")
			s.ShowOther(true)
			own.expect(t, "other")
			s.ShowOther(false)
			own.expect(t, "nobody")
			k.Request()
			told.expect(t, "requested")
			s.Deny()
			own.expect(t, "denied")
			k.Request()
			told.expect(t, "requested")
			s.Grant()
			own.expect(t, "granted")
			k.Release()
			told.expect(t, "released")
			s.Agree(a) // the same again changes nothing
			k.Request()
			told.expect(t, "requested")
			s.Grant()
			own.expect(t, "granted")
			k.Close() // says goodbye, or ends the connection
			told.expect(t, "released")
		})
	}
}

func TestATCPConnectionThatIsLostIsOpenedAgain(t *testing.T) {
	s, told := open(t, "tcp")
	k, own := open(t, "tcp")
	a := Agreement{ConferenceID: 70000, UserID: 4, FloorID: 1, Remote: s.Local(), Active: true}
	k.Agree(a)
	b := a
	b.Remote, b.Server, b.Active = k.Local(), true, false
	s.Agree(b)
	k.Request()
	told.expect(t, "requested")
	s.Grant()
	own.expect(t, "granted")
	// a=connection:new
	b.Fresh = true
	s.Agree(b)
	told.expect(t, "released")
	own.expect(t, "revoked")
	k.Request()
	told.expect(t, "requested")
}

func TestOnlyTheFarEndIsHeard(t *testing.T) {
	s, told := open(t, "udp")
	far, stranger := socket(t), socket(t)
	s.Agree(Agreement{Server: true, ConferenceID: 7, UserID: 3, FloorID: 2, Remote: address(far)})
	// A stranger that does not know the conference is not even answered; the next answer is to the far end.
	wrong := Message{Version: 2, Primitive: Hello, ConferenceID: 8, Transaction: 1, UserID: 3}
	stranger.WriteToUDPAddrPort(wrong.Append(nil), s.Local())
	far.WriteToUDPAddrPort(message(2, Hello, 2), s.Local())
	if got := receive(t, far); got != "HelloAck 2 R" {
		t.Errorf("the far end got %s", got)
	}
	// One that knows it comes too late.
	stranger.WriteToUDPAddrPort(message(2, FloorRequest, 3, number(FloorID, 2)), s.Local())
	far.WriteToUDPAddrPort(message(2, Hello, 4), s.Local())
	if got := receive(t, far); got != "HelloAck 4 R" {
		t.Errorf("the far end got %s", got)
	}
	if len(told) != 0 {
		t.Errorf("the stranger was heard: %s", <-told)
	}
	stranger.SetReadDeadline(time.Unix(1, 0))
	if n, _, err := stranger.ReadFromUDPAddrPort(make([]byte, 100)); err == nil {
		t.Errorf("the stranger got an answer of %d octets", n)
	}
}

func TestAFarEndBehindATranslatorIsFound(t *testing.T) {
	s, told := open(t, "udp")
	far := socket(t)
	s.Agree(Agreement{Server: true, ConferenceID: 7, UserID: 3, FloorID: 2, Remote: netip.MustParseAddrPort("192.0.2.77:5070")})
	far.WriteToUDPAddrPort(message(2, FloorRequest, 3, number(FloorID, 2)), s.Local())
	if got := receive(t, far); got != "FloorRequestStatus 3 R (request=1 pending)" {
		t.Errorf("got %s", got)
	}
	told.expect(t, "requested")
	s.Grant()
	if got := receive(t, far); got[:18] != "FloorRequestStatus" {
		t.Errorf("got %s", got)
	}
}

func TestAMessageThatNeverEndsEndsTheConnection(t *testing.T) {
	s, _ := open(t, "tcp")
	s.Agree(Agreement{Server: true, ConferenceID: 7, UserID: 3, FloorID: 2, Remote: netip.MustParseAddrPort("127.0.0.1:9")})
	c, err := net.Dial("tcp", s.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := message(1, Hello, 1)
	b[2], b[3] = 0xff, 0xff
	c.Write(b)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d octets, %v, want the connection closed", n, err)
	}
}

func TestATCPFarEndBehindATranslatorIsFound(t *testing.T) {
	s, told := open(t, "tcp")
	s.Agree(Agreement{Server: true, ConferenceID: 7, UserID: 3, FloorID: 2, Remote: netip.MustParseAddrPort("192.0.2.77:9")})
	dial := func(b []byte) net.Conn {
		c, err := net.Dial("tcp", s.Local().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.Write(b)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	wrong := Message{Version: 1, Primitive: FloorRequest, ConferenceID: 8, Transaction: 1, UserID: 3}
	if n, err := dial(wrong.Append(nil)).Read(make([]byte, 100)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stranger got %d octets, %v, want the connection closed", n, err)
	}
	dial(nil).Close() // a port scan
	c := dial(nil)
	s.ShowOther(true) // does not end the wait
	c.Write(message(1, FloorRequest, 3, number(FloorID, 2)))
	b := make([]byte, 200)
	n, err := c.Read(b)
	if err != nil || text(b[:n]) != "FloorRequestStatus 3 (request=1 pending)" {
		t.Errorf("got %s, %v", text(b[:n]), err)
	}
	told.expect(t, "requested")
}

func TestNoPortIsAnError(t *testing.T) {
	c, _ := open(t, "udp")
	p := c.Local().Port()
	if _, err := Open(Config{Transport: "udp", Local: c.Local().Addr(), FirstPort: p, LastPort: p}, make(heard)); err == nil {
		t.Error("a port was taken twice")
	}
	if _, err := Open(Config{Transport: "sctp", Local: c.Local().Addr()}, make(heard)); err == nil {
		t.Error("sctp was taken for a transport")
	}
}

func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func address(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func receive(t *testing.T, c *net.UDPConn) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 2000)
	n, _, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	return text(b[:n])
}
