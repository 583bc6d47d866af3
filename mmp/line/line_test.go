package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// typed is a terminal on which all of that has been typed.
func typed(t testing.TB, keys string, width int, hooks Hooks) (*Terminal, *vt) {
	t.Helper()
	screen := newVT(width)
	term := NewTerminal(strings.NewReader(keys), screen, Size{Columns: width}, hooks)
	term.Wait()
	return term, screen
}

func TestKeysEditTheLine(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"plain text", "ipv4 a", "ipv4 a"},
		{"Ctrl-A goes to the start", "bc\x01a", "abc"},
		{"Ctrl-E goes to the end", "ab\x01\x05c", "abc"},
		{"Ctrl-B and Ctrl-F move", "ac\x02b\x06d", "abcd"},
		{"Ctrl-D deletes under the cursor", "axb\x02\x02\x04", "ab"},
		{"Ctrl-K kills to the end", "abcd\x02\x02\x0b", "ab"},
		{"Ctrl-U kills the line", "abcd\x15x", "x"},
		{"Ctrl-W kills a word", "ipv4 a  enable \x17dhcp", "ipv4 a  dhcp"},
		{"Ctrl-Y puts it back", "one two\x17\x01\x19", "twoone "},
		{"Ctrl-T swaps at the end", "ab\x14", "ba"},
		{"Ctrl-T swaps around the cursor and moves on", "abcd\x02\x02\x14x", "acbxd"},
		{"Backspace as DEL and as Ctrl-H", "abxy\x7f\x08", "ab"},
		{"arrows as CSI", "ac\x1b[Db\x1b[Cd", "abcd"},
		{"arrows as SS3", "ac\x1bODb\x1bOCd", "abcd"},
		{"Home and End", "bc\x1b[Ha\x1b[Fd", "abcd"},
		{"Home and End of a VT220", "bc\x1b[1~a\x1b[4~d", "abcd"},
		{"Home and End of rxvt and as SS3", "bc\x1b[7~a\x1b[8~d\x1bOH_\x1bOF_", "_abcd_"},
		{"Delete", "axb\x1b[D\x1b[D\x1b[3~", "ab"},
		{"Ctrl with arrows moves by words", "one two\x1b[1;5D\x1b[1;5Dx\x1b[1;5Cy", "xoney two"},
		{"Alt-b and Alt-f", "one two\x1bbx\x1bfy", "one xtwoy"},
		{"unknown sequences are nothing", "a\x1b[24~\x1b[?1;2c\x1bOP\x1b[999999999999999999~b", "ab"},
		{"UTF-8", "Grüße 会議\x02\x02x", "Grüße x会議"},
		{"a combining accent belongs to its letter", "e\u0301x\x02\x7f", "x"},
		{"a broken character is nothing", "a\xe4\xb8b\xffc\xc3", "abc"},
		{"control characters that mean nothing", "a\x00\x07\x0e\x0fb", "ab"},
		{"a pasted tab and question mark", "\x1b[200~a\tb?\x1b[201~c", "a bc"},
	} {
		hooks := Hooks{
			Complete: func(s string) (string, []string) { return s + "COMPLETED", nil },
			Help:     func(string) (string, bool) { return "HELP", true },
		}
		if c.name == "a pasted tab and question mark" {
			c.want = "a b?c"
		}
		term, _ := typed(t, c.keys+"\r", 80, hooks)
		got, err := term.ReadLine(context.Background(), "> ")
		if got != c.want || err != nil {
			t.Errorf("%s: wanted %q, got %q, %v", c.name, c.want, got, err)
		}
	}
}

func TestReturnIsCarriageReturnOrLineFeedOrBoth(t *testing.T) {
	term, _ := typed(t, "a\rb\nc\r\nd\r\x00e\n\nf\r", 80, Hooks{})
	var got []string
	for {
		s, err := term.ReadLine(context.Background(), "> ")
		if err != nil {
			break
		}
		got = append(got, s)
	}
	if want := []string{"a", "b", "c", "d", "e", "", "f"}; !slices.Equal(got, want) {
		t.Errorf("lines: wanted %q, got %q", want, got)
	}
}

func TestCtrlDLeavesOnAnEmptyLineOnly(t *testing.T) {
	term, _ := typed(t, "a\x04\r\x04", 80, Hooks{})
	if s, err := term.ReadLine(context.Background(), "> "); s != "a" || err != nil {
		t.Errorf("Ctrl-D behind a letter: wanted the line a, got %q, %v", s, err)
	}
	if _, err := term.ReadLine(context.Background(), "> "); !errors.Is(err, io.EOF) {
		t.Errorf("Ctrl-D on an empty line: wanted %v, got %v", io.EOF, err)
	}
}

func TestHistoryGoesUpAndDownAndKeepsTheDraft(t *testing.T) {
	term, screen := typed(t, "\x1b[A\x10\x1b[B!\r"+"dra\x10\x0eft\r"+"\x10\x10\x10\x10\r", 80, Hooks{})
	for _, s := range []string{"one", "two", "two", ""} {
		term.Remember(s)
	}
	for _, want := range []string{"two!", "draft", "one"} {
		if got, err := term.ReadLine(context.Background(), "> "); got != want || err != nil {
			t.Errorf("wanted %q, got %q, %v", want, got, err)
		}
	}
	if screen.bells != 2 {
		t.Errorf("going up beyond the oldest line: wanted 2 bells, got %d", screen.bells)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	for i := range 3 * maxHistory {
		h.add(fmt.Sprint(i))
	}
	if len(h.lines) != maxHistory {
		t.Errorf("wanted %d lines, got %d", maxHistory, len(h.lines))
	}
	if s, ok := h.move(-1, ""); s != fmt.Sprint(3*maxHistory-1) || !ok {
		t.Errorf("wanted the last line, got %q", s)
	}
}

func TestASecretIsNeitherShownNorRemembered(t *testing.T) {
	term, screen := typed(t, "hunter3\x7f2\r"+"\x10\r", 80, Hooks{})
	if s, err := term.AskSecret(context.Background(), "Please enter password:"); s != "hunter2" || err != nil {
		t.Errorf("wanted the secret, got %q, %v", s, err)
	}
	if got, want := screen.text(), "Please enter password:"; got != want {
		t.Errorf("screen: wanted %q, got %q", want, got)
	}
	if s, _ := term.ReadLine(context.Background(), "> "); s != "" {
		t.Errorf("line above: wanted nothing, got %q", s)
	}
}

func TestTabAndQuestionMarkAskTheHooks(t *testing.T) {
	hooks := Hooks{
		Complete: func(s string) (string, []string) {
			switch s {
			case "ti":
				return "timezone ", nil
			case "ipv4 ":
				return s, []string{"a", "b"}
			}
			return s, nil
		},
		Help: func(s string) (string, bool) {
			return "after " + s + "\n", !strings.HasSuffix(s, `"`)
		},
	}
	term, screen := typed(t, "ti\tlist\r"+"ipv4 \t\tb\r"+"iface ?a\r"+`say "?`+"\r"+"x\t\r"+" tail\x01ti\t\r", 40, hooks)
	for _, want := range []string{"timezone list", "ipv4 b", "iface a", `say "?`, "x", "timezone  tail"} {
		if got, err := term.ReadLine(context.Background(), "> "); got != want || err != nil {
			t.Errorf("wanted %q, got %q, %v", want, got, err)
		}
	}
	want := strings.Join([]string{
		"> timezone list",
		"> ipv4", "a  b", "> ipv4", "a  b", "> ipv4 b",
		"> iface", "after iface", "> iface a",
		`> say "?`,
		"> x",
		"> timezone  tail",
	}, "\n")
	if got := screen.text(); got != want {
		t.Errorf("screen: wanted\n%s\ngot\n%s", want, got)
	}
	if screen.bells != 1 {
		t.Errorf("Tab with nothing to complete: wanted 1 bell, got %d", screen.bells)
	}
}

func TestALongLineWrapsAtTheWindowsWidth(t *testing.T) {
	term, screen := typed(t, "abcdefghijklmnop\x01\x04\x04XY\x05z\r", 10, Hooks{})
	if s, err := term.ReadLine(context.Background(), "> "); s != "XYcdefghijklmnopz" || err != nil {
		t.Errorf("got %q, %v", s, err)
	}
	if got, want := screen.text(), "> XYcdefgh\nijklmnopz"; got != want {
		t.Errorf("screen: wanted %q, got %q", want, got)
	}
	if row, col := screen.cursor(); row != 2 || col != 0 {
		t.Errorf("cursor after Return: wanted row 2 column 0, got %d %d", row, col)
	}
}

func TestAnAppendedCharacterCostsOneByte(t *testing.T) {
	var out strings.Builder
	term := NewTerminal(strings.NewReader("abc\r"), &out, Size{}, Hooks{})
	term.Wait()
	if _, err := term.ReadLine(context.Background(), "rotunda> "); err != nil {
		t.Fatal(err)
	}
	if want := "rotunda> abc\r\n"; out.String() != want {
		t.Errorf("output: wanted %q, got %q", want, out.String())
	}
}

func TestCtrlCAtThePromptGivesTheLineUp(t *testing.T) {
	term, screen := typed(t, "abc\x02\x03next\r", 80, Hooks{})
	if _, err := term.ReadLine(context.Background(), "> "); !errors.Is(err, ErrInterrupted) {
		t.Errorf("wanted %v, got %v", ErrInterrupted, err)
	}
	if s, err := term.ReadLine(context.Background(), "> "); s != "next" || err != nil {
		t.Errorf("wanted the next line, got %q, %v", s, err)
	}
	if got, want := screen.text(), "> abc^C\n> next"; got != want {
		t.Errorf("screen: wanted %q, got %q", want, got)
	}
}

func TestCtrlCWhileACommandRunsStopsItAndDropsWhatWasTypedAhead(t *testing.T) {
	in, keyboard := io.Pipe()
	term := NewTerminal(in, io.Discard, Size{}, Hooks{})
	stopped := make(chan struct{})
	term.Interrupt(func() { close(stopped) })
	_, _ = io.WriteString(keyboard, "reboot\r\x03")
	<-stopped
	term.Interrupt(nil)
	_, _ = io.WriteString(keyboard, "version\r")
	if s, err := term.ReadLine(context.Background(), "> "); s != "version" || err != nil {
		t.Errorf("wanted version, got %q, %v", s, err)
	}
	keyboard.Close()
	term.Wait()
}

func TestTypeAheadIsBounded(t *testing.T) {
	_, screen := typed(t, strings.Repeat("x", typeAhead+5), 80, Hooks{})
	if screen.bells != 5 {
		t.Errorf("5 keys over the bound: wanted 5 bells, got %d", screen.bells)
	}
}

func TestALineIsBounded(t *testing.T) {
	term, screen := typed(t, strings.Repeat("x", MaxLine+3)+"\r", 80, Hooks{})
	if s, err := term.ReadLine(context.Background(), "> "); len(s) != MaxLine || err != nil {
		t.Errorf("wanted %d bytes, got %d, %v", MaxLine, len(s), err)
	}
	if screen.bells != 3 {
		t.Errorf("wanted 3 bells, got %d", screen.bells)
	}
}

func TestTheEndOfTheContextEndsAQuestion(t *testing.T) {
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	term := NewTerminal(in, io.Discard, Size{}, Hooks{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := term.Ask(ctx, "Sure? "); !errors.Is(err, context.Canceled) {
		t.Errorf("wanted %v, got %v", context.Canceled, err)
	}
}

func TestAResizedWindowIsDrawnAnew(t *testing.T) {
	var out strings.Builder
	s := screen{out: &out, width: 20}
	list := cells("> abcdefghijklmnop")
	s.show(list, len(list))
	out.Reset()
	s.resize(10, len(list))
	// 18 columns are two rows of 10: one up, to the left, erase, and all of it again.
	if want := "\x1b[1A\r\x1b[J> abcdefgh\r\nijklmnop"; out.String() != want {
		t.Errorf("wanted %q, got %q", want, out.String())
	}
}

func TestTextIsWrittenWithCarriageReturns(t *testing.T) {
	var out strings.Builder
	w := &lineWriter{out: &out, column0: true}
	for _, s := range []string{"a\nb", "\r", "\nc\r\n", ""} {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("write %q: got %d, %v", s, n, err)
		}
	}
	w.freshLine()
	_, _ = w.Write([]byte("d"))
	w.freshLine()
	if want := "a\r\nb\r\nc\r\nd\r\n"; out.String() != want {
		t.Errorf("wanted %q, got %q", want, out.String())
	}
}

func TestColumnsFitTheWindow(t *testing.T) {
	got := Columns([]string{"add", "default", "del", "dhcp", "disable"}, 20)
	if want := "add      dhcp\ndefault  disable\ndel\n"; got != want {
		t.Errorf("wanted\n%s\ngot\n%s", want, got)
	}
}

func TestAPipeGivesItsLinesAndThenTheEnd(t *testing.T) {
	var out strings.Builder
	p := NewPipe(strings.NewReader("ipv4 a\r\nY\nlast"), &out)
	defer p.Close()
	ctx := context.Background()
	if s, err := p.ReadLine(ctx); s != "ipv4 a" || err != nil {
		t.Errorf("first: got %q, %v", s, err)
	}
	if s, err := p.Ask(ctx, "Sure? "); s != "Y" || err != nil {
		t.Errorf("answer: got %q, %v", s, err)
	}
	if s, err := p.ReadLine(ctx); s != "last" || err != nil {
		t.Errorf("last: got %q, %v", s, err)
	}
	if _, err := p.ReadLine(ctx); !errors.Is(err, io.EOF) {
		t.Errorf("end: wanted %v, got %v", io.EOF, err)
	}
	if want := "Sure? \n"; out.String() != want {
		t.Errorf("output: wanted %q, got %q", want, out.String())
	}
}

// chunks is an input that comes in parts, each when it is asked for.
type chunks struct {
	parts []string
	asked chan struct{}
	more  chan struct{}
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.parts) == 0 {
		return 0, io.EOF
	}
	c.asked <- struct{}{}
	<-c.more
	n := copy(b, c.parts[0])
	if c.parts[0] = c.parts[0][n:]; c.parts[0] == "" {
		c.parts = c.parts[1:]
	}
	return n, nil
}

func TestAPipeKnowsWhatHasCome(t *testing.T) {
	c := &chunks{parts: []string{"one\ntwo\nthr", "ee\n"}, asked: make(chan struct{}), more: make(chan struct{})}
	p := NewPipe(c, io.Discard)
	defer p.Close()
	read := func(want string) {
		t.Helper()
		if s, err := p.ReadLine(t.Context()); s != want || err != nil {
			t.Fatalf("wanted %q, got %q, %v", want, s, err)
		}
	}
	<-c.asked
	if p.Waiting() {
		t.Error("wanted nothing to wait before anything has come")
	}
	c.more <- struct{}{}
	read("one")
	if !p.Waiting() {
		t.Error("wanted the second line to wait")
	}
	read("two")
	<-c.asked
	if p.Waiting() {
		t.Error("wanted half a line not to wait")
	}
	c.more <- struct{}{}
	read("three")
	if p.Waiting() {
		t.Error("wanted nothing to wait at the end")
	}
}

// broken is an input that panics in the goroutine that reads it.
type broken struct{}

func (broken) Read([]byte) (int, error) { panic("boom") }

func TestACrashWhileReadingEndsOneConversationOnly(t *testing.T) {
	var crash *Crash
	if _, err := NewPipe(broken{}, io.Discard).ReadLine(t.Context()); !errors.As(err, &crash) || len(crash.Stack) == 0 {
		t.Errorf("pipe: wanted a crash with its place, got %v", err)
	}
	terminal := NewTerminal(broken{}, io.Discard, Size{}, Hooks{})
	if _, err := terminal.ReadLine(t.Context(), "> "); !errors.As(err, &crash) || len(crash.Stack) == 0 {
		t.Errorf("terminal: wanted a crash with its place, got %v", err)
	}
	terminal.Wait()
}

func TestAPipeRefusesWhatIsNoLine(t *testing.T) {
	for _, in := range []string{strings.Repeat("x", 3*MaxLine), "a\xff\n"} {
		p := NewPipe(strings.NewReader(in), io.Discard)
		if s, err := p.ReadLine(context.Background()); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%.10q…: wanted an error, got %.10q, %v", in, s, err)
		}
		p.Close()
	}
}

// FuzzEditor types anything on a terminal of any width, and compares the screen with what the line should look like.
func FuzzEditor(f *testing.F) {
	for _, s := range []string{
		"ipv4 a\r", "abc\x02\x02\x0b\x19\x19", "\x1b[A\x1b[B\x1b[C\x1b[D", "会議会議会議\x01x\x04\x14", "e\u0301\u0301\u0301",
		"aaaaaaaaaaaaaaaaaaaa\x02\x02\x7f\x7f\x15", "\x1b[200~a\t?\x1b[201~", "x\x01会\x05\x7f", "a?b\tc", "\x1b[1;5D\x1b\x1b[3~", "\x0c\x03",
	} {
		f.Add([]byte(s), uint8(10))
	}
	hooks := Hooks{
		Complete: func(s string) (string, []string) {
			if len(s)%2 == 0 {
				return s + "é", nil
			}
			return s, []string{"one", "two"}
		},
		Help: func(s string) (string, bool) { return "help\n", len(s)%3 == 0 },
	}
	f.Fuzz(func(t *testing.T, keys []byte, width uint8) {
		// Under the bound for type-ahead, so that no bell is mixed into the drawing.
		keys = keys[:min(len(keys), typeAhead/2)]
		size := Size{Columns: int(width)}.bound()
		v := newVT(size.Columns)
		term := NewTerminal(strings.NewReader(string(keys)+"\x1b[0m"), v, size, hooks)
		term.Wait()
		term.Remember("remembered")
		s := &session{Terminal: term, mode: mode{echo: true, command: true}, prompt: cells("p> ")}
		s.screen = screen{out: rawWriter{term.out}, width: size.Columns}
		s.show()
		for k := range term.keys {
			s.key(k)
			line := s.buf.String()
			if len(line) > MaxLine || s.buf.size != len(line) || !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
				t.Fatalf("after %q: line %q of %d bytes, counted %d", keys, line, len(line), s.buf.size)
			}
		}
		want := newVT(size.Columns)
		fresh := screen{out: want, width: size.Columns}
		list := append(cells("p> "), s.buf.cells...)
		fresh.show(list, len(list))
		got := v.text()
		if !strings.HasSuffix(got, want.text()) {
			t.Errorf("after %q on %d columns: wanted the screen to end with\n%s\ngot\n%s", keys, size.Columns, want.text(), got)
		}
		row, col := place(list[:len(s.prompt)+s.buf.cursor], size.Columns)
		endRow, _ := place(list, size.Columns)
		if r, c := v.cursor(); c != col || strings.Count(got, "\n")-r > endRow-row {
			t.Errorf("after %q on %d columns: wanted the cursor in column %d, got row %d column %d", keys, size.Columns, col, r, c)
		}
		if v.unknown != "" {
			t.Errorf("unknown control sequence %q", v.unknown)
		}
	})
}
