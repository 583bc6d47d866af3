package line

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Pipe is the conversation with a script, which writes its commands or its answers to standard input. Prompts of
// questions are printed, since a person may read along; nothing is echoed.
type Pipe struct {
	lines chan string
	// failed is why the reading ended, set before lines is closed.
	failed error
	out    io.Writer
	stop   chan struct{}
}

// NewPipe reads lines from in until it ends. The owner closes in and calls [Pipe.Close] to end the reading early.
func NewPipe(in io.Reader, out io.Writer) *Pipe {
	p := &Pipe{lines: make(chan string), out: out, stop: make(chan struct{})}
	go func() {
		defer close(p.lines)
		p.failed = caught(func() error { return p.read(in) })
	}()
	return p
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
		case <-p.stop:
			return io.EOF
		}
	}
}

// Close lets the reading end. What was not asked for is lost.
func (p *Pipe) Close() { close(p.stop) }

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
