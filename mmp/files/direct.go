package files

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// blockSize is what goes to the disk at once.
	blockSize = mib
	// openBlocks bounds the memory of one upload. A client sends in order; the server's workers finish a few packets of
	// 32 KiB out of order.
	openBlocks = 4
)

// blocks gathers an upload into large pieces and writes them past the page cache (O_DIRECT): nobody reads an image
// back soon, and copying it through the cache page by page took a fifth of the shell's time in an upload under emulation.
// What does not make a whole extent is written in the usual way by [blocks.flush].
type blocks struct {
	plain *os.File
	// direct is nil where the file system has no O_DIRECT.
	direct *os.File

	mu   sync.Mutex
	open map[int64]*extent
	// free are buffers of blocks that are written.
	free [][]byte
}

// extent is one piece. mu is held while the extent is filled and while it is written.
type extent struct {
	mu sync.Mutex
	// data begins at a page: the runtime gives whole pages to what is larger than 32 KiB, and O_DIRECT wants that.
	data []byte
	// filled are the ranges that have arrived, apart from each other and in order.
	filled []span
	// done is set once the extent is on its way out of the map: later writes go to the file itself.
	done bool
}

type span struct{ from, to int }

func newBlocks(plain *os.File, path string) *blocks {
	b := &blocks{plain: plain, open: map[int64]*extent{}}
	b.direct, _ = os.OpenFile(path, os.O_WRONLY|unix.O_DIRECT, 0)
	return b
}

// writeAt takes data that may begin and end anywhere.
func (b *blocks) writeAt(p []byte, off int64) error {
	for len(p) > 0 {
		index := off / blockSize
		from := int(off % blockSize)
		n := min(len(p), blockSize-from)
		if err := b.put(index, from, p[:n]); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func (b *blocks) put(index int64, from int, p []byte) error {
	k := b.take(index)
	if k == nil {
		_, err := b.plain.WriteAt(p, index*blockSize+int64(from))
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		_, err := b.plain.WriteAt(p, index*blockSize+int64(from))
		return err
	}
	copy(k.data[from:], p)
	k.filled = insert(k.filled, span{from, from + len(p)})
	if k.filled[0] != (span{0, blockSize}) {
		return nil
	}
	_, err := b.direct.WriteAt(k.data, index*blockSize)
	if errors.Is(err, unix.EINVAL) {
		// The device wants a larger alignment than a page.
		_, err = b.plain.WriteAt(k.data, index*blockSize)
	}
	k.done = true
	b.mu.Lock()
	delete(b.open, index)
	b.free = append(b.free, k.data)
	b.mu.Unlock()
	return err
}

// take returns the open extent of that index, a new one, or nil if the piece has to go to the file itself.
func (b *blocks) take(index int64) *extent {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.open[index]; k != nil || b.direct == nil || len(b.open) == openBlocks {
		return k
	}
	k := &extent{}
	if n := len(b.free); n > 0 {
		k.data, b.free = b.free[n-1], b.free[:n-1]
	} else {
		k.data = make([]byte, blockSize)
	}
	b.open[index] = k
	return k
}

// flush writes what has arrived of unfinished blocks. Nobody may write any more.
func (b *blocks) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for index, k := range b.open {
		for _, s := range k.filled {
			if _, err := b.plain.WriteAt(k.data[s.from:s.to], index*blockSize+int64(s.from)); err != nil {
				return err
			}
		}
	}
	b.open, b.free = nil, nil
	return nil
}

func (b *blocks) close() {
	if b.direct != nil {
		b.direct.Close()
	}
}

// insert adds a range to others that are apart from each other and in order, and joins what touches.
func insert(spans []span, s span) []span {
	out := spans[:0:0]
	for _, o := range spans {
		switch {
		case o.to < s.from:
			out = append(out, o)
		case s.to < o.from:
			out = append(out, s)
			s = o
		default:
			s = span{min(s.from, o.from), max(s.to, o.to)}
		}
	}
	return append(out, s)
}
