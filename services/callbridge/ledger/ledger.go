package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	magic = "ROTLEDG1"
	// chunk is a multiple of every page size that there is.
	chunk    = 64 << 10
	slotSize = 1 << 10
	slotHead = 8 // length and checksum
	perChunk = chunk / slotSize
	// maxChunks bounds the file: 8192 notes in 8 MiB, more than there may be dialogs at once.
	maxChunks = 128
	legsAt    = 8 // of the number of legs, in the head
)

// MaxNote is how long a note may be.
const MaxNote = slotSize - slotHead

// Ledger is an open ledger. Its methods may be called by any goroutine; those of nil, a ledger that could not be opened, do nothing.
type Ledger struct {
	file *os.File
	head []byte

	mu     sync.Mutex
	chunks [][]byte
	free   []int
	closed bool
}

// Left is what the process before left.
type Left struct {
	// Legs is how many there were; Notes are those that were not taken back.
	Legs  int
	Notes [][]byte
}

// Open reads what was left at a path and begins anew there. A file that is not to be understood counts as none.
func Open(path string) (*Ledger, Left, error) {
	left := read(path)
	// Another file, and not the same one cut short: a process that should be gone, and is not yet, would die at its next store to what was cut off.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, left, fmt.Errorf("begin the ledger of calls anew: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, left, fmt.Errorf("open the ledger of calls: %w", err)
	}
	l := &Ledger{file: f}
	if l.head, err = l.extend(0); err != nil {
		f.Close()
		return nil, left, err
	}
	copy(l.head, magic)
	return l, left, nil
}

// read never fails: whatever was left, the next process has to start.
func read(path string) Left {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > (maxChunks+1)*chunk {
		return Left{}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Left{}
	}
	return Parse(b)
}

// Parse reads the bytes of a ledger.
func Parse(b []byte) (left Left) {
	if len(b) < chunk || string(b[:len(magic)]) != magic {
		return left
	}
	left.Legs = int(binary.LittleEndian.Uint32(b[legsAt:]))
	for b = b[chunk:]; len(b) >= slotSize; b = b[slotSize:] {
		n := binary.LittleEndian.Uint32(b)
		if n == 0 || n > MaxNote {
			continue
		}
		note := b[slotHead : slotHead+n]
		if binary.LittleEndian.Uint32(b[4:]) == crc32.ChecksumIEEE(note) {
			left.Notes = append(left.Notes, append([]byte(nil), note...))
		}
	}
	return left
}

// extend allocates the n-th chunk of the file, and maps it.
func (l *Ledger) extend(n int) ([]byte, error) {
	at := int64(n) * chunk
	err := unix.Fallocate(int(l.file.Fd()), 0, at, chunk)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = l.file.WriteAt(make([]byte, chunk), at)
	}
	if err != nil {
		return nil, fmt.Errorf("make room for the ledger of calls: %w", err)
	}
	b, err := unix.Mmap(int(l.file.Fd()), at, chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ledger of calls: %w", err)
	}
	return b, nil
}

// number is four bytes of a mapped chunk, which another process may read at any moment.
func number(b []byte) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&b[0])) }

// Legs notes how many there are.
func (l *Ledger) Legs(n int) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		number(l.head[legsAt:]).Store(uint32(max(0, n)))
	}
}

// none is the slot of a note for which there is no room.
const none = -1

// Put notes something, and returns the place to [Ledger.Take] it back from. A note that is too long, or one too many, is not kept; that is no error: nothing
// of the call depends on it.
func (l *Ledger) Put(note []byte) int {
	if l == nil || len(note) == 0 || len(note) > MaxNote {
		return none
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.free) == 0 && !l.grow() {
		return none
	}
	at := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	b := l.slot(at)
	copy(b[slotHead:], note)
	binary.LittleEndian.PutUint32(b[4:], crc32.ChecksumIEEE(note))
	number(b).Store(uint32(len(note)))
	return at
}

// Take takes a note back.
func (l *Ledger) Take(at int) {
	if l == nil || at == none {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	number(l.slot(at)).Store(0)
	l.free = append(l.free, at)
}

func (l *Ledger) slot(at int) []byte {
	return l.chunks[at/perChunk][at%perChunk*slotSize:][:slotSize]
}

// grow makes room for more notes; l.mu is held.
func (l *Ledger) grow() bool {
	n := len(l.chunks)
	if n == maxChunks {
		return false
	}
	b, err := l.extend(n + 1)
	if err != nil {
		return false
	}
	l.chunks = append(l.chunks, b)
	for i := perChunk - 1; i >= 0; i-- {
		l.free = append(l.free, n*perChunk+i)
	}
	return true
}

// Close unmaps the ledger. What is noted stays in the file.
func (l *Ledger) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	errs := []error{unix.Munmap(l.head)}
	for _, b := range l.chunks {
		errs = append(errs, unix.Munmap(b))
	}
	return errors.Join(append(errs, l.file.Close())...)
}
