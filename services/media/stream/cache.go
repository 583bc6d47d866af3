package stream

import "time"

// Bounds of a Stream's packet cache. It begins small, since a worker has hundreds of streams and most of them are small
// layers, and doubles when it cannot hold a second: 2 MB is a second at 16 Mbit/s. The smallest size holds a burst.
const (
	MinCache = 128 << 10
	MaxCache = 2 << 20
	// A receiver asks again within a round trip or two; after a second the picture is long past.
	cacheSpan = int64(time.Second)
	// One entry for 256 bytes, so that streams of small packets fill their bytes first too.
	bytesAnEntry = 256
)

// room is left before each body for what a Sender writes: RTP header 12, extensions 4 + (1 + 16) + 3 + 4, payload
// descriptor 6, with padding to 32 bits; 64 keeps bodies at a cache line.
const room = 64

// entry describes one packet in the cache.
type entry struct {
	sequence  int64
	position  int64 // of the body, counted from the first byte ever stored
	at        int64 // ns of arrival, see clock
	timestamp uint32
	length    uint16 // of the body
	picture   uint16 // 15 bits, unwrapped from 7 where needed
	prefix    prefix
	base      uint8 // TL0PICIDX
	layer     uint8
	flags     uint8
}

const (
	flagMarker = 1 << iota
	flagStart
	flagKey
	flagSync
	flagParameters
)

func (e *entry) is(flag uint8) bool { return e.flags&flag != 0 }

// cache is a ring of packets by group sequence over a ring of bytes. An entry is valid as long as its bytes have not
// been written over, which two numbers tell.
type cache struct {
	entries []entry
	bytes   []byte
	written int64 // position behind the last byte
	newest  int64 // highest sequence
	// What has been stored since the span began.
	spanAt      int64
	spanBytes   int64
	spanEntries int
}

func newCache() cache {
	c := cache{bytes: make([]byte, MinCache), entries: make([]entry, MinCache/bytesAnEntry)}
	for i := range c.entries {
		c.entries[i].sequence = -1
	}
	return c
}

// store copies a body and returns its entry, filled as far as the cache knows.
func (c *cache) store(sequence int64, body []byte, now int64) *entry {
	need := int64(room+len(body)+room-1) &^ (room - 1)
	c.fit(need, now)
	size := int64(len(c.bytes))
	at := c.written
	if left := size - at%size; left < need {
		at += left
	}
	c.written = at + need
	c.newest = max(c.newest, sequence)
	e := &c.entries[sequence&int64(len(c.entries)-1)]
	*e = entry{sequence: sequence, position: at + room, at: now, length: uint16(len(body))}
	copy(c.bytes[e.position%size:], body)
	return e
}

// fit grows the cache when it is about to go round within one span.
func (c *cache) fit(need, now int64) {
	if now-c.spanAt >= cacheSpan {
		c.spanAt, c.spanBytes, c.spanEntries = now, 0, 0
	}
	c.spanBytes += need
	c.spanEntries++
	if c.spanBytes <= int64(len(c.bytes)) && c.spanEntries <= len(c.entries) || len(c.bytes) >= MaxCache {
		return
	}
	old := *c
	c.bytes = make([]byte, 2*len(old.bytes))
	c.entries = make([]entry, 2*len(old.entries))
	for i := range c.entries {
		c.entries[i].sequence = -1
	}
	// Positions stay: what did not cross the end of the smaller ring does not cross the end of one twice its size.
	for i := range old.entries {
		e := &old.entries[i]
		if e.sequence < 0 || old.written-e.position+room > int64(len(old.bytes)) {
			continue
		}
		c.entries[e.sequence&int64(len(c.entries)-1)] = *e
		copy(c.body(e), old.body(e))
	}
}

// find returns the entry of a packet that is still there, or nil.
func (c *cache) find(sequence, now int64) *entry {
	if sequence < 0 || len(c.entries) == 0 {
		return nil
	}
	e := &c.entries[sequence&int64(len(c.entries)-1)]
	if e.sequence != sequence || c.written-e.position+room > int64(len(c.bytes)) || now-e.at > cacheSpan {
		return nil
	}
	return e
}

func (c *cache) body(e *entry) []byte {
	at := e.position % int64(len(c.bytes))
	return c.bytes[at : at+int64(e.length)]
}

// around returns the body with n bytes of the room before it.
func (c *cache) around(e *entry, n int) []byte {
	at := e.position % int64(len(c.bytes))
	return c.bytes[at-int64(n) : at+int64(e.length) : at+int64(e.length)]
}
