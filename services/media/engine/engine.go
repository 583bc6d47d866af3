package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rotunda/services/media/audio"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
	"rotunda/services/media/text"
	"rotunda/services/media/transport"
)

// Config is what an engine is made with.
type Config struct {
	// Name of the worker, "module.index", with its Module and CPU; for events and the heartbeat.
	Name        string
	Module, CPU int
	// FirstPort and LastPort bound the worker's slice of UDP ports.
	FirstPort, LastPort int
	// Fonts is the folder of font files. Without fonts pictures have no text.
	Fonts string
	// Encoder of H.264: "x264" or "openh264"; empty for the better one (see package codec).
	Encoder string
	// Capacity in load units, see [Calibrate].
	Capacity int
	// Emit takes events for an owner. It must not wait.
	Emit func(owner string, e control.Event)
	Log  *slog.Logger
}

// Engine is the media of one worker.
type Engine struct {
	c      Config
	loop   *transport.Loop
	ticker *audio.Ticker
	// One of each for all conferences: cached prompts, frames, encoded pictures in the making, letters.
	prompts *audio.Prompts
	frames  *picture.Pool
	units   *stream.Pool
	letters *text.Fonts

	decoding *decoding
	director *director
	reporter *reporter
	cname    string

	// buses that the audio thread ticks; replaced as a whole.
	buses atomic.Pointer[[]*audio.Bus]
	ticks atomic.Uint64
	// receiving are the layers of all pictures that come; replaced as a whole.
	receiving atomic.Pointer[[]*layer]
	// traffic is that of all legs since the start.
	traffic traffic
	// exchange is where the other workers are met.
	exchange *exchange

	mu     sync.Mutex // guards the maps and changes of buses
	owners map[string]*owner
}

// owner is everything of one client.
type owner struct {
	engine      *Engine
	name        string
	mu          sync.Mutex
	legs        map[string]*leg
	conferences map[string]*conference
	plays       map[string]func() // stops of running prompts by id
}

// New makes an engine; nothing happens before [Engine.Run].
func New(c Config) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Emit == nil {
		c.Emit = func(string, control.Event) {}
	}
	e := &Engine{c: c, prompts: audio.NewPrompts(promptBytes), frames: picture.NewPool(), units: stream.NewPool(0),
		owners: map[string]*owner{}}
	e.receiving.Store(&[]*layer{})
	var err error
	if e.loop, err = transport.NewLoop(transport.Config{FirstPort: c.FirstPort, LastPort: c.LastPort, Tick: e.repair}); err != nil {
		return nil, err
	}
	if e.exchange, err = openExchange(e.loop); err != nil {
		return nil, errors.Join(err, e.loop.Close())
	}
	if c.Fonts != "" {
		if e.letters, err = text.Open(c.Fonts); err != nil {
			c.Log.Warn("pictures have no text", "error", err)
		}
	}
	e.cname = rtp.NewCNAME()
	e.buses.Store(&[]*audio.Bus{})
	e.ticker = audio.NewTicker(e.tick)
	e.ticker.Rest(func() bool { return len(*e.buses.Load()) == 0 })
	e.decoding = newDecoding(e)
	e.director = newDirector(e)
	e.reporter = newReporter(e)
	return e, nil
}

// promptBytes bounds the cache of sound files: 16 MB are three minutes at 48 kHz, several times the built-in set.
const promptBytes = 16 << 20

// Run carries media until the context ends, then closes every leg.
func (e *Engine) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.loop.Run(ctx) })
	g.Go(func() error { return e.ticker.Run(ctx) })
	g.Go(func() error { return e.decoding.run(ctx) })
	g.Go(func() error { return e.director.run(ctx) })
	g.Go(func() error { return e.reporter.run(ctx) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	e.mu.Lock()
	owners := e.owners
	e.owners = map[string]*owner{}
	e.mu.Unlock()
	for _, o := range owners {
		o.clear(nil, nil)
	}
	return errors.Join(err, e.loop.Close())
}

// tick makes 20 ms of sound for everybody, in the audio thread.
func (e *Engine) tick(due time.Time) {
	for _, b := range *e.buses.Load() {
		b.Tick(due)
	}
	e.ticks.Add(1)
}

// repair has receivers ask for what is missing, and give up what does not come, in the network thread. Without any there is
// nothing to do until a packet comes.
func (e *Engine) repair(now time.Time) bool {
	receiving := *e.receiving.Load()
	for _, y := range receiving {
		y.receiver.Tick(now)
	}
	return len(receiving) > 0
}

// receive adds or removes a layer that comes.
func (e *Engine) receive(y *layer, on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(*e.receiving.Load()), func(o *layer) bool { return o == y })
	if on {
		list = append(list, y)
	}
	e.receiving.Store(&list)
}

// Alive returns once the sound of all rooms has moved on; it is asked before each sign of life.
func (e *Engine) Alive() {
	for before := e.ticks.Load(); e.ticks.Load() == before; {
		e.ticker.Wake()
		time.Sleep(10 * time.Millisecond)
	}
}

// newBus makes a room and has it ticked.
func (e *Engine) newBus(onSpeaker func(uint32)) *audio.Bus {
	b := audio.NewBus(audio.Config{
		Decoder:   func(name string) (audio.Decoder, error) { return codec.NewAudioDecoder(name) },
		Encoder:   newEncoder,
		Prompts:   e.prompts,
		OnSpeaker: onSpeaker,
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	list := append(slices.Clone(*e.buses.Load()), b)
	e.buses.Store(&list)
	e.ticker.Wake()
	return b
}

func newEncoder(name string, o audio.EncoderOptions) (audio.Encoder, error) {
	return codec.NewAudioEncoder(name, codec.AudioOptions{Bitrate: o.Bitrate, Complexity: o.Complexity, FEC: o.FEC, DTX: o.DTX, PacketMs: o.PacketMs})
}

func (e *Engine) dropBus(b *audio.Bus) {
	e.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(*e.buses.Load()), func(o *audio.Bus) bool { return o == b })
	e.buses.Store(&list)
	e.mu.Unlock()
	b.Close()
}

// Owner returns the objects of one client (see [control.Handler]).
func (e *Engine) Owner(name string) control.Service { return e.owner(name) }

func (e *Engine) owner(name string) *owner {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.owners[name]
	if o == nil {
		o = &owner{engine: e, name: name, legs: map[string]*leg{}, conferences: map[string]*conference{}, plays: map[string]func(){}}
		e.owners[name] = o
	}
	return o
}

// Holdings lists what is held, for a new manager to learn it.
func (e *Engine) Holdings() []control.Holding {
	var all []control.Holding
	for _, o := range e.everyone() {
		o.mu.Lock()
		h := control.Holding{Owner: o.name}
		for _, l := range o.legs {
			want := l.wanted()
			h.Legs = append(h.Legs, control.HeldLeg{ID: l.id, Conference: want.Conference, Units: control.Estimate(want), Guest: l.guest()})
		}
		for _, c := range o.conferences {
			h.Conferences = append(h.Conferences, c.wanted())
		}
		o.mu.Unlock()
		if len(h.Legs)+len(h.Conferences) > 0 {
			all = append(all, h)
		}
	}
	return all
}

func (e *Engine) everyone() []*owner {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*owner, 0, len(e.owners))
	for _, o := range e.owners {
		list = append(list, o)
	}
	return list
}

// allLegs is a copy of the list of all legs.
func (e *Engine) allLegs() []*leg {
	var list []*leg
	for _, o := range e.everyone() {
		o.mu.Lock()
		for _, l := range o.legs {
			list = append(list, l)
		}
		o.mu.Unlock()
	}
	return list
}
