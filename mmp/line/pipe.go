package line

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// readAhead bounds the lines that are read before somebody asks for them. What a script has sent is known by that.
const readAhead = 256

// Pipe is the conversation with a script, which writes its commands or its answers to standard input. Prompts of
// questions are printed, since a person may read along; nothing is echoed.
type Pipe struct {
	lines chan string
	// failed is why the reading ended, set before lines is closed.
	failed error
	out    io.Writer
	stop   chan struct{}

	mu   sync.Mutex
	cond *sync.Cond
	// idle is whether the reading waits for bytes, or has ended: then no line follows by itself.
	idle bool
}

// NewPipe reads lines from in until it ends. The owner closes in and calls [Pipe.Close] to end the reading early.
func NewPipe(in io.Reader, out io.Writer) *Pipe {
	p := &Pipe{lines: make(chan string, readAhead), out: out, stop: make(chan struct{})}
	p.cond = sync.NewCond(&p.mu)
	go func() {
		defer p.rests(true)
		defer close(p.lines)
		p.failed = caught(func() error { return p.read(attentive{in, p}) })
	}()
	return p
}

// attentive says when a reader has to wait.
type attentive struct {
	in   io.Reader
	pipe *Pipe
}

// Read implements [io.Reader].
func (a attentive) Read(b []byte) (int, error) {
	a.pipe.rests(true)
	defer a.pipe.rests(false)
	return a.in.Read(b)
}

// rests records whether the reading waits, and wakes who wants to know.
func (p *Pipe) rests(idle bool) {
	p.mu.Lock()
	p.idle = idle
	p.mu.Unlock()
	p.cond.Broadcast()
}

// read returns why it ended, [io.EOF] for the end of the input.
func (p *Pipe) read(in io.Reader) error {
	r := bufio.NewReaderSize(in, MaxLine+2)
	for {
		// ReadSlice fails with ErrBufferFull on a line over the bound, so no more than that is ever held.
		b, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("a line of the input is longer than %d bytes", MaxLine)
		}
		if err != nil && len(b) == 0 {
			return io.EOF
		}
		s := strings.TrimRight(string(b), "\r\n")
		if !utf8.ValidString(s) {
			return errors.New("a line of the input is not valid UTF-8")
		}
		select {
		case p.lines <- s:
			// By the lock, so that nobody falls asleep between a look at the lines and the wait for more.
			p.rests(false)
		case <-p.stop:
			return io.EOF
		}
	}
}

// Close lets the reading end. What was not asked for is lost.
func (p *Pipe) Close() { close(p.stop) }

// Waiting says whether the next line is there already, so that [Pipe.ReadLine] does not wait for whoever sends. Only who reads the lines may
// ask. It waits for bytes that have come to be taken apart, and for nothing else.
func (p *Pipe) Waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.lines) == 0 && !p.idle {
		p.cond.Wait()
	}
	return len(p.lines) > 0
}

// ReadLine returns the next line, io.EOF after the last.
func (p *Pipe) ReadLine(ctx context.Context) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case s, ok := <-p.lines:
		if !ok {
			return "", p.failed
		}
		return s, nil
	}
}

// Ask prints the prompt and returns the next line.
func (p *Pipe) Ask(ctx context.Context, prompt string) (string, error) {
	_, _ = io.WriteString(p.out, prompt)
	s, err := p.ReadLine(ctx)
	// The answer is not echoed, so the prompt's line is still open.
	_, _ = io.WriteString(p.out, "\n")
	return s, err
}

// AskSecret is the same as Ask: there is no echo to suppress.
func (p *Pipe) AskSecret(ctx context.Context, prompt string) (string, error) {
	return p.Ask(ctx, prompt)
}
