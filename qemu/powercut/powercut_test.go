package powercut

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// logWriter makes logs for tests.
type logWriter struct {
	bytes.Buffer
	entries uint64
}

func (w *logWriter) add(flags uint64, sector, count uint64, data []byte) {
	var header [SectorSize]byte
	binary.LittleEndian.PutUint64(header[0:], sector)
	binary.LittleEndian.PutUint64(header[8:], count)
	binary.LittleEndian.PutUint64(header[16:], flags)
	w.Write(header[:])
	w.Write(data)
	w.entries++
}

func (w *logWriter) write(sector uint64, fill ...byte) {
	var data []byte
	for _, b := range fill {
		data = append(data, bytes.Repeat([]byte{b}, SectorSize)...)
	}
	w.add(0, sector, uint64(len(fill)), data)
}

func (w *logWriter) flush() { w.add(flagFlush, 0, 0, nil) }

func (w *logWriter) bytes() []byte {
	super := make([]byte, SectorSize)
	binary.LittleEndian.PutUint64(super[0:], logMagic)
	binary.LittleEndian.PutUint64(super[8:], logVersion)
	binary.LittleEndian.PutUint64(super[16:], w.entries)
	binary.LittleEndian.PutUint32(super[24:], SectorSize)
	return append(super, w.Bytes()...)
}

const testDisk = 1 << 20

func (w *logWriter) log(t *testing.T) *Log {
	t.Helper()
	raw := w.bytes()
	l, err := ReadLog(bytes.NewReader(raw), int64(len(raw)), testDisk)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// first returns the first byte of each of the first n sectors.
func first(t *testing.T, d *Disk, n int) string {
	t.Helper()
	var s strings.Builder
	for i := range n {
		var b [1]byte
		if _, err := d.ReadAt(b[:], int64(i)*SectorSize); err != nil {
			t.Fatal(err)
		}
		s.WriteByte(b[0])
	}
	return s.String()
}

func base() *Disk {
	return NewDisk(bytes.NewReader(bytes.Repeat([]byte{'.'}, testDisk)), testDisk)
}

func TestEveryPrefixIsVisited(t *testing.T) {
	var w logWriter
	w.write(0, 'a', 'b')
	w.flush()
	w.write(1, 'c')
	w.add(flagDiscard, 2, 1, nil)
	w.add(flagFUA, 3, 1, bytes.Repeat([]byte{'d'}, SectorSize))
	l := w.log(t)
	var got []string
	err := l.Each(base(), Plan{To: 100}, func(s State) error {
		got = append(got, strings.ReplaceAll(first(t, s.Disk, 4), "\x00", "0"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "....|ab..|ab..|ac..|ac0.|ac0d|ac0d"
	if joined := strings.Join(got, "|"); joined != want {
		t.Errorf("states: got %s, want %s", joined, want)
	}
}

func TestDropsLoseOnlyWhatWasNotFlushed(t *testing.T) {
	var w logWriter
	w.write(0, 'a', 'b')
	w.flush()
	w.write(0, 'A')
	w.write(1, 'B')
	w.write(2, 'C', 'C')
	l := w.log(t)
	seen := map[string]int{}
	err := l.Each(base(), Plan{From: 5, To: 5, Drops: 400, Seed: 1}, func(s State) error {
		seen[first(t, s.Disk, 4)]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for state := range seen {
		if strings.ContainsAny(state[:2], ".") {
			t.Errorf("state %q lost a flushed write", state)
		}
	}
	// Two whole sectors and one write of two that may be torn: 2 × 2 × 4 states.
	if len(seen) != 16 {
		t.Errorf("distinct states: got %d, want 16: %v", len(seen), seen)
	}
}

func TestAStateIsMadeAgain(t *testing.T) {
	var w logWriter
	w.write(0, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H')
	w.write(4, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
	l := w.log(t)
	plan := Plan{To: 2, Drops: 8, Seed: 7}
	err := l.Each(base(), plan, func(s State) error {
		again, err := l.At(base(), plan, s.Prefix, s.Drop)
		if err != nil {
			return err
		}
		if got, want := first(t, again.Disk, 12), first(t, s.Disk, 12); got != want {
			t.Errorf("%s made again: got %s, want %s", s, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.At(base(), plan, 1, 99); err == nil {
		t.Error("a drop that is not in the plan was made")
	}
}

func TestMemoRunsACheckOnlyWhenSomethingItReadChanged(t *testing.T) {
	var w logWriter
	w.write(1000, 'x') // beyond what the check reads
	w.write(0, 'a')
	w.write(0, 'b')
	w.write(0, 'a') // the same content again
	w.write(1001, 'y')
	l := w.log(t)
	var memo Memo[string]
	var got []string
	err := l.Each(base(), Plan{To: 5}, func(s State) error {
		got = append(got, memo.Do(s.Disk, func(d *Disk) string { return first(t, d, 1) }))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if joined, want := strings.Join(got, ""), "..abaa"; joined != want {
		t.Errorf("answers: got %s, want %s", joined, want)
	}
	if memo.Runs != 3 || memo.Hits != 3 {
		t.Errorf("got %d runs and %d answers from memory, want 3 and 3", memo.Runs, memo.Hits)
	}
}

func TestExportWritesTheState(t *testing.T) {
	var w logWriter
	w.write(0, 'a', 'b')
	w.flush()
	w.write(1, 'c')
	l := w.log(t)
	s, err := l.At(base(), Plan{}, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := memoryFile(bytes.Repeat([]byte{'.'}, testDisk))
	if err := s.Disk.Export(out); err != nil {
		t.Fatal(err)
	}
	if got, want := first(t, NewDisk(bytes.NewReader(out), testDisk), 3), "ac."; got != want {
		t.Errorf("exported disk: got %s, want %s", got, want)
	}
}

type memoryFile []byte

func (f memoryFile) WriteAt(p []byte, at int64) (int, error) { return copy(f[at:], p), nil }

func FuzzReadLog(f *testing.F) {
	var w logWriter
	w.write(0, 'a', 'b')
	w.flush()
	w.add(flagDiscard, 2, 1, nil)
	w.add(flagMark, 0, 0, nil)
	f.Add(w.bytes())
	f.Add(w.bytes()[:SectorSize+16])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ReadLog(bytes.NewReader(raw), int64(len(raw)), testDisk)
		if err != nil {
			return
		}
		if len(l.Entries) > 2*len(raw)/SectorSize {
			t.Errorf("%d entries from %d bytes", len(l.Entries), len(raw))
		}
		for _, e := range l.Entries {
			if e.Offset < 0 || e.Offset+e.Length > testDisk {
				t.Errorf("entry %+v is beyond the disk of %d bytes", e, testDisk)
			}
			if e.Kind == Write {
				if _, err := l.payload(e); err != nil {
					t.Errorf("entry %+v has no data: %v", e, err)
				}
			}
		}
	})
}
