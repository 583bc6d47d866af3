package rtp

// Newer reports whether sequence number a comes after b, which it does if it is less than half the circle ahead.
func Newer(a, b uint16) bool { return int16(a-b) > 0 }

// NewerTimestamp reports whether timestamp a comes after b.
func NewerTimestamp(a, b uint32) bool { return int32(a-b) > 0 }

// Sequence extends sequence numbers of 16 bits to 64, each the nearest to the newest so far. The first one stays as it is;
// what comes before it is negative.
type Sequence struct {
	started bool
	newest  int64
}

// Extend returns the extended number and remembers it if it is the newest.
func (s *Sequence) Extend(n uint16) int64 {
	e := s.Peek(n)
	if !s.started || e > s.newest {
		s.started, s.newest = true, e
	}
	return e
}

// Peek returns the extended number and remembers nothing.
func (s *Sequence) Peek(n uint16) int64 {
	if !s.started {
		return int64(n)
	}
	return s.newest + int64(int16(n-uint16(s.newest)))
}

// Newest returns the newest extended number, and whether there is one.
func (s *Sequence) Newest() (n int64, ok bool) { return s.newest, s.started }

// Timestamp extends timestamps of 32 bits to 64 in the same way.
type Timestamp struct {
	started bool
	newest  int64
}

// Extend returns the extended timestamp and remembers it if it is the newest.
func (t *Timestamp) Extend(n uint32) int64 {
	e := int64(n)
	if t.started {
		e = t.newest + int64(int32(n-uint32(t.newest)))
	}
	if !t.started || e > t.newest {
		t.started, t.newest = true, e
	}
	return e
}
