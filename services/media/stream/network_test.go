package stream

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// event is something that happens at a moment of a simulated network.
type event struct {
	at    time.Time
	order int
	do    func(now time.Time)
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// network is a clock and what is under way.
type network struct {
	now    time.Time
	queue  events
	count  int
	random *rand.Rand
}

func newNetwork(seed uint64) *network {
	return &network{now: start, random: rand.New(rand.NewPCG(seed, 1))}
}

func (n *network) after(d time.Duration, do func(now time.Time)) {
	n.count++
	heap.Push(&n.queue, event{n.now.Add(d), n.count, do})
}

func (n *network) run() {
	for len(n.queue) > 0 {
		e := heap.Pop(&n.queue).(event)
		n.now = e.at
		e.do(e.at)
	}
}

// link is one direction of a path.
type link struct {
	*network
	delay, jitter   time.Duration
	loss, duplicate float64
	deliver         func(packet []byte, now time.Time)
	lost, sent      int
}

func (l *link) send(packet []byte) {
	packet = bytes.Clone(packet)
	copies := 1
	if l.random.Float64() < l.duplicate {
		copies = 2
	}
	for range copies {
		l.sent++
		// Nobody can know that packets before the first or behind the last one were lost.
		at := l.now.Sub(start)
		if l.random.Float64() < l.loss && at > 30*time.Millisecond && at < (clipFrames-2)*time.Second/30 {
			l.lost++
			continue
		}
		d := l.delay + time.Duration(l.random.Float64()*float64(l.jitter))
		l.after(d, func(now time.Time) { l.deliver(packet, now) })
	}
}

// SendVideo makes a link the output of a Sender.
func (l *link) SendVideo(packets [][]byte) {
	for _, p := range packets {
		l.send(p)
	}
}

// repeater is a source that sends again what is asked for, as RTX or plain.
type repeater struct {
	sent map[uint16][]byte
	rtx  bool
	next uint16
	out  *link
}

func (r *repeater) send(packet []byte) {
	r.sent[binary.BigEndian.Uint16(packet[2:])] = packet
	r.out.send(packet)
}

func (r *repeater) again(sequence uint16) {
	packet := r.sent[sequence]
	if packet == nil {
		return
	}
	if !r.rtx {
		r.out.send(packet)
		return
	}
	r.next++
	b := bytes.Clone(packet[:12])
	b[1] = b[1]&0x80 | 97
	binary.BigEndian.PutUint16(b[2:], r.next)
	b = append(b, packet[2], packet[3])
	r.out.send(append(b, packet[12:]...))
}

// far is the Feedback of a receiver: its requests take half a round trip.
type far struct {
	*network
	delay time.Duration
	again func(sequences []uint16, now time.Time)
	keys  int
}

func (f *far) AskAgain(_ uint32, sequences []uint16) {
	list := append([]uint16(nil), sequences...)
	f.after(f.delay, func(now time.Time) { f.again(list, now) })
}
func (f *far) AskKey(uint32, uint8) { f.keys++ }

// pipeline is a source, a lossy path, a Receiver that forwards to a Stream, a Sender, a second lossy path, and a receiver.
type pipeline struct {
	*network
	source   *repeater
	first    *Receiver
	stream   *Stream
	sender   *Sender
	second   *Receiver
	up, down *link
	got      sink
	hop      sink // what the first Receiver makes
}

type conditions struct {
	loss, resendLoss, duplicate float64
	jitter                      time.Duration
	rtx                         bool
	seed                        uint64
}

func newPipeline(t *testing.T, c *clip, o conditions) *pipeline {
	t.Helper()
	const delay = 8 * time.Millisecond
	p := &pipeline{network: newNetwork(o.seed)}
	p.up = &link{network: p.network, delay: delay, jitter: o.jitter, loss: o.loss, duplicate: o.duplicate}
	p.down = &link{network: p.network, delay: delay, jitter: o.jitter, loss: o.loss, duplicate: o.duplicate}
	p.source = &repeater{sent: map[uint16][]byte{}, rtx: o.rtx, out: p.up}
	var err error
	p.stream = New(Options{Codec: c.codec})
	firstBack := &far{network: p.network, delay: delay, again: func(list []uint16, _ time.Time) {
		loss := p.up.loss
		p.up.loss = o.resendLoss
		for _, sequence := range list {
			p.source.again(sequence)
		}
		p.up.loss = loss
	}}
	pool := NewPool(0)
	p.first, err = NewReceiver(ReceiverOptions{SSRC: c.ssrc(), Formats: formats(c.codec), NACK: true, Stream: p.stream, Feedback: firstBack, Unit: p.hop.take, Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	p.first.SetRoundTrip(2 * delay)
	p.first.SetDecode(true, start)
	options := SenderOptions{Codec: c.codec, SSRC: 7, PayloadType: 96, Sequence: 65500, Timestamp: 1 << 31, MID: "1", MIDExtension: 3, Output: p.down}
	if o.rtx {
		options.RTX, options.RTXSSRC = 97, 8
	}
	if p.sender, err = NewSender(options); err != nil {
		t.Fatal(err)
	}
	secondBack := &far{network: p.network, delay: delay, again: func(list []uint16, now time.Time) {
		loss := p.down.loss
		p.down.loss = o.resendLoss
		p.sender.HandleNACK(list, now)
		p.down.loss = loss
	}}
	p.second, err = NewReceiver(ReceiverOptions{SSRC: 7, Formats: formats(c.codec), NACK: true, Feedback: secondBack, Unit: p.got.take, Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	p.second.SetRoundTrip(2 * delay)
	p.second.SetDecode(true, start)
	if err := p.sender.Switch(p.stream, start); err != nil {
		t.Fatal(err)
	}
	p.up.deliver = func(packet []byte, now time.Time) {
		if err := p.first.Push(packet, now); err != nil {
			t.Errorf("first receiver: %v", err)
		}
	}
	p.down.deliver = func(packet []byte, now time.Time) {
		if err := p.second.Push(packet, now); err != nil {
			t.Errorf("second receiver: %v", err)
		}
	}
	for i, frame := range c.frames() {
		p.after(time.Duration(i)*time.Second/30, func(time.Time) {
			for _, packet := range frame {
				p.source.send(packet)
			}
		})
	}
	for at := time.Duration(0); at < clipFrames*time.Second/30+time.Second; at += 5 * time.Millisecond {
		p.after(at, func(now time.Time) {
			p.first.Tick(now)
			p.second.Tick(now)
			p.sender.Tick(now)
		})
	}
	return p
}

// same says whether a unit is the one that was sent. Of H.264, parameter sets may be remembered ones, and nobody can
// know that other information before the slices was lost.
func same(codec string, got, sent []byte) bool {
	if bytes.Equal(got, sent) || codec != control.H264 {
		return bytes.Equal(got, sent)
	}
	slicesOf := func(unit []byte) (out []byte) {
		for _, nal := range splitAnnexB(nil, unit) {
			if kind := nal[0] & 0x1f; kind == nalSlice || kind == nalIDR {
				out = append(append(out, startCode...), nal...)
			}
		}
		return out
	}
	return bytes.Equal(slicesOf(got), slicesOf(sent))
}

// check compares what came with what was sent, by timestamp, and returns how many units came.
func check(t *testing.T, c *clip, got []AccessUnitCopy, what string) int {
	t.Helper()
	if len(got) == 0 {
		t.Fatalf("%s: no access unit came", what)
	}
	// The first unit may not be the clip's first one; units are told by their bytes, then by their distance.
	first := -1
	for i, u := range c.units {
		if same(c.codec, got[0].data, u) {
			first = i
			break
		}
	}
	if first < 0 {
		t.Fatalf("%s: the first unit is none that was sent", what)
	}
	at := first
	for i, u := range got {
		n := first + int((u.timestamp-got[0].timestamp+1500)/3000)
		if n >= len(c.units) || !same(c.codec, u.data, c.units[n]) {
			t.Fatalf("%s: unit %d is not frame %d as it was sent", what, i, n)
		}
		if i > 0 && n <= at {
			t.Fatalf("%s: unit %d is frame %d, after frame %d", what, i, n, at)
		}
		// Without a key frame the picture goes on only after it was frozen for two seconds, in which frames wait too.
		const frozenFrames = 55
		if n != at+1 && n != first && !u.key && n-at < frozenFrames || n == first && !u.key && n < frozenFrames {
			t.Errorf("%s: frame %d follows frame %d and is no key frame", what, n, at)
		}
		at = n
	}
	return len(got)
}

func TestEveryFrameArrivesWhereRetransmissionsDo(t *testing.T) {
	for _, codec := range []string{control.H264, control.VP8, control.VP9} {
		for _, rtx := range []bool{false, true} {
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("%s/rtx=%t/%d", codec, rtx, seed), func(t *testing.T) {
					c := testClip(t, codec, "red")
					p := newPipeline(t, c, conditions{loss: 0.03, duplicate: 0.01, jitter: 6 * time.Millisecond, rtx: rtx, seed: seed})
					p.run()
					if n := check(t, c, p.hop.units, "first receiver"); n != len(c.units) {
						t.Errorf("first receiver: got %d units, want %d: %+v", n, len(c.units), p.first.Counts())
					}
					if n := check(t, c, p.got.units, "second receiver"); n != len(c.units) {
						t.Errorf("second receiver: got %d units, want %d: %+v, sender %+v", n, len(c.units), p.second.Counts(), p.sender.Counts())
					}
					if p.up.lost == 0 || p.down.lost == 0 {
						t.Errorf("lost %d and %d packets, want some", p.up.lost, p.down.lost)
					}
				})
			}
		}
	}
}

func TestOnlyWholeFramesArriveFromABadPath(t *testing.T) {
	for _, codec := range []string{control.H264, control.VP8, control.VP9} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/%d", codec, seed), func(t *testing.T) {
				c := testClip(t, codec, "red")
				p := newPipeline(t, c, conditions{loss: 0.08, resendLoss: 0.5, duplicate: 0.05, jitter: 40 * time.Millisecond, seed: seed})
				p.run()
				hop := check(t, c, p.hop.units, "first receiver")
				got := check(t, c, p.got.units, "second receiver")
				t.Logf("%d and %d of %d frames", hop, got, len(c.units))
			})
		}
	}
}
