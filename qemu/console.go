package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
)

// tailLimit is how much of a conversation an error shows.
const tailLimit = 4096

// Console is one side of a conversation over a byte stream: the serial port, or an interactive SSH session. What arrives
// is freed of terminal control sequences and kept until [Console.Expect] takes it.
type Console struct {
	name   string
	stream io.ReadWriteCloser

	mu      sync.Mutex
	filter  terminalFilter
	pending []byte
	tail    []byte
	changed chan struct{}
	ended   error
	done    chan struct{}
}

// newConsole reads stream until it ends; raw bytes are copied to transcript unless it is nil.
func newConsole(name string, stream io.ReadWriteCloser, transcript io.Writer) *Console {
	c := &Console{name: name, stream: stream, changed: make(chan struct{}), done: make(chan struct{})}
	if transcript == nil {
		transcript = io.Discard
	}
	go c.read(transcript)
	return c
}

func (c *Console) read(transcript io.Writer) {
	defer close(c.done)
	buf := make([]byte, 4096)
	for {
		n, err := c.stream.Read(buf)
		_, _ = transcript.Write(buf[:n])
		c.mu.Lock()
		clean := c.filter.clean(buf[:n])
		c.pending = append(c.pending, clean...)
		c.tail = append(c.tail, clean...)
		if over := len(c.tail) - 2*tailLimit; over > 0 {
			c.tail = append(c.tail[:0], c.tail[over:]...)
		}
		if err != nil {
			c.ended = err
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Expect waits until what arrived and was not yet taken matches the regular expression, takes everything up to the end
// of the match, and returns the match and its groups. It fails when the context or the stream ends first; the error
// shows the end of the conversation.
func (c *Console) Expect(ctx context.Context, pattern string) ([]string, error) {
	return c.wait(ctx, pattern, true)
}

// Await is Expect without taking anything.
func (c *Console) Await(ctx context.Context, pattern string) ([]string, error) {
	return c.wait(ctx, pattern, false)
}

func (c *Console) wait(ctx context.Context, pattern string, take bool) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("expect on %s: %w", c.name, err)
	}
	for {
		c.mu.Lock()
		if at := re.FindSubmatchIndex(c.pending); at != nil {
			var groups []string
			for i := 0; i < len(at); i += 2 {
				if at[i] < 0 {
					groups = append(groups, "")
					continue
				}
				groups = append(groups, string(c.pending[at[i]:at[i+1]]))
			}
			if take {
				c.pending = append([]byte(nil), c.pending[at[1]:]...)
			}
			c.mu.Unlock()
			return groups, nil
		}
		ended, changed := c.ended, c.changed
		c.mu.Unlock()
		if ended != nil {
			return nil, fmt.Errorf("expect %q on %s: stream ended: %w; it ended with:\n%s", pattern, c.name, ended, c.Tail())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("expect %q on %s: %w; the conversation so far ends with:\n%s", pattern, c.name, ctx.Err(), c.Tail())
		}
	}
}

// Send types text as it is; a line is ended by "\r".
func (c *Console) Send(text string) error {
	if _, err := io.WriteString(c.stream, text); err != nil {
		return fmt.Errorf("type on %s: %w", c.name, err)
	}
	return nil
}

// Tail returns the last 4 KiB of the conversation, for messages.
func (c *Console) Tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	tail := c.tail
	if over := len(tail) - tailLimit; over > 0 {
		tail = tail[over:]
	}
	return string(tail)
}

// Drain forgets what arrived and was not yet taken.
func (c *Console) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = nil
}

func (c *Console) close() {
	if err := c.stream.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return
	}
	<-c.done
}

// prompt is the shell's: the host name, ">" and a blank, with nothing after it yet.
const prompt = `[A-Za-z0-9][A-Za-z0-9.-]*> `

// Command types a shell command and returns what it prints up to the next prompt. The prompt must be the newest text on
// the console, that is, the command before has ended.
func (c *Console) Command(ctx context.Context, line string) (string, error) {
	if err := c.Send(line + "\r"); err != nil {
		return "", err
	}
	// The first line is the echo; a line editor may redraw its prompt within it.
	got, err := c.Expect(ctx, `(?s)\A[^\n]*\n((?:.*\n)??)`+prompt+`\z`)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(got[1], " \n"), nil
}

// Login waits for the login prompt, gives name and password, and waits for the shell's prompt.
func (c *Console) Login(ctx context.Context, user, password string) error {
	if err := c.enter(ctx, user, password); err != nil {
		return err
	}
	_, err := c.Expect(ctx, `(?m)^`+prompt+`\z`)
	return err
}

// FirstLogin is a login with a password that must be changed: the shell asks for the new one twice.
func (c *Console) FirstLogin(ctx context.Context, user, password, newPassword string) error {
	if err := c.enter(ctx, user, password); err != nil {
		return err
	}
	for range 2 {
		if _, err := c.Expect(ctx, `(?i)new password[^\n]*: *\z`); err != nil {
			return err
		}
		if err := c.Send(newPassword + "\r"); err != nil {
			return err
		}
	}
	_, err := c.Expect(ctx, `(?m)^`+prompt+`\z`)
	return err
}

func (c *Console) enter(ctx context.Context, user, password string) error {
	if _, err := c.Expect(ctx, LoginPrompt); err != nil {
		return err
	}
	if err := c.Send(user + "\r"); err != nil {
		return err
	}
	if _, err := c.Expect(ctx, `(?i)password: *\z`); err != nil {
		return err
	}
	return c.Send(password + "\r")
}

// LoginPrompt matches the serial console's question for a user name.
const LoginPrompt = `(?m)login: \z`

// terminalFilter drops control sequences (ECMA-48) and the carriage return before a line feed. Its state spans reads.
type terminalFilter struct {
	state int
	cr    bool
}

const (
	inText = iota
	afterEscape
	inControlSequence
	inCommandString
)

func (f *terminalFilter) clean(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+1)
	for _, b := range raw {
		switch f.state {
		case afterEscape:
			switch b {
			case '[':
				f.state = inControlSequence
			case ']':
				f.state = inCommandString
			default:
				f.state = inText
			}
			continue
		case inControlSequence:
			if b >= 0x40 && b <= 0x7e {
				f.state = inText
			}
			continue
		case inCommandString:
			if b == 0x07 || b == 0x1b {
				f.state = inText
			}
			continue
		}
		if f.cr {
			f.cr = false
			if b != '\n' && b != '\r' {
				out = append(out, '\r')
			}
		}
		switch {
		case b == 0x1b:
			f.state = afterEscape
		case b == '\r':
			f.cr = true
		case b == '\n' || b == '\t' || b >= 0x20:
			out = append(out, b)
		}
	}
	return out
}
