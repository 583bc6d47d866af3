package peers

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/services/callbridge/leg/baresip"
)

// resident is a program's memory in KiB.
func resident(t *testing.T, p *process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// scan is what SIPVicious and its kin send: extensions one after the other, from addresses that change.
func scan(n int) []byte {
	method := []string{"OPTIONS", "REGISTER", "INVITE"}[n%3]
	return fmt.Appendf(nil, "%s sip:%d@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK-%d;rport\r\nFrom: \"sipvicious\" <sip:%d@1.1.1.1>;tag=%d\r\n"+
		"To: \"sipvicious\" <sip:%d@1.1.1.1>\r\nCall-ID: %d\r\nCSeq: 1 %s\r\nContact: <sip:%d@127.0.0.1:5061>\r\nUser-Agent: friendly-scanner\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, n, n, n, n, n, n, method, n)
}

// messagesASecond of the flood, in bursts of a hundred.
const messagesASecond = 2000

func TestScansFloodsAndSlowSendersChangeNothingForCallers(t *testing.T) {
	h := open(t)
	h.creates("coSpaces", "name", "Weekly", "uri", "weekly")
	alice := baresip.Start(t, baresip.Options{Name: "alice", Tone: 500})
	bob := baresip.Start(t, baresip.Options{Name: "bob", Tone: 900})
	carol := baresip.Start(t, baresip.Options{Name: "carol", Tone: 1500})
	alice.Call(h.address("weekly", "udp"))
	bob.Call(h.address("weekly", "tcp"))
	alice.AwaitTone(900)
	bob.AwaitTone(500)
	before := resident(t, h.bridge)
	t.Log("messages of which a byte comes now and then, over as many connections as a source may have and more")
	for range 100 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
		c, err := d.Dial("tcp", h.sip["tcp"].String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("INVITE sip:weekly@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127")) // those that are too many are closed
	}
	t.Log("a flood while people talk and another one comes")
	stop, sent := make(chan struct{}), 0
	var flood sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); flood.Wait() })
	defer end()
	flood.Go(func() {
		to := net.UDPAddrFromAddrPort(h.sip["udp"])
		// Some times what scanners manage. Were it more than this machine takes in, the kernel would drop whatever comes by UDP, a caller's ACK too.
		burst := time.NewTicker(100 * time.Second / messagesASecond)
		defer burst.Stop()
		for ; ; sent++ {
			select {
			case <-stop:
				return
			case <-burst.C:
			}
			// Each source of 200 sends a few hundred; answers are not waited for.
			at := netip.AddrFrom4([4]byte{127, 1, 0, byte(sent / 100 % 200)})
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
			if err != nil {
				continue
			}
			for n := range 100 {
				_, _ = c.WriteToUDP(scan(sent+n), to)
			}
			sent += 99
			c.Close()
		}
	})
	alice.Forget()
	bob.Forget()
	carol.Call(h.address("weekly", "udp"))
	carol.AwaitTone(500, 900)
	alice.AwaitTone(900, 1500)
	bob.AwaitTone(500, 1500)
	carol.Hangup()
	carol.Await(baresip.Closed)
	alice.AwaitNoTone(1500)
	end()
	if sent < 1000 {
		t.Errorf("only %d messages were sent", sent)
	}
	after := resident(t, h.bridge)
	t.Logf("%d messages; the Call Bridge had %d KiB and has %d", sent, before, after)
	if after > before+128<<10 {
		t.Errorf("the Call Bridge grew from %d to %d KiB", before, after)
	}
	h.totals("callLegs", "2")
	alice.Hangup()
	bob.Hangup()
	h.totals("calls", "0")
}
