package wire

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/rtp"
)

// Load is a number of far ends behind one socket.
type Load struct {
	socket *socket
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu    sync.Mutex // held by the thread while it works, and by Do
	fars  []*Far
	ports [1 << 16]*Far
	head  []byte
	sent  uint64
	// late is how far behind its time the thread has been at worst.
	late time.Duration
}

// step is the time between two rounds of the thread.
const step = time.Millisecond

// Start begins with no far end.
func Start(local netip.Addr) (*Load, error) {
	s, err := listen(local)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{socket: s, cancel: cancel, head: make([]byte, 0, packetSize)}
	l.wait.Go(func() { l.run(ctx) })
	return l, nil
}

// Close ends the load.
func (l *Load) Close() {
	l.cancel()
	l.wait.Wait()
	l.socket.close()
}

// Address is where all far ends are.
func (l *Load) Address() netip.AddrPort { return l.socket.address }

// Do runs something between two rounds.
func (l *Load) Do(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
}

// Add adds a far end: what comes from that address is its.
func (l *Load) Add(f *Far) {
	l.Do(func() {
		l.fars = append(l.fars, f)
		l.ports[f.Remote.Port()] = f
	})
}

// Remove has a far end fall silent for good.
func (l *Load) Remove(f *Far) {
	l.Do(func() {
		for i, other := range l.fars {
			if other == f {
				l.fars = append(l.fars[:i], l.fars[i+1:]...)
				l.ports[f.Remote.Port()] = nil
				return
			}
		}
	})
}

// Send sends one packet as it is.
func (l *Load) Send(to netip.AddrPort, packet []byte) {
	l.Do(func() { l.send(to, packet) })
}

// Control sends a compound packet of RTCP from a far end.
func (l *Load) Control(f *Far, packet []byte) {
	l.Do(func() {
		if f.Protect != nil {
			sealed, err := f.Protect.ProtectRTCP(nil, packet)
			if err != nil {
				return
			}
			packet = sealed
		}
		l.send(f.Remote, packet)
	})
}

func (l *Load) send(to netip.AddrPort, packet []byte) {
	l.socket.queue(to, packet, nil)
	l.socket.flush()
}

// Play has a far end begin to send a clip.
func (l *Load) Play(f *Far, o TrackOptions) {
	t := &track{clip: o.Clip, level: o.Level, next: o.First % len(o.Clip.Units), steady: o.Steady, onSent: o.OnSent, due: time.Now().Add(o.After)}
	t.header = rtp.Header{PayloadType: o.PayloadType, SSRC: o.SSRC, Sequence: uint16(rtp.NewSSRC()), Timestamp: rtp.NewSSRC()}
	l.Do(func() { f.tracks = append(f.tracks, t) })
}

// Totals is what has gone and come since the beginning or [Load.Reset].
type Totals struct {
	Sent uint64
	// Received and Expected packets, and how many streams they belong to.
	Received, Expected uint64
	Frames             uint64
	Streams            int
	// Late is how far the generator was behind its time at worst.
	Late time.Duration
}

// Lost is the part of packets that did not come, 0 to 1.
func (t Totals) Lost() float64 {
	if t.Expected == 0 {
		return 1
	}
	return 1 - float64(min(t.Received, t.Expected))/float64(t.Expected)
}

// Totals sums up.
func (l *Load) Totals() (t Totals) {
	l.Do(func() {
		t.Sent, t.Late = l.sent, l.late
		for _, f := range l.fars {
			for _, in := range f.incoming {
				if !in.begun {
					continue
				}
				t.Streams++
				t.Received += in.Packets
				t.Expected += in.Expected()
				t.Frames += in.Frames
			}
		}
	})
	return t
}

// Reset begins to count anew.
func (l *Load) Reset() {
	l.Do(func() {
		l.sent, l.late = 0, 0
		for _, f := range l.fars {
			for _, in := range f.incoming {
				*in = Incoming{SSRC: in.SSRC}
			}
		}
	})
}

// Streams are the counters of a far end.
func (l *Load) Streams(f *Far) (list []Incoming) {
	l.Do(func() {
		for _, in := range f.incoming {
			if in.begun {
				list = append(list, *in)
			}
		}
	})
	return list
}

func (l *Load) run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// In time, whatever else this core has to do; without the right to that it is as it is.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -15)
	next := time.Now()
	for ctx.Err() == nil {
		now := time.Now()
		l.mu.Lock()
		l.late = max(l.late, now.Sub(next))
		l.socket.receive(l.take)
		for _, f := range l.fars {
			for _, t := range f.tracks {
				if !t.due.After(now) {
					l.play(f, t, now)
				}
			}
		}
		l.socket.flush()
		l.mu.Unlock()
		if next = next.Add(step); time.Until(next) < 0 {
			next = time.Now()
		}
		pause := unix.NsecToTimespec(int64(time.Until(next)))
		_ = unix.Nanosleep(&pause, nil)
	}
}

// play sends the unit that is due. Units are never left out: after a pause they follow each other until time is caught up
// with.
func (l *Load) play(f *Far, t *track, now time.Time) {
	unit := &t.clip.Units[t.next]
	for i, payload := range unit.Payloads {
		t.header.Marker = t.clip.Video && i == len(unit.Payloads)-1
		if t.level != 0 {
			_ = t.header.SetLevel(t.level, unit.Level, unit.Level > -60)
		}
		l.head = t.header.Append(l.head[:0])
		t.header.Sequence++
		l.sent++
		if f.Protect == nil {
			l.socket.queue(f.Remote, l.head, payload)
			continue
		}
		l.head = append(l.head, payload...)
		if sealed, err := f.Protect.ProtectRTP(l.head[:0], l.head); err == nil {
			l.socket.queue(f.Remote, sealed, nil)
		}
	}
	if t.onSent != nil {
		l.socket.flush()
		t.onSent(t.next, time.Now())
	}
	t.header.Timestamp += t.clip.Step
	t.next = (t.next + 1) % len(t.clip.Units)
	t.due = t.due.Add(t.clip.Every)
	if now.Sub(t.due) > time.Second {
		t.due = now // the machine stood still
	}
}

// take sorts a packet that came.
func (l *Load) take(port uint16, packet []byte, at time.Time) {
	f := l.ports[port]
	if f == nil || len(packet) < rtp.HeaderSize {
		return
	}
	switch first := packet[0]; {
	case first < 128 || first > 191: // RFC 7983
		if f.Other != nil {
			f.Other(packet, func(b []byte) { l.send(f.Remote, b) })
		}
	case rtp.IsRTCP(packet):
		l.control(f, packet)
	default:
		f.count(packet)
		if f.Tap != nil {
			f.Tap(packet, at)
		}
	}
}

// control obeys what asks for a key frame. Reports to those who only watch are not worth decrypting.
func (l *Load) control(f *Far, packet []byte) {
	if len(f.tracks) == 0 && f.Report == nil {
		return
	}
	if f.Unprotect != nil {
		var err error
		if packet, err = f.Unprotect.UnprotectRTCP(packet); err != nil {
			return
		}
	}
	for c := rtp.Walk(packet); c.Next(); {
		switch c.Kind {
		case rtp.PLI, rtp.FIR:
			f.restart()
		case rtp.SenderReport:
			if f.Report != nil {
				f.Report(c.Sender, c.SenderInfo())
			}
		}
	}
}
