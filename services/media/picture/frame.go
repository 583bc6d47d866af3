package picture

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Frame is one picture, 8-bit 4:2:0, whose planes lie outside of the Go heap. It is shared by reference: whoever keeps it
// calls Retain, and Release when done; after the last Release the planes belong to somebody else. A frame that more than
// one holds is not written to.
type Frame struct {
	Width, Height    int
	Y, U, V          []byte
	StrideY, StrideC int
	// Captured is when the picture came in, for latency figures; Timestamp is its RTP time at 90 kHz.
	Captured  time.Time
	Timestamp uint32

	refs    atomic.Int32
	release func(*Frame)
	// serial differs between any two contents, which the address of a frame does not: it is used again.
	serial  uint64
	smaller smaller
	// memory is what a [Pool] has mapped for the planes.
	memory []byte
}

var serials atomic.Uint64

// Wrap makes a frame of planes that somebody else allocated; release is called once, after the last Release.
func Wrap(width, height int, y, u, v []byte, strideY, strideC int, release func(*Frame)) *Frame {
	f := &Frame{Width: width, Height: height, Y: y, U: u, V: v, StrideY: strideY, StrideC: strideC, release: release}
	return f.Retain()
}

// Retain adds a holder and returns the frame. The first holder after the last Release, who can only be the owner of the
// planes, begins a new content.
func (f *Frame) Retain() *Frame {
	if f.refs.Add(1) == 1 {
		f.serial = serials.Add(1)
	}
	return f
}

// Release takes a holder away.
func (f *Frame) Release() {
	switch n := f.refs.Add(-1); {
	case n == 0:
		f.smaller.drop()
		f.release(f)
	case n < 0:
		panic("picture: frame released more often than retained")
	}
}

// restFor is how long a frame lies in a pool before its memory goes back to the machine: pictures of a size come again within a
// second as long as anybody sends or sees them.
const restFor = 10 * time.Second

// Pool hands out frames of any size and takes them back by themselves. It keeps as many as it has ever needed at one time, but memory
// only for those of the last seconds: what a rush, or a layout that is not shown any more, has taken is given back.
type Pool struct {
	mu   sync.Mutex
	free map[[2]int][]resting
	// swept is when it was last looked for frames that have rested.
	swept time.Time
	now   func() time.Time
	// Bytes mapped, in use or not, and those of them that were given back.
	bytes, returned atomic.Int64
}

// resting is a frame that nobody holds. The one that came last goes first, so the first of a list has rested the longest.
type resting struct {
	frame *Frame
	since time.Time
	// empty: the mapping is there, its pages are not.
	empty bool
}

// NewPool returns an empty pool.
func NewPool() *Pool { return &Pool{free: map[[2]int][]resting{}, now: time.Now} }

// Bytes returns how much memory the pool has.
func (p *Pool) Bytes() int64 { return p.bytes.Load() - p.returned.Load() }

// Get returns a frame with one holder and undefined content. Width and height are even, at most 4096.
func (p *Pool) Get(width, height int) (*Frame, error) {
	if width <= 0 || height <= 0 || width > 4096 || height > 4096 || width%2 != 0 || height%2 != 0 {
		return nil, fmt.Errorf("frame of %d × %d: want even sides of at most 4096", width, height)
	}
	size := [2]int{width, height}
	p.mu.Lock()
	if list := p.free[size]; len(list) > 0 {
		r := list[len(list)-1]
		p.free[size] = list[:len(list)-1]
		p.mu.Unlock()
		if r.empty {
			p.returned.Add(-int64(len(r.frame.memory)))
		}
		return r.frame.Retain(), nil
	}
	p.mu.Unlock()
	// Rows start at multiples of 64 bytes, one cache line and one AVX-512 register.
	strideY := (width + 63) &^ 63
	strideC := (width/2 + 63) &^ 63
	n := strideY*height + strideC*height
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("map a frame of %d × %d: %w", width, height, err)
	}
	p.bytes.Add(int64(n))
	luma, chroma := strideY*height, strideC*height/2
	f := Wrap(width, height, b[:luma:luma], b[luma:luma+chroma:luma+chroma], b[luma+chroma:], strideY, strideC, p.put)
	f.memory = b
	return f, nil
}

func (p *Pool) put(f *Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size, now := [2]int{f.Width, f.Height}, p.now()
	p.free[size] = append(p.free[size], resting{frame: f, since: now})
	if now.Sub(p.swept) >= time.Second {
		p.swept = now
		p.sweep(now.Add(-restFor))
	}
}

// sweep gives the pages back of frames that came before a time. The mappings stay, so that a frame is as good as before, with other
// content, which is undefined anyway.
func (p *Pool) sweep(before time.Time) {
	for _, list := range p.free {
		for i := range list {
			if !list[i].since.Before(before) {
				break
			}
			if list[i].empty {
				continue
			}
			if err := unix.Madvise(list[i].frame.memory, unix.MADV_DONTNEED); err == nil {
				list[i].empty = true
				p.returned.Add(int64(len(list[i].frame.memory)))
			}
		}
	}
}
