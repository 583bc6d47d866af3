package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of the protocol.
const (
	// MaxLine is the longest line, its end included. A longer one ends the connection.
	MaxLine = 1 << 20
	// MaxID is the longest id of an object and the longest name of an owner, in bytes.
	MaxID = 64
	// MaxStats is how many legs one request for figures may list.
	MaxStats = 100
	// maxHeld is how many legs or conferences one "holding" line carries.
	maxHeld = 500
)

// Line is one line in either direction. Which fields are set says what it is: a greeting (hello), a request (id and
// ask), an answer (id, and body or error), an event, a part of what a worker holds (holding), or a heartbeat (beat).
type Line struct {
	Hello *Hello `json:"hello,omitempty"`
	// ID counts the requests of a connection from 1 and comes back in the answer. An error without one ends the connection.
	ID uint64 `json:"id,omitempty"`
	// Ask is the name of a request.
	Ask string `json:"ask,omitempty"`
	// Owner of the objects. The manager sets it towards workers; a client's is the name in its hello.
	Owner   string          `json:"owner,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
	Error   *Error          `json:"error,omitempty"`
	Event   *Event          `json:"event,omitempty"`
	Holding *Holding        `json:"holding,omitempty"`
	Beat    *WorkerStatus   `json:"beat,omitempty"`
}

// Role is what a peer is.
type Role string

// The roles.
const (
	RoleClient  Role = "client"
	RoleManager Role = "manager"
	RoleWorker  Role = "worker"
)

// Hello is the first line in both directions; who dialled speaks first.
type Hello struct {
	Version int  `json:"version"`
	Role    Role `json:"role"`
	// Name is a client's owner name, or a worker's "module.index".
	Name string `json:"name,omitempty"`
	// Grace is how long a client's objects stay when its connection ends; not set, it is [DefaultGrace]. The most is an hour.
	Grace *Milliseconds `json:"grace,omitempty"`
	// Worker is set by a worker that registers. Lines of what it holds follow, and its first heartbeat ends them.
	Worker *WorkerStatus `json:"worker,omitempty"`
}

var errTooLong = fmt.Errorf("line of more than %d bytes", MaxLine)

// readLine returns the next line without its end. The slice is valid until the next call; long is its memory.
func readLine(r *bufio.Reader, long []byte) (line, memory []byte, err error) {
	long = long[:0]
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil && len(long) == 0 && len(part) <= MaxLine:
			return part[:len(part)-1], long, nil
		case len(long)+len(part) > MaxLine:
			return nil, long, errTooLong
		case err == nil:
			long = append(long, part...)
			return long[:len(long)-1], long, nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case errors.Is(err, io.EOF) && len(long)+len(part) > 0:
			return nil, long, io.ErrUnexpectedEOF
		default:
			return nil, long, err
		}
	}
}

// ParseLine reads one line. Fields that it does not know are left alone: a later minor change may add some.
func ParseLine(line []byte) (Line, error) {
	var m Line
	if err := json.Unmarshal(line, &m); err != nil {
		return Line{}, fmt.Errorf("parse line: %w", err)
	}
	if len(m.Owner) > MaxID {
		return Line{}, fmt.Errorf("parse line: owner of %d bytes", len(m.Owner))
	}
	return m, nil
}

// Append adds the message as a line.
func (m Line) Append(dst []byte) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return dst, fmt.Errorf("encode line: %w", err)
	}
	if len(b)+1 > MaxLine {
		return dst, fmt.Errorf("encode line: %w", errTooLong)
	}
	return append(append(dst, b...), '\n'), nil
}

// checkID refuses an id that is empty or too long.
func checkID(what, id string) error {
	if id == "" || len(id) > MaxID {
		return Errorf(CodeInvalid, "%s id of %d bytes: want 1 to %d", what, len(id), MaxID)
	}
	return nil
}
