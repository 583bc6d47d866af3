package record

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"
)

// PushOptions are those of a push.
type PushOptions struct {
	Options
	// Roots verify the server of an rtmps URL; nil means the system's.
	Roots *x509.CertPool
	// Unverified takes any certificate. The guide (11.9) has it so where no trust is configured.
	Unverified bool
	// State is told of each change, with words for a log that have no stream key in them. It must not call Close.
	State func(state State, text string)

	// pause before an attempt, for tests.
	pause func(attempt int) time.Duration
}

// State of a push.
type State string

// The states. From Connecting and Reconnecting it goes to Open; from Open to Reconnecting; from all to Failed, when the
// server has refused maxRefusals times in a row, or Closed. These two are the last.
const (
	Connecting   State = "connecting"
	Open         State = "open"
	Reconnecting State = "reconnecting"
	Failed       State = "failed"
	Closed       State = "closed"
)

const (
	// maxPending bounds what waits for the connection. As much may be on its way into it, and a picture of maxUnit in the
	// making: less than 4 MiB together.
	maxPending = 5 << 18
	// maxRefusals in a row end a push. With the pauses these are two minutes, in which servers notice that the connection
	// before is dead, whose stream key they hold.
	maxRefusals = 8
)

// stableTime is how long a stream has to go on for its server to count as one that takes it.
const stableTime = 10 * time.Second

// ErrFailed says that the push has ended.
var ErrFailed = errors.New("push has failed")

// Push is a stream to an RTMP server. Its methods may be called at the same time, and but for Close they never wait.
type Push struct {
	target  target
	options PushOptions
	config  *tls.Config

	mu       sync.Mutex
	pictures pictures
	unit     []byte // the picture at hand
	state    State
	stream   uint32
	base     time.Duration // timestamp that is zero in the stream
	hasBase  bool
	latest   time.Duration // timestamp of the last picture
	sent     *parameters   // those that the peer has
	pending  backlog
	stats    Stats

	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

// backlog is chunks that wait for the connection.
type backlog struct {
	lead   []byte // goes before chunks: parameter sets whose message was given up
	chunks chunker
	frames int
	// The newest key frame: where it begins, how many frames come before it, and what it is decoded with. Offset 0 with no
	// parameters means that there is none.
	keyAt      int
	keyFrames  int
	keyParams  *parameters
	keyHasSets bool
	keyTime    uint32
}

// Dial begins a push to rtmp://host[:1935]/application/key or rtmps://host[:443]/application/key. It connects, and connects
// again when it has to, until Close. An error means that the URL or the options are wrong.
func Dial(url string, o PushOptions) (*Push, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	t, err := parseTarget(url)
	if err != nil {
		return nil, err
	}
	if o.pause == nil {
		o.pause = func(attempt int) time.Duration { return backoff(attempt, rand.Float64()) }
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Push{
		target: t, options: o, pictures: pictures{waiting: true},
		config: &tls.Config{RootCAs: o.Roots, ServerName: t.host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Unverified},
		wake:   make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	p.pending.chunks.size = outChunk
	go p.run(ctx)
	return p, nil
}

// backoff is the pause before an attempt, the first being 0: half a second and twice as much each time, up to 30 s, and a
// random quarter less, so that streams do not all come back at one moment.
func backoff(attempt int, random float64) time.Duration {
	pause := min(30*time.Second, 500*time.Millisecond<<min(attempt, 10))
	return pause - time.Duration(random*float64(pause)/4)
}

// Video adds an access unit in Annex B form, without reordering as in a [File].
func (p *Push) Video(unit []byte, timestamp time.Duration, key bool) error {
	p.mu.Lock()
	err := p.addVideo(unit, timestamp, key)
	ask := err == nil && p.state == Open && p.pictures.wantKey(timestamp)
	p.mu.Unlock()
	if ask {
		p.askKey()
	}
	return err
}

func (p *Push) askKey() {
	if p.options.KeyFrame != nil {
		p.options.KeyFrame()
	}
}

func (p *Push) addVideo(unit []byte, timestamp time.Duration, key bool) error {
	if err := p.ended(); err != nil {
		return err
	}
	p.latest = timestamp
	if p.state != Open {
		p.pictures.wait()
	}
	// Parameter sets are read even if nobody is there to take the picture: an encoder may not repeat them.
	var data []byte
	if data, key = p.pictures.add(p.unit[:0], unit, key); len(data) == 0 {
		p.stats.Dropped++
		return nil
	}
	p.unit = data
	if p.state != Open {
		p.stats.Dropped++
		return nil
	}
	params := p.pictures.current
	if !p.room(chunked(len(data)+len(params.record)+64), key) {
		p.stats.Dropped++
		return nil
	}
	at := p.time(timestamp)
	b := &p.pending
	if key {
		b.keyAt, b.keyFrames, b.keyParams, b.keyTime = len(b.chunks.b), b.frames, params, at
		if b.keyHasSets = p.sent == nil || string(p.sent.record) != string(params.record); b.keyHasSets {
			b.chunks.videoSequence(p.stream, at, params)
			p.sent = params
		}
	}
	b.chunks.picture(p.stream, at, data, key)
	b.frames++
	p.stats.VideoFrames++
	p.signal()
	return nil
}

// Audio adds a frame of AAC-LC without a header; its timestamp is as in a [File].
func (p *Push) Audio(frame []byte, timestamp time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ended(); err != nil {
		return err
	}
	if p.options.AudioRate == 0 || len(frame) == 0 || len(frame) > maxAudio {
		return fmt.Errorf("audio frame of %d bytes for %d Hz", len(frame), p.options.AudioRate)
	}
	if p.state != Open || !p.room(chunked(len(frame)+16), false) {
		p.stats.Dropped++
		return nil
	}
	p.pending.chunks.sound(p.stream, p.time(timestamp), frame)
	p.pending.frames++
	p.stats.AudioFrames++
	p.signal()
	return nil
}

// time converts to the milliseconds of the stream, which begin with the connection and wrap after 49 days.
func (p *Push) time(timestamp time.Duration) uint32 {
	if !p.hasBase {
		p.base, p.hasBase = timestamp, true
	}
	return uint32(max(0, timestamp-p.base) / time.Millisecond)
}

// room makes room for n bytes. If there is none it gives up all before the newest key frame, so that the stream is live again;
// if that is not enough it gives up everything, and pictures wait for a key frame. It reports whether the
// frame at hand may be added.
func (p *Push) room(n int, key bool) bool {
	b := &p.pending
	if len(b.chunks.b)+n > maxPending && b.keyParams != nil && b.keyAt > 0 {
		p.stats.Dropped += uint64(b.keyFrames)
		b.frames -= b.keyFrames
		b.chunks.b = append(b.chunks.b[:0], b.chunks.b[b.keyAt:]...)
		b.lead = b.lead[:0]
		if !b.keyHasSets {
			// Those before may have had the message with its parameter sets.
			lead := chunker{b: b.lead, size: outChunk}
			lead.videoSequence(p.stream, b.keyTime, b.keyParams)
			b.lead = lead.b
		}
		b.keyAt, b.keyFrames = 0, 0
	}
	if len(b.chunks.b)+n > maxPending {
		p.stats.Dropped += uint64(b.frames)
		b.clear()
		p.sent = nil
		if !key {
			p.pictures.wait()
			return false
		}
	}
	if need := len(b.chunks.b) + n; need > cap(b.chunks.b) {
		// Not as append would do it, so that the bound is one.
		grown := make([]byte, len(b.chunks.b), min(maxPending, max(64<<10, 2*need)))
		copy(grown, b.chunks.b)
		b.chunks.b = grown
	}
	return true
}

func (b *backlog) clear() {
	b.lead, b.chunks.b = b.lead[:0], b.chunks.b[:0]
	b.frames, b.keyAt, b.keyFrames, b.keyParams = 0, 0, 0, nil
}

func (p *Push) ended() error {
	switch p.state {
	case Failed:
		return ErrFailed
	case Closed:
		return os.ErrClosed
	}
	return nil
}

func (p *Push) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Stats returns the figures so far.
func (p *Push) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Close sends what is waiting, for two seconds at most, and ends the stream.
func (p *Push) Close() error {
	p.cancel()
	<-p.done
	return nil
}

func (p *Push) setState(state State, text string) {
	p.mu.Lock()
	p.state = state
	p.mu.Unlock()
	if p.options.State != nil {
		p.options.State(state, text)
	}
}

// run is the goroutine that owns the connection.
func (p *Push) run(ctx context.Context) {
	defer close(p.done)
	defer p.cancel()
	p.setState(Connecting, "to "+p.target.base)
	attempt, refusals := 0, 0
	for {
		stable, err := p.attempt(ctx)
		if ctx.Err() != nil {
			p.setState(Closed, "")
			return
		}
		if stable {
			attempt, refusals = 0, 0
		}
		var refused refusal
		if errors.As(err, &refused) {
			refusals++
		} else {
			refusals = 0
		}
		if refusals == maxRefusals {
			p.setState(Failed, err.Error())
			return
		}
		p.setState(Reconnecting, err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(p.options.pause(attempt)):
		}
		attempt++
	}
}

// attempt connects and sends until something fails; stable says that this was not at once, as with servers that say yes to
// each stream and then close those that they do not want.
func (p *Push) attempt(ctx context.Context) (stable bool, err error) {
	s, err := openSession(ctx, p.target, p.config)
	if err != nil {
		return false, err
	}
	defer s.conn.Close()
	if err := p.begin(s); err != nil {
		return false, err
	}
	p.setState(Open, "to "+p.target.base)
	p.askKey()
	began := time.Now()
	if err = p.serve(ctx, s); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		err = fmt.Errorf("server closes the connection after %v: %w", time.Since(began).Round(time.Second/10), err)
	}
	return time.Since(began) >= stableTime, err
}

// begin makes the stream new for a new peer.
func (p *Push) begin(s *session) error {
	c := chunker{size: outChunk}
	c.preface(s.stream, &p.options.Options)
	if err := s.write(context.Background(), c.b); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending.clear()
	p.stream, p.hasBase, p.sent = s.stream, false, nil
	p.pictures.wait()
	p.pictures.asked, p.pictures.hasAsked = p.latest, true // attempt asks
	return nil
}

// serve sends what comes until the connection fails or ctx ends.
func (p *Push) serve(ctx context.Context, s *session) error {
	replies := make(chan []byte, 4)
	s.reply = func(b []byte) error {
		select {
		case replies <- b:
			return nil
		default:
			return errors.New("server asks faster than it reads")
		}
	}
	// The server is listened to all the time: its errors and pings come at any.
	var heard error
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for heard == nil {
			_, heard = s.receive()
		}
	}()
	stop := context.AfterFunc(ctx, func() { s.conn.SetWriteDeadline(time.Now().Add(closeTime)) })
	defer stop()
	err := p.send(ctx, s, gone, replies)
	// The other half stays open for a moment. At the end of the stream, closing with something unread would reset the connection,
	// and take from the server what it has not read. And if the server says why it leaves, that is the reason, and
	// not that the connection is closed.
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	s.conn.SetReadDeadline(time.Now().Add(closeTime))
	<-gone
	var refused refusal
	if err == nil || errors.As(heard, &refused) {
		return heard
	}
	return err
}

// send writes until ctx ends, gone is closed or writing fails, which is the error.
func (p *Push) send(ctx context.Context, s *session, gone <-chan struct{}, replies <-chan []byte) error {
	var lead, chunks []byte
	for {
		// What gathers and what is being written are two buffers that change places.
		ending := ctx.Err() != nil
		p.mu.Lock()
		b := &p.pending
		lead, b.lead = b.lead, lead[:0]
		chunks, b.chunks.b = b.chunks.b, chunks[:0]
		b.clear()
		p.stats.Bytes += uint64(len(lead) + len(chunks))
		p.mu.Unlock()
		if err := s.write(ctx, lead); err != nil {
			return err
		}
		if err := s.write(ctx, chunks); err != nil {
			return err
		}
		if ending {
			return s.write(ctx, s.unpublish(p.target))
		}
		select {
		case <-ctx.Done():
		case <-gone:
			return nil
		case reply := <-replies:
			if err := s.write(ctx, reply); err != nil {
				return err
			}
		case <-p.wake:
		}
	}
}
