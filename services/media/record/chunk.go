package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Message types (RTMP 5.4 and 7.1).
const (
	msgChunkSize   = 1
	msgAbort       = 2
	msgAck         = 3
	msgUserControl = 4
	msgWindow      = 5
	msgBandwidth   = 6
	msgAudio       = 8
	msgVideo       = 9
	msgData        = 18
	msgCommand     = 20
)

// Chunk streams that we send on, one for each kind of message (RTMP 5.3.1.1).
const (
	chunkControl = 2
	chunkCommand = 3
	chunkAudio   = 4
	chunkVideo   = 6
)

const (
	// outChunk is the size of our chunks, so large that most pictures are one. Servers are known to take 60000, as other
	// encoders announce it.
	outChunk = 60000
	// firstChunk is the size before anything was announced.
	firstChunk = 128
)

// chunker appends messages as chunks. All headers are full ones (type 0), so that a message can be dropped without
// changing what the next one means.
type chunker struct {
	b    []byte
	size int // of chunks
	ext  bool
	id   byte
	time uint32
	room int // in the chunk
}

// begin writes the header of a message of n bytes, which follow by write.
func (c *chunker) begin(id, kind byte, stream, timestamp uint32, n int) {
	c.id, c.time, c.ext, c.room = id, timestamp, timestamp >= 0xffffff, c.size
	short := min(timestamp, 0xffffff)
	c.b = append(c.b, id, byte(short>>16), byte(short>>8), byte(short), byte(n>>16), byte(n>>8), byte(n), kind)
	c.b = binary.LittleEndian.AppendUint32(c.b, stream)
	if c.ext {
		c.b = binary.BigEndian.AppendUint32(c.b, timestamp)
	}
}

func (c *chunker) write(p []byte) {
	for len(p) > 0 {
		if c.room == 0 {
			c.b = append(c.b, 3<<6|c.id)
			if c.ext {
				c.b = binary.BigEndian.AppendUint32(c.b, c.time)
			}
			c.room = c.size
		}
		n := min(c.room, len(p))
		c.b = append(c.b, p[:n]...)
		c.room -= n
		p = p[n:]
	}
}

// message appends a whole message.
func (c *chunker) message(id, kind byte, stream, timestamp uint32, body []byte) {
	c.begin(id, kind, stream, timestamp, len(body))
	c.write(body)
}

// control appends a protocol control message with a number.
func (c *chunker) control(kind byte, v uint32) {
	c.message(chunkControl, kind, 0, 0, binary.BigEndian.AppendUint32(nil, v))
}

// chunked is the room that a message of n bytes takes.
func chunked(n int) int { return n + 16 + 5*(n/outChunk) }

// Bounds for what a server sends: commands of a few hundred bytes, on two or three chunk streams.
const (
	maxMessage = 64 << 10
	maxStreams = 16
)

// chunkReader puts messages together.
type chunkReader struct {
	r       *bufio.Reader
	size    int
	limit   int // of a message
	streams map[uint32]*chunkStream
	read    uint64 // bytes
}

type chunkStream struct {
	message
	length int // of the message
	ext    bool
}

type message struct {
	kind byte
	body []byte
}

func newChunkReader(r io.Reader) *chunkReader {
	return &chunkReader{r: bufio.NewReaderSize(r, 4096), size: firstChunk, limit: maxMessage, streams: map[uint32]*chunkStream{}}
}

var errChunk = errors.New("malformed chunk")

func (c *chunkReader) full(b []byte) error {
	n, err := io.ReadFull(c.r, b)
	c.read += uint64(n)
	return err
}

// next returns the next message, whose body is valid until the next call. Chunk sizes and aborts it sees to itself.
func (c *chunkReader) next() (message, error) {
	for {
		s, err := c.chunk()
		if err != nil {
			return message{}, err
		}
		if len(s.body) < s.length {
			continue
		}
		m := s.message
		s.body = s.body[:0]
		switch {
		case m.kind == msgChunkSize && len(m.body) >= 4:
			size := binary.BigEndian.Uint32(m.body)
			if size == 0 || size > 1<<31-1 {
				return message{}, fmt.Errorf("chunks of %d bytes: %w", size, errChunk)
			}
			c.size = int(size)
		case m.kind == msgAbort && len(m.body) >= 4:
			if s := c.streams[binary.BigEndian.Uint32(m.body)]; s != nil {
				s.body = s.body[:0]
			}
		default:
			return m, nil
		}
	}
}

// chunk reads one chunk (RTMP 5.3.1) and returns its stream.
func (c *chunkReader) chunk() (*chunkStream, error) {
	var b [11]byte
	if err := c.full(b[:1]); err != nil {
		return nil, err
	}
	format, id := b[0]>>6, uint32(b[0]&63)
	if id < 2 {
		n := int(id) + 1
		if err := c.full(b[:n]); err != nil {
			return nil, err
		}
		id = 64 + uint32(b[0])
		if n == 2 {
			id += uint32(b[1]) << 8
		}
	}
	s := c.streams[id]
	if s == nil {
		if format != 0 && format != 1 || len(c.streams) == maxStreams {
			return nil, errChunk
		}
		s = &chunkStream{}
		c.streams[id] = s
	}
	n := [4]int{11, 7, 3, 0}[format]
	if err := c.full(b[:n]); err != nil {
		return nil, err
	}
	if n > 0 {
		if len(s.body) > 0 {
			return nil, errChunk // a new message before the end of the last one
		}
		s.ext = b[0]&b[1]&b[2] == 0xff
	}
	if n >= 7 {
		s.length = int(b[3])<<16 | int(b[4])<<8 | int(b[5])
		s.kind = b[6]
		if s.length > c.limit {
			return nil, fmt.Errorf("message of %d bytes: %w", s.length, errChunk)
		}
	}
	if s.ext {
		if err := c.full(b[:4]); err != nil {
			return nil, err
		}
	}
	from := len(s.body)
	s.body = append(s.body, make([]byte, min(c.size, s.length-from))...)
	return s, c.full(s.body[from:])
}
