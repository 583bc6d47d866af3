package line

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Size of a terminal in characters.
type Size struct{ Columns, Rows int }

// defaultSize is that of a terminal which does not say: a serial line.
var defaultSize = Size{80, 24}

// bound replaces what is missing or absurd.
func (s Size) bound() Size {
	if s.Columns <= 0 {
		s.Columns = defaultSize.Columns
	}
	if s.Rows <= 0 {
		s.Rows = defaultSize.Rows
	}
	return Size{min(max(s.Columns, 8), 1000), min(max(s.Rows, 2), 1000)}
}

// Hooks are what the keys Tab and ? do while a command line is typed.
type Hooks struct {
	// Complete gets the line up to the cursor and returns what it should be, and the candidates if there are several.
	Complete func(line string) (text string, candidates []string)
	// Help gets the line up to the cursor and returns what to print above the line. If ok is false, the question mark
	// is a character like others.
	Help func(line string) (text string, ok bool)
}

// Terminal is a terminal with a person at it. ReadLine, Ask, AskSecret and Reset are for one goroutine at a time; Resize,
// Write and Interrupt may be called from others.
type Terminal struct {
	hooks Hooks
	out   *lineWriter
	size  atomic.Pointer[Size]
	// resized tells a ReadLine that waits for a key that size has changed.
	resized chan struct{}
	keys    chan key
	// interrupt is what Ctrl-C does while a command runs, nil while a line is typed.
	interrupt atomic.Pointer[func()]
	done      chan struct{}
	// failed is why the reading ended, set before keys is closed.
	failed error
	// busy is true while nobody waits for a key; since is when that changed or a key came last.
	busy  atomic.Bool
	since atomic.Pointer[time.Time]

	history history
	pasting bool
}

// NewTerminal starts to read. The reading ends when in does, which the owner brings about by closing it and awaits by
// [Terminal.Wait].
func NewTerminal(in io.Reader, out io.Writer, size Size, hooks Hooks) *Terminal {
	t := &Terminal{
		hooks:   hooks,
		out:     &lineWriter{out: out, column0: true},
		resized: make(chan struct{}, 1),
		keys:    make(chan key, typeAhead),
		done:    make(chan struct{}),
	}
	size = size.bound()
	t.size.Store(&size)
	t.busy.Store(true)
	t.touch()
	go func() {
		defer close(t.done)
		defer close(t.keys)
		t.failed = caught(func() error { return t.read(in) })
	}()
	return t
}

// read decodes until the input ends, which is [io.EOF] by whatever cause.
func (t *Terminal) read(in io.Reader) error {
	var d decoder
	buf := make([]byte, 1024)
	for {
		n, err := in.Read(buf)
		for _, b := range buf[:n] {
			k := d.feed(b)
			if k == keyNone {
				continue
			}
			if stop := t.interrupt.Load(); k == keyInterrupt && stop != nil {
				// Whoever stops a command does not want what was typed after it to run either.
				t.dropTypeAhead()
				(*stop)()
				continue
			}
			select {
			case t.keys <- k:
			default:
				_, _ = t.out.raw("\a")
			}
		}
		if err != nil {
			return io.EOF
		}
	}
}

func (t *Terminal) dropTypeAhead() {
	for {
		select {
		case <-t.keys:
		default:
			return
		}
	}
}

// Reset begins a session of somebody else: other hooks and an empty history.
func (t *Terminal) Reset(hooks Hooks) {
	t.hooks = hooks
	t.history = history{}
	t.pasting = false
}

// touch marks that the terminal is in use.
func (t *Terminal) touch() {
	now := time.Now()
	t.since.Store(&now)
}

// Idle returns for how long a key has been waited for; 0 while none is.
func (t *Terminal) Idle() time.Duration {
	if t.busy.Load() {
		return 0
	}
	return time.Since(*t.since.Load())
}

// Wait returns when the reading has ended.
func (t *Terminal) Wait() { <-t.done }

// Done is closed when the reading has ended: the person is gone.
func (t *Terminal) Done() <-chan struct{} { return t.done }

// Resize takes the terminal's new size.
func (t *Terminal) Resize(size Size) {
	size = size.bound()
	t.size.Store(&size)
	select {
	case t.resized <- struct{}{}:
	default:
	}
}

// Interrupt says what Ctrl-C does from now on; nil gives it back to the prompt.
func (t *Terminal) Interrupt(stop func()) {
	if stop == nil {
		t.interrupt.Store(nil)
		return
	}
	t.interrupt.Store(&stop)
}

// Write prints text; \n becomes \r\n.
func (t *Terminal) Write(p []byte) (int, error) { return t.out.Write(p) }

// FreshLine begins a new line unless the cursor stands at the start of one.
func (t *Terminal) FreshLine() { t.out.freshLine() }

// mode is what kind of line is being read.
type mode struct {
	echo, command bool
}

// ReadLine reads a command line with history, completion and help. The error is io.EOF when the person has left or
// pressed Ctrl-D on an empty line, [ErrInterrupted] after Ctrl-C, or the context's.
func (t *Terminal) ReadLine(ctx context.Context, prompt string) (string, error) {
	return t.edit(ctx, prompt, mode{echo: true, command: true})
}

// Remember puts a line into the history.
func (t *Terminal) Remember(s string) { t.history.add(s) }

// Ask reads an answer: editing, but no history, completion or help.
func (t *Terminal) Ask(ctx context.Context, prompt string) (string, error) {
	return t.edit(ctx, prompt, mode{echo: true})
}

// AskSecret reads an answer that is not shown.
func (t *Terminal) AskSecret(ctx context.Context, prompt string) (string, error) {
	return t.edit(ctx, prompt, mode{})
}

// session is one line being read.
type session struct {
	*Terminal
	mode   mode
	prompt []cell
	buf    buffer
	screen screen
}

func (t *Terminal) edit(ctx context.Context, prompt string, m mode) (string, error) {
	t.touch()
	t.busy.Store(false)
	defer t.busy.Store(true)
	t.out.freshLine()
	s := &session{Terminal: t, mode: m, prompt: cells(prompt)}
	s.screen = screen{out: rawWriter{t.out}, width: t.size.Load().Columns}
	t.history.rewind()
	s.show()
	for {
		select {
		case <-ctx.Done():
			// What ended it may have said so already.
			t.out.freshLine()
			return "", ctx.Err()
		case <-t.resized:
			if w := t.size.Load().Columns; w != s.screen.width {
				s.screen.resize(w, len(s.prompt)+s.buf.cursor)
			}
		case k, ok := <-t.keys:
			if !ok {
				return "", t.failed
			}
			t.touch()
			switch k {
			case keyEnter:
				s.screen.leave()
				return s.buf.String(), nil
			case keyInterrupt:
				// A paste whose end got lost must not last for ever.
				t.pasting = false
				s.buf.cursor = len(s.buf.cells)
				s.show()
				_, _ = t.out.raw("^C")
				s.screen.leave()
				t.out.markColumn0()
				return "", ErrInterrupted
			case keyDeleteOrLeave:
				if len(s.buf.cells) == 0 {
					s.screen.leave()
					return "", io.EOF
				}
			}
			s.key(k)
		}
	}
}

// show draws the line as it is now.
func (s *session) show() {
	if !s.mode.echo {
		s.screen.show(s.prompt, len(s.prompt))
		return
	}
	list := append(s.prompt[:len(s.prompt):len(s.prompt)], s.buf.cells...)
	s.screen.show(list, len(s.prompt)+s.buf.cursor)
}

// key does what every key but those that end the line asks for.
func (s *session) key(k key) {
	ok := true
	switch {
	case k == keyPasteBegin:
		s.pasting = true
	case k == keyPasteEnd:
		s.pasting = false
	case k == keyClear:
		s.screen.clear()
	case k == keyTab && s.pasting:
		ok = s.buf.insert(' ')
	case k == keyTab:
		ok = s.complete()
	case k == '?' && s.mode.command && !s.pasting && s.help():
	case k == keyUp || k == keyDown:
		ok = s.recall(k)
	default:
		_, ok = s.buf.edit(k)
	}
	if !ok {
		s.screen.bell()
	}
	s.show()
}

func (s *session) recall(k key) bool {
	by := 1
	if k == keyUp {
		by = -1
	}
	if !s.mode.command {
		return false
	}
	text, ok := s.history.move(by, s.buf.String())
	if ok {
		s.buf.set(text)
	}
	return ok
}

// help prints what the hook says and leaves the line to be drawn again below.
func (s *session) help() bool {
	if s.hooks.Help == nil {
		return false
	}
	text, ok := s.hooks.Help(s.buf.before())
	if !ok {
		return false
	}
	s.above(text)
	return true
}

func (s *session) above(text string) {
	s.screen.leave()
	s.out.markColumn0()
	_, _ = s.out.Write([]byte(text))
	s.out.freshLine()
}

func (s *session) complete() bool {
	if !s.mode.command || s.hooks.Complete == nil {
		return false
	}
	before := s.buf.before()
	text, list := s.hooks.Complete(before)
	if text != before {
		if len(text)+s.buf.size-len(before) > MaxLine {
			return false
		}
		after := s.buf.cells[s.buf.cursor:]
		head := cells(text)
		s.buf.cells = append(head, after...)
		s.buf.cursor = len(head)
		s.buf.size = len(s.buf.String())
		return true
	}
	if len(list) > 1 {
		s.above(Columns(list, s.screen.width))
		return true
	}
	return false
}

// Columns sets words in columns, read downwards, for a screen of that width.
func Columns(words []string, width int) string {
	widest := 0
	widths := make([]int, len(words))
	for i, w := range words {
		for _, c := range cells(w) {
			widths[i] += c.width
		}
		widest = max(widest, widths[i])
	}
	perRow := max(1, (width+1)/(widest+2))
	rows := (len(words) + perRow - 1) / perRow
	var b strings.Builder
	for r := range rows {
		for i := r; i < len(words); i += rows {
			b.WriteString(words[i])
			if i+rows < len(words) {
				b.WriteString(strings.Repeat(" ", widest+2-widths[i]))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// lineWriter prints on a terminal in raw mode and knows whether the cursor stands at the start of a row.
type lineWriter struct {
	mu      sync.Mutex
	out     io.Writer
	column0 bool
	afterCR bool
}

// Write turns \n into \r\n, but leaves \r\n alone.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	var b strings.Builder
	for _, c := range p {
		if c == '\n' && !w.afterCR {
			b.WriteByte('\r')
		}
		b.WriteByte(c)
		w.afterCR = c == '\r'
	}
	w.column0 = p[len(p)-1] == '\n' || p[len(p)-1] == '\r'
	if _, err := io.WriteString(w.out, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// raw writes what the editor draws.
func (w *lineWriter) raw(s string) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.column0 = strings.HasSuffix(s, "\n")
	return io.WriteString(w.out, s)
}

func (w *lineWriter) markColumn0() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.column0 = true
}

func (w *lineWriter) freshLine() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.column0 {
		_, _ = io.WriteString(w.out, "\r\n")
		w.column0 = true
	}
}

// rawWriter is the way of the editor's screen to the terminal.
type rawWriter struct{ w *lineWriter }

func (r rawWriter) Write(p []byte) (int, error) { return r.w.raw(string(p)) }
