package camera

import (
	"slices"
	"time"
)

const (
	// A step moves for stepFor; the far end is told to stop by itself a little later, if it does not hear that it shall.
	stepFor  = 400 * time.Millisecond
	stepEnds = 500 * time.Millisecond
	repeat   = 60 * time.Millisecond
	// announceAgain keeps translators' mappings open too.
	announceAgain = 30 * time.Second
	maxWaiting    = 32
	// maxAsked is how much a far end may ask for in a second, since it is passed on; people with a remote control cause ten at most.
	maxAsked = 50
)

// protocol is what one end knows and has to send, without sockets and clocks. It is of one goroutine.
type protocol struct {
	out     [][]byte
	asked   []Request
	capable []Capabilities

	waiting  []timed // by time
	joined   joiner
	theirs   Capabilities
	heard    bool
	announce time.Time // next announcement
	pause    time.Duration
	moving   Directions
	until    time.Time
	second   int64 // that count is of
	count    int
}

type timed struct {
	at   time.Time
	data []byte
}

// begin announces us: again and again, with longer pauses, until the far end was heard, and now and then after that.
func (p *protocol) begin(now time.Time) {
	p.pause = time.Second
	p.heard = false
	p.joined = joiner{}
	p.announce = now
	p.tick(now)
}

func (p *protocol) quiet() {
	p.announce, p.waiting, p.moving = time.Time{}, nil, Directions{}
}

// due is when tick is wanted; zero for never.
func (p *protocol) due() time.Time {
	t := p.announce
	if len(p.waiting) > 0 && (t.IsZero() || p.waiting[0].at.Before(t)) {
		t = p.waiting[0].at
	}
	return t
}

func (p *protocol) tick(now time.Time) {
	for len(p.waiting) > 0 && !p.waiting[0].at.After(now) {
		p.out = append(p.out, p.waiting[0].data)
		p.waiting = p.waiting[1:]
	}
	if !p.announce.IsZero() && !p.announce.After(now) {
		p.out = append(p.out, announcement()...)
		if p.heard {
			p.pause = announceAgain
		} else {
			// Whoever is there says so.
			p.out = append(p.out, build(managementClient, clientList, asked))
		}
		p.announce = now.Add(p.pause)
		p.pause = min(2*p.pause, announceAgain)
	}
}

// later puts a message in its place among those that wait.
func (p *protocol) later(at time.Time, r Request) {
	if len(p.waiting) >= maxWaiting {
		return
	}
	i, _ := slices.BinarySearchFunc(p.waiting, at, func(w timed, at time.Time) int {
		if w.at.After(at) {
			return 1
		}
		return -1
	})
	p.waiting = slices.Insert(p.waiting, i, timed{at, build(cameraClient, r.append(nil)...)})
}

func (p *protocol) send(r Request) {
	p.out = append(p.out, build(cameraClient, r.append(nil)...))
}

// step moves the far end's camera for a moment. The same step again while it goes on makes it longer; another one ends it.
func (p *protocol) step(d Directions, now time.Time) {
	if d == (Directions{}) {
		return
	}
	p.waiting = nil
	if now.Before(p.until) && d != p.moving {
		p.send(Request{Kind: Stop, Move: p.moving})
	}
	// A start while it moves already is what a lost continuation would look like too: both ends take it for a longer movement.
	start := Request{Kind: Start, Move: d, Timeout: stepEnds}
	p.send(start)
	p.later(now.Add(repeat), start)
	p.later(now.Add(stepFor), Request{Kind: Stop, Move: d})
	p.later(now.Add(stepFor+repeat), Request{Kind: Stop, Move: d})
	p.moving, p.until = d, now.Add(stepFor)
}

// input takes one frame. What cannot be read is dropped, as on a noisy line.
func (p *protocol) input(b []byte, now time.Time) error {
	f, err := parseFrame(b)
	if err != nil {
		return err
	}
	message, whole := p.joined.add(f)
	if !whole {
		return nil
	}
	switch f.client {
	case managementClient:
		return p.management(message, now)
	case cameraClient:
		r, err := parseRequest(message)
		if err != nil {
			return err
		}
		if s := now.Unix(); s != p.second {
			p.second, p.count = s, 0
		}
		if p.count++; p.count <= maxAsked {
			p.asked = append(p.asked, r)
		}
	}
	return nil
}

func (p *protocol) management(b []byte, now time.Time) error {
	if len(b) < 2 {
		return nil
	}
	p.heard = true
	switch {
	case b[0] == clientList && b[1] == asked:
		p.out = append(p.out, announcement()[0])
	case b[0] == extraCapabilities && b[1] == asked:
		p.out = append(p.out, announcement()[1])
	case b[0] == clientList && b[1] == told:
		camera, err := parseClients(b[2:])
		if err != nil {
			return err
		}
		if camera && !p.theirs.Camera {
			p.out = append(p.out, build(managementClient, extraCapabilities, asked, hasExtra|cameraClient))
		}
		if camera != p.theirs.Camera {
			p.can(Capabilities{Camera: camera})
		}
	case b[0] == extraCapabilities && b[1] == told && len(b) > 2 && b[2]&0x7f == cameraClient:
		c, err := parseCapabilities(b[3:])
		if err != nil {
			return err
		}
		p.can(c)
	}
	return nil
}

func (p *protocol) can(c Capabilities) {
	if c.Camera != p.theirs.Camera || c.Presets != p.theirs.Presets || !slices.Equal(c.Sources, p.theirs.Sources) {
		p.theirs = c
		p.capable = append(p.capable, c)
	}
}
