package files

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func newTestBlocks(t *testing.T) (*blocks, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	b := newBlocks(f, path)
	t.Cleanup(func() {
		b.close()
		f.Close()
	})
	return b, path
}

// Pieces in any order, from several writers, some of them twice, give the file that was meant.
func TestPiecesInAnyOrderMakeTheFile(t *testing.T) {
	for _, direct := range []bool{true, false} {
		b, path := newTestBlocks(t)
		if !direct && b.direct != nil {
			b.direct.Close()
			b.direct = nil
		}
		random := rand.New(rand.NewPCG(1, 2))
		want := make([]byte, 9*blockSize+12345)
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		type piece struct{ from, to int }
		var pieces []piece
		for from := 0; from < len(want); {
			to := min(from+1+random.IntN(64<<10), len(want))
			pieces = append(pieces, piece{from, to})
			if random.IntN(10) == 0 {
				pieces = append(pieces, piece{from, to})
			}
			from = to
		}
		// Out of order by a few, as workers are, and now and then by many.
		for i := range pieces {
			j := min(i+random.IntN(8), len(pieces)-1)
			if random.IntN(50) == 0 {
				j = random.IntN(len(pieces))
			}
			pieces[i], pieces[j] = pieces[j], pieces[i]
		}
		work := make(chan piece)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for p := range work {
					if err := b.writeAt(want[p.from:p.to], int64(p.from)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, p := range pieces {
			work <- p
		}
		close(work)
		wg.Wait()
		if err := b.flush(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("direct %v: the file differs (%d bytes, want %d, %v)", direct, len(got), len(want), err)
		}
	}
}

func TestRangesAreJoined(t *testing.T) {
	var got []span
	for _, s := range []span{{4, 6}, {0, 2}, {8, 9}, {2, 4}, {5, 8}} {
		got = insert(got, s)
	}
	if len(got) != 1 || got[0] != (span{0, 9}) {
		t.Errorf("want [{0 9}], got %v", got)
	}
	if got := insert([]span{{0, 1}, {5, 6}}, span{2, 3}); len(got) != 3 || got[1] != (span{2, 3}) {
		t.Errorf("want three ranges in order, got %v", got)
	}
}
