package sip

import (
	"context"
	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// benchEnd is an agent that answers every call, or nothing.
func benchEnd(b *testing.B) *Agent {
	b.Helper()
	a, err := New(Options{Listen: []Listen{{UDP, loopback}, {TCP, loopback}}, Log: slog.New(slog.DiscardHandler),
		Limits:   Limits{Rate: 1 << 20, Burst: 1 << 20, SourceEarly: 1 << 20, Dialogs: 1 << 20, Transactions: 1 << 20},
		Incoming: func(c *Call) { c.Use(nobody{}); c.Accept(benchSDP) }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go a.Serve(ctx)
	b.Cleanup(cancel)
	return a
}

var benchSDP = []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0 8 9 101\r\na=rtpmap:101 telephone-event/8000\r\n")

type benchCall struct {
	nobody
	up   chan struct{}
	over chan struct{}
}

func (c *benchCall) Confirmed() { close(c.up) }
func (c *benchCall) Ended(End)  { close(c.over) }

// BenchmarkCalls is INVITE, 200, ACK, BYE, 200, with both ends in this process.
func BenchmarkCalls(b *testing.B) {
	for _, by := range []Transport{UDP, TCP} {
		b.Run(string(by), func(b *testing.B) {
			a, far := benchEnd(b), benchEnd(b)
			var to Target
			for _, l := range far.Addresses() {
				if l.Transport == by {
					to = Target{Transport: by, Address: l.Address}
				}
			}
			benchCalls(b, a, to, "sip:space@example.com")
		})
	}
}

// benchCalls makes b.N calls, 16 at once.
func benchCalls(b *testing.B, a *Agent, to Target, uri string) {
	b.ReportAllocs()
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	var wait sync.WaitGroup
	work := make(chan struct{})
	for range 16 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range work {
				h := &benchCall{up: make(chan struct{}), over: make(chan struct{})}
				c := a.Dial(Dial{To: uri, From: "sip:a@example.org", Next: []Target{to}, Offer: benchSDP}, h)
				select {
				case <-h.up:
					c.Hangup("")
				case <-h.over:
					b.Error("the call failed")
					continue
				}
				<-h.over
			}
		}()
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wait.Wait()
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-µs/call")
}

// BenchmarkSipgo is BenchmarkCalls over UDP with a bare answerer of another library at the far end: what a call costs there at the least.
func BenchmarkSipgo(b *testing.B) {
	gosip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	ua, err := sipgo.NewUA()
	if err != nil {
		b.Fatal(err)
	}
	defer ua.Close()
	server, err := sipgo.NewServer(ua)
	if err != nil {
		b.Fatal(err)
	}
	server.OnInvite(func(req *gosip.Request, tx gosip.ServerTransaction) {
		r := gosip.NewSDPResponseFromRequest(req, benchSDP)
		r.AppendHeader(&gosip.ContactHeader{Address: req.Recipient})
		tx.Respond(r)
	})
	server.OnAck(func(*gosip.Request, gosip.ServerTransaction) {})
	server.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) {
		tx.Respond(gosip.NewResponseFromRequest(req, 200, "OK", nil))
	})
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		b.Fatal(err)
	}
	go server.ServeUDP(c)
	defer c.Close()
	a := benchEnd(b)
	benchCalls(b, a, Target{Transport: UDP, Address: addrPort(c.LocalAddr())}, "sip:space@"+c.LocalAddr().String())
}

// BenchmarkMemory is what a call that is up takes, at one end.
func BenchmarkMemory(b *testing.B) {
	a, far := benchEnd(b), benchEnd(b)
	var to Target
	for _, l := range far.Addresses() {
		if l.Transport == TCP {
			to = Target{Transport: TCP, Address: l.Address}
		}
	}
	const calls = 1000
	for range b.N {
		before, goroutines := heap(), runtime.NumGoroutine()
		var up []*Call
		for range calls {
			h := &benchCall{up: make(chan struct{}), over: make(chan struct{})}
			up = append(up, a.Dial(Dial{To: "sip:space@example.com", From: "sip:a@example.org", Next: []Target{to}, Offer: benchSDP}, h))
			<-h.up
		}
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > goroutines+8 && time.Now().Before(deadline) {
			runtime.Gosched()
		}
		b.ReportMetric(float64(heap()-before)/calls/2/1024, "KiB/call-end")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/calls, "goroutines/call")
		for _, c := range up {
			c.Hangup("")
		}
	}
}
