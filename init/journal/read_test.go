package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shelf is a log that is written by hand.
type shelf struct {
	*testing.T
	dir string
}

func (s shelf) add(lines ...string) {
	s.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, MessagesFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		s.Fatal(err)
	}
}

func (s shelf) turn() { (&Journal{dir: s.dir}).makeWay(MessagesFile) }

func (s shelf) reads(r *Reader, want ...string) {
	s.Helper()
	var got []string
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.Fatal(err)
		}
		got = append(got, string(line))
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		s.Errorf("want %q, got %q", want, got)
	}
}

func TestAReaderFollowsTheLogAcrossItsFiles(t *testing.T) {
	s := shelf{t, t.TempDir()}
	r := NewReader(s.dir, MessagesFile)
	defer r.Close()
	s.reads(r)
	s.add("a", "b")
	s.reads(r, "a", "b")
	s.add("c")
	s.turn()
	s.reads(r, "c")
	s.turn()
	s.add("d")
	s.turn()
	s.add("e")
	s.reads(r, "d", "e")
	place := r.Position()
	s.add("f")
	s.turn()
	s.add("g")
	other := NewReader(s.dir, MessagesFile)
	defer other.Close()
	if lost, err := other.Seek(place); lost || err != nil {
		t.Fatalf("want the place found, got lost %v, %v", lost, err)
	}
	s.reads(other, "f", "g")
	if n, err := Behind(s.dir, MessagesFile, place); n != 4 || err != nil {
		t.Errorf("want 4 bytes behind, got %d, %v", n, err)
	}
	if tail, err := Tail(s.dir, MessagesFile, 4); err != nil || strings.Join(tail, ",") != "d,e,f,g" {
		t.Errorf("want the last 4 lines, got %q, %v", tail, err)
	}
	if err := other.SeekEnd(); err != nil {
		t.Fatal(err)
	}
	s.add("h", "i")
	s.reads(other, "h", "i")
	if err := other.SeekBack(2); err != nil {
		t.Fatal(err)
	}
	s.reads(other, "h", "i")
	if err := other.SeekBack(100); err != nil {
		t.Fatal(err)
	}
	s.reads(other, "g", "h", "i")
}

func TestWhatIsOverwrittenIsTold(t *testing.T) {
	s := shelf{t, t.TempDir()}
	s.add("first")
	r := NewReader(s.dir, MessagesFile)
	defer r.Close()
	s.reads(r, "first")
	place := r.Position()
	var want []string
	for n := range Predecessors + 3 {
		s.turn()
		s.add(fmt.Sprint(n))
		if n >= 2 {
			want = append(want, fmt.Sprint(n))
		}
	}
	s.reads(r, want...)
	if !r.Lost() || r.Lost() {
		t.Error("want the loss told once")
	}
	if lost, err := r.Seek(place); !lost || err != nil {
		t.Errorf("want the place lost, got %v, %v", lost, err)
	}
	s.reads(r, want...)
}

func TestALineWithoutAnEndIsCutOrWaitsForIt(t *testing.T) {
	s := shelf{t, t.TempDir()}
	s.add(strings.Repeat("x", 3*maxRead), "b")
	f, err := os.OpenFile(filepath.Join(s.dir, MessagesFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("ha"); err != nil {
		t.Fatal(err)
	}
	r := NewReader(s.dir, MessagesFile)
	defer r.Close()
	line, err := r.Next()
	if err != nil || len(line) < maxRead || len(line) > maxRead+readSize {
		t.Fatalf("want the line cut, got %d bytes, %v", len(line), err)
	}
	s.reads(r, "b")
	if _, err := f.WriteString("lf\n"); err != nil {
		t.Fatal(err)
	}
	s.reads(r, "half")
}

func FuzzParseEntry(f *testing.F) {
	for _, s := range []string{"Feb 23 09:02:21.588 user.info cms01 a[1]: b", "Feb 29 09:02:21.588 user.info h t:", "Jan  1 00:00:00.000 kern.emerg h a: b", ""} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		e, ok := ParseEntry(s, now)
		if !ok {
			return
		}
		again := e.Time.Format(layout) + " " + e.Priority.String() + " " + e.Host + " " + e.Tag + ": " + e.Text
		if strings.TrimRight(again, " ") != strings.TrimRight(s, " ") && !strings.HasPrefix(s[7:], "24:") {
			t.Errorf("%q came back as %q", s, again)
		}
	})
}
