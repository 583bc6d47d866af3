package ledger

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func open(t testing.TB, path string) (*Ledger, Left) {
	t.Helper()
	l, left, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, left
}

func texts(left Left) []string {
	var list []string
	for _, n := range left.Notes {
		list = append(list, string(n))
	}
	slices.Sort(list)
	return list
}

func TestWhatIsNotTakenBackIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l, left := open(t, path)
	if left.Legs != 0 || left.Notes != nil {
		t.Errorf("a first ledger has %+v", left)
	}
	at := l.Put([]byte("one"))
	l.Put([]byte("two"))
	l.Legs(3)
	l.Take(at)
	l.Put([]byte("a third, in the place of the first"))
	l.Legs(2)
	// Not closed: a process that is killed does not do that either.
	m, left := open(t, path)
	if got, want := texts(left), []string{"a third, in the place of the first", "two"}; left.Legs != 2 || !slices.Equal(got, want) {
		t.Errorf("want 2 legs and %q, got %d and %q", want, left.Legs, got)
	}
	// Whoever is slow to go does no harm, and takes none.
	l.Legs(9)
	for range 3 * perChunk {
		l.Put([]byte("late"))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.Legs(7)
	if m.Put([]byte("late")) != none {
		t.Error("a closed ledger takes notes")
	}
	if _, left := open(t, path); left.Legs != 0 || left.Notes != nil {
		t.Errorf("what was read once is there again: %+v", left)
	}
}

func TestMoreNotesThanThereIsRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l, _ := open(t, path)
	if l.Put(make([]byte, MaxNote+1)) != none || l.Put(nil) != none {
		t.Error("a note that is too long, or empty, was kept")
	}
	var places []int
	for i := range maxChunks * perChunk {
		at := l.Put(fmt.Appendf(nil, "note %d", i))
		if at == none || slices.Contains(places[max(0, len(places)-perChunk):], at) {
			t.Fatalf("note %d has the place %d", i, at)
		}
		places = append(places, at)
	}
	if l.Put([]byte("one too many")) != none {
		t.Error("there is room for one too many")
	}
	l.Take(none)
	l.Take(places[5000])
	if at := l.Put(bytes.Repeat([]byte("x"), MaxNote)); at != places[5000] {
		t.Errorf("want the place that is free, %d, got %d", places[5000], at)
	}
	_, left := open(t, path)
	if len(left.Notes) != maxChunks*perChunk {
		t.Errorf("want %d notes, got %d", maxChunks*perChunk, len(left.Notes))
	}
}

func TestALedgerThatCannotBe(t *testing.T) {
	folder := t.TempDir()
	l, left, err := Open(filepath.Join(folder, "missing", "ledger"))
	if err == nil || l != nil || left.Legs != 0 {
		t.Errorf("want an error, got %v and %+v", err, left)
	}
	l.Legs(1)
	l.Take(l.Put([]byte("nothing happens")))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	// A link is not followed, and rubbish is nothing.
	target := filepath.Join(folder, "target")
	if err := os.WriteFile(target, []byte("somebody else's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(folder, "link"))
	if b, err := os.ReadFile(target); err != nil || string(b) != "somebody else's" {
		t.Errorf("a link was followed: %q, %v", b, err)
	}
	rubbish := filepath.Join(folder, "rubbish")
	if err := os.WriteFile(rubbish, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, left := open(t, rubbish); left.Legs != 0 || left.Notes != nil {
		t.Errorf("rubbish was read as %+v", left)
	}
}

func TestManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l, _ := open(t, path)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 200 {
				at := l.Put(fmt.Appendf(nil, "%d %d", i, j))
				l.Legs(j)
				if j < 199 {
					l.Take(at)
				}
			}
		})
	}
	wait.Wait()
	_, left := open(t, path)
	if got, want := texts(left), []string{"0 199", "1 199", "2 199", "3 199", "4 199", "5 199", "6 199", "7 199"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

// victim has the path of the ledger of a test binary that is killed.
const victim = "ROTUNDA_TEST_LEDGER"

func TestNotesOutliveAKill(t *testing.T) {
	if path := os.Getenv(victim); path != "" {
		l, _ := open(t, path)
		l.Legs(1)
		l.Put([]byte("the last words"))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	path := filepath.Join(t.TempDir(), "ledger")
	c := exec.Command(os.Args[0], "-test.run", "^TestNotesOutliveAKill$")
	c.Env = append(os.Environ(), victim+"="+path)
	if err := c.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("want a killed process, got %v", err)
	}
	if _, left := open(t, path); left.Legs != 1 || !slices.Equal(texts(left), []string{"the last words"}) {
		t.Errorf("of a killed process there is %+v", left)
	}
}

func FuzzParse(f *testing.F) {
	path := filepath.Join(f.TempDir(), "ledger")
	l, _, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	l.Put([]byte("a note"))
	l.Legs(1)
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:chunk+2*slotSize])
	f.Add([]byte(magic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		left := Parse(b)
		if len(left.Notes)*slotSize > len(b) {
			t.Errorf("%d notes in %d bytes", len(left.Notes), len(b))
		}
		for _, n := range left.Notes {
			if len(n) == 0 || len(n) > MaxNote {
				t.Errorf("a note of %d bytes", len(n))
			}
		}
	})
}

// What a call costs: a note when it is up, gone when it ends, and two changes of the number of legs. "file" is a file that is made for the first leg and
// removed with the last.
func BenchmarkCall(b *testing.B) {
	note := bytes.Repeat([]byte("x"), 400)
	b.Run("ledger", func(b *testing.B) {
		l, _, err := Open(filepath.Join(b.TempDir(), "ledger"))
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		for b.Loop() {
			l.Legs(1)
			at := l.Put(note)
			l.Take(at)
			l.Legs(0)
		}
	})
	b.Run("file", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "calls-up")
		for b.Loop() {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				b.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
