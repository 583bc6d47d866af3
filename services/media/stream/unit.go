package stream

import (
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// MaxUnit bounds an access unit. A 1080p key frame of 2 Mbit/s is about 150 KB; what is beyond 2 MB is an attack.
const MaxUnit = 2 << 20

var errUnitTooLarge = errors.New("access unit of more than 2 MB")

// AccessUnit is one encoded picture. It is shared by reference: whoever keeps it calls Retain, and Release when done;
// after the last Release Data belongs to somebody else.
type AccessUnit struct {
	Codec string
	// Data is H.264 in Annex B with four-byte start codes, a VP8 frame, or a VP9 frame or superframe.
	Data      []byte
	Timestamp uint32
	Key       bool
	// Width and Height are of the last parameter set or key frame; 0 while unknown.
	Width, Height int
	// Arrival is when the last packet came.
	Arrival time.Time

	refs atomic.Int32
	pool *Pool
}

// Retain adds a holder and returns the unit.
func (u *AccessUnit) Retain() *AccessUnit {
	u.refs.Add(1)
	return u
}

// Release takes a holder away.
func (u *AccessUnit) Release() {
	switch n := u.refs.Add(-1); {
	case n == 0:
		u.pool.put(u)
	case n < 0:
		panic("stream: access unit released more often than retained")
	}
}

// write appends to Data, moving it to a larger buffer of the pool where needed.
func (u *AccessUnit) write(b []byte) error {
	need := len(u.Data) + len(b)
	if need > MaxUnit {
		return errUnitTooLarge
	}
	if need > cap(u.Data) {
		larger := u.pool.buffer(need)
		larger = append(larger, u.Data...)
		u.pool.recycle(u.Data)
		u.Data = larger
	}
	u.Data = append(u.Data, b...)
	return nil
}

// Buffers come in powers of two from 4 KB, so that ten classes reach MaxUnit.
const (
	smallestClass = 12
	classes       = 22 - smallestClass
)

// Pool hands out access units and takes them back. One is enough for a worker.
type Pool struct {
	limit int

	mu    sync.Mutex
	free  [classes][][]byte
	bytes int // in free
	units []*AccessUnit
}

// NewPool returns a pool that keeps at most limit bytes of buffers that are not in use; 0 means 16 MB.
func NewPool(limit int) *Pool {
	if limit <= 0 {
		limit = 16 << 20
	}
	return &Pool{limit: limit}
}

// Unit returns an empty unit with one holder.
func (p *Pool) Unit() *AccessUnit {
	p.mu.Lock()
	var u *AccessUnit
	if n := len(p.units); n > 0 {
		u = p.units[n-1]
		p.units = p.units[:n-1]
	}
	p.mu.Unlock()
	if u == nil {
		u = &AccessUnit{pool: p}
	}
	u.refs.Store(1)
	return u
}

func class(n int) int {
	return max(bits.Len(uint(max(n, 1)-1)), smallestClass) - smallestClass
}

func (p *Pool) buffer(n int) []byte {
	c := class(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.free[c]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[c] = list[:len(list)-1]
		p.bytes -= cap(b)
		return b[:0]
	}
	return make([]byte, 0, 1<<(c+smallestClass))
}

func (p *Pool) recycle(b []byte) {
	if cap(b) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes+cap(b) > p.limit {
		return
	}
	p.bytes += cap(b)
	c := class(cap(b))
	p.free[c] = append(p.free[c], b)
}

func (p *Pool) put(u *AccessUnit) {
	p.recycle(u.Data)
	u.Codec, u.Data, u.Timestamp, u.Key, u.Width, u.Height, u.Arrival = "", nil, 0, false, 0, 0, time.Time{}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.units) < 256 {
		p.units = append(p.units, u)
	}
}
