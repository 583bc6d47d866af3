package roomsystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"

	"rotunda/services/callbridge/floor"
	"rotunda/services/callbridge/sip"
)

// program is the endpoint's process.
type program struct {
	o     Options
	agent *sip.Agent
	flows [lineCount]*flow // none for the floor
	floor *floor.Connection
	ports ports

	mu      sync.Mutex
	call    *sip.Call
	state   string
	granted string
	other   bool
	version int
	// wrong is what went wrong beside a request; the next answer tells.
	wrong error
}

// serve is the endpoint until there are no more orders.
func serve(options string, in io.Reader, out io.Writer) error {
	p := &program{state: "none", granted: "none", version: 1}
	if err := json.Unmarshal([]byte(options), &p.o); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	run := func(f func() error) {
		running.Go(func() {
			if err := f(); err != nil {
				p.fail(err)
			}
		})
	}
	run(func() error { return p.agent.Serve(ctx) })
	run(p.flows[audioLine].listen)
	run(p.flows[mainLine].watch)
	run(p.flows[slidesLine].watch)
	run(func() error { return p.flows[audioLine].talk(ctx.Done(), p.o.Tone) })
	if p.o.Colour != "" {
		run(func() error { return p.flows[mainLine].film(ctx.Done(), &p.o, p.o.Colour) })
	}
	if p.o.Screen != "" {
		run(func() error { return p.flows[slidesLine].film(ctx.Done(), &p.o, p.o.Screen) })
	}
	p.flows[audioLine].send(true)
	p.flows[mainLine].send(true)
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var err error
	for err == nil {
		var o order
		if err = orders.Decode(&o); err == nil {
			err = answers.Encode(p.obey(o))
		}
	}
	p.mu.Lock()
	if p.call != nil {
		p.call.Hangup("")
	}
	p.mu.Unlock()
	p.floor.Close()
	cancel()
	for _, f := range p.flows {
		if f != nil {
			f.socket.Close()
		}
	}
	running.Wait()
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// open takes the ports.
func (p *program) open() (err error) {
	for _, i := range []int{audioLine, mainLine, slidesLine} {
		if p.flows[i], err = newFlow(p.o.Address); err != nil {
			return err
		}
		p.ports[i] = p.flows[i].port()
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	transport := "udp"
	if p.o.FloorTCP {
		transport = "tcp"
	}
	if p.floor, err = floor.Open(floor.Config{Transport: transport, Local: p.o.Address, Log: log}, p); err != nil {
		return err
	}
	p.ports[floorLine] = p.floor.Local().Port()
	at := netip.AddrPortFrom(p.o.Address, 0)
	p.agent, err = sip.New(sip.Options{Listen: []sip.Listen{{Transport: sip.UDP, Address: at}, {Transport: sip.TCP, Address: at}}, Log: log,
		Advertise: "TANDBERG/529 (ce9.15)",
		Incoming:  func(c *sip.Call) { c.Use(&callee{}); c.Reject(486, "") },
		Trace:     func(t sip.Trace) { fmt.Fprintf(os.Stderr, "in: %v %s\n", t.In, t.Message) }})
	return err
}

func (p *program) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = errors.Join(p.wrong, err)
}

// obey does what a test wants.
func (p *program) obey(o order) (a answer) {
	var err error
	switch o.Do {
	case "state":
	case "call":
		err = p.dial(o.To)
	case "hangup":
		p.mu.Lock()
		c := p.call
		p.mu.Unlock()
		if c == nil {
			err = errors.New("there is no call")
		} else {
			c.Hangup("")
		}
	case "present":
		p.mu.Lock()
		if p.granted != "granted" {
			p.granted = "asked"
		}
		p.mu.Unlock()
		p.floor.Request()
	case "leave":
		p.mu.Lock()
		p.granted = "none"
		p.mu.Unlock()
		p.flows[slidesLine].send(false)
		p.floor.Release()
	case "hear":
		a.Sound = p.flows[audioLine].heard()
	case "see":
		i := mainLine
		if o.Stream == "slides" {
			i = slidesLine
		}
		a.Picture, a.Frames, err = p.flows[i].seen()
	default:
		err = fmt.Errorf("order %q: want state, call, hangup, present, leave, hear or see", o.Do)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a.Call, a.Floor, a.Other = p.state, p.granted, p.other
	if err = errors.Join(err, p.wrong); err != nil {
		a.Error = err.Error()
	}
	return a
}

func (p *program) dial(to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.call != nil && p.state != "ended" {
		return errors.New("it has a call already")
	}
	_, rest, ok := strings.Cut(to, "@")
	host, parameters, _ := strings.Cut(rest, ";")
	if !strings.Contains(host, ":") {
		host += ":5060"
	}
	at, err := netip.ParseAddrPort(host)
	if !ok || err != nil {
		return fmt.Errorf("%q: want sip:user@address[:port][;transport=tcp]", to)
	}
	target := sip.Target{Transport: sip.UDP, Address: at}
	if parameters == "transport=tcp" {
		target.Transport = sip.TCP
	}
	p.state = "calling"
	p.call = p.agent.Dial(sip.Dial{To: to, From: "sip:" + p.o.Name + "@" + p.o.Address.String(), FromName: p.o.DisplayName, Next: []sip.Target{target},
		Offer: p.o.describe(p.ports, p.version, nil)}, p)
	return nil
}

// agree takes what the far end said, and returns the answer to it.
func (p *program) agree(b []byte, answer bool) []byte {
	d, f, err := read(b)
	if err != nil {
		p.fail(fmt.Errorf("%w in %s", err, b))
		return nil
	}
	for i, fl := range p.flows {
		if fl != nil {
			fl.aim(f.at[i])
		}
	}
	if f.at[floorLine].IsValid() {
		p.floor.Agree(f.floor)
	}
	if !answer {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	return p.o.describe(p.ports, p.version, d)
}

func (p *program) become(state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
}

// Ringing implements [sip.Handler].
func (p *program) Ringing(int) {}

// Answered implements [sip.Handler].
func (p *program) Answered(b []byte) { p.agree(b, false) }

// Early implements [sip.Handler].
func (p *program) Early(b []byte) { p.agree(b, false) }

// Confirmed implements [sip.Handler].
func (p *program) Confirmed() { p.become("up") }

// Offered implements [sip.Handler]: what is wanted anew is answered with what there is.
func (p *program) Offered(b []byte) {
	p.mu.Lock()
	c := p.call
	p.mu.Unlock()
	if b == nil {
		p.mu.Lock()
		p.version++
		offer := p.o.describe(p.ports, p.version, nil)
		p.mu.Unlock()
		c.AnswerOffer(offer)
		return
	}
	if own := p.agree(b, true); own != nil {
		c.AnswerOffer(own)
	} else {
		c.RefuseOffer(488)
	}
}

// OfferRefused implements [sip.Handler].
func (p *program) OfferRefused(int) {}

// Info implements [sip.Handler].
func (p *program) Info(string, []byte) int { return 200 }

// Referred implements [sip.Handler].
func (p *program) Referred(string, string) int { return 603 }

// Replaced implements [sip.Handler].
func (p *program) Replaced(by *sip.Call) { by.Use(&callee{}); by.Reject(603, "") }

// Ended implements [sip.Handler].
func (p *program) Ended(e sip.End) {
	fmt.Fprintf(os.Stderr, "the call ended: %+v\n", e)
	p.become("ended")
}

// Requested implements [floor.Handler]; nobody asks a client.
func (p *program) Requested() {}

// Released implements [floor.Handler].
func (p *program) Released() {}

// Granted implements [floor.Handler]: the screen is sent.
func (p *program) Granted() {
	p.mu.Lock()
	p.granted = "granted"
	p.mu.Unlock()
	p.flows[slidesLine].send(true)
}

// Denied implements [floor.Handler].
func (p *program) Denied() { p.lose("denied") }

// Revoked implements [floor.Handler].
func (p *program) Revoked() { p.lose("revoked") }

func (p *program) lose(how string) {
	p.mu.Lock()
	p.granted = how
	p.mu.Unlock()
	p.flows[slidesLine].send(false)
}

// StatusOther implements [floor.Handler].
func (p *program) StatusOther(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.other = on
}

// callee is whoever calls the endpoint, which takes no calls.
type callee struct{}

func (*callee) Ringing(int)                 {}
func (*callee) Answered([]byte)             {}
func (*callee) Early([]byte)                {}
func (*callee) Confirmed()                  {}
func (*callee) Offered([]byte)              {}
func (*callee) OfferRefused(int)            {}
func (*callee) Info(string, []byte) int     { return 415 }
func (*callee) Referred(string, string) int { return 603 }
func (*callee) Replaced(*sip.Call)          {}
func (*callee) Ended(sip.End)               {}
