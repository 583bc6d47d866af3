package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Position is a place between two lines. The zero value is before the oldest.
type Position struct {
	// File names a file whatever it is called by now: its inode and a hash of its first line, since inodes are used again.
	File   string `json:"file,omitempty"`
	Offset int64  `json:"offset,omitempty"`
}

const (
	// readSize is what is read at once; maxRead is where a line that does not end is cut.
	readSize = 64 << 10
	maxRead  = 64 << 10
	// firstLine is how much of a file tells it apart.
	firstLine = 1 << 10
)

// Reader gives the lines of one file and its predecessors in order, across the moves of [Journal]. It never writes and takes no
// locks: it may run in any process that may read the files. It is not safe for concurrent use.
type Reader struct {
	dir, name string
	file      *os.File
	id        string
	// offset is where buffer begins in the file.
	offset int64
	buffer []byte
	// cut says that what comes up to the next line end belongs to a line that was cut.
	cut bool
	// lost says that lines were overwritten before they were read.
	lost bool
}

// NewReader returns a reader that stands before the oldest line of a file, [MessagesFile] or [AuditFile].
func NewReader(dir, name string) *Reader { return &Reader{dir: dir, name: name} }

// Close lets go of the file. The reader may be moved and used again.
func (r *Reader) Close() { r.stand(nil, 0) }

func (r *Reader) stand(f *os.File, offset int64) {
	if r.file != nil && r.file != f {
		r.file.Close()
	}
	r.file, r.id, r.offset, r.buffer, r.cut = f, "", offset, nil, false
}

// Seek goes to a position that [Reader.Position] gave once. lost says that the file is not there any more: the reader then stands
// before the oldest line that there is.
func (r *Reader) Seek(p Position) (lost bool, err error) {
	if p.File == "" {
		r.stand(nil, 0)
		return false, nil
	}
	list, err := r.files()
	if err != nil {
		return false, err
	}
	for i, f := range list {
		if identify(f) != p.File {
			continue
		}
		closeAll(slices.Delete(list, i, i+1))
		r.stand(f, max(p.Offset, 0))
		return false, nil
	}
	closeAll(list)
	r.stand(nil, 0)
	return true, nil
}

// SeekEnd goes behind the newest line.
func (r *Reader) SeekEnd() error { return r.SeekBack(0) }

// SeekBack goes so many lines before the end, as far as those of the newest file and of its last 64 KiB go.
func (r *Reader) SeekBack(lines int) error {
	list, err := r.files()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		r.stand(nil, 0)
		return nil
	}
	last := list[len(list)-1]
	closeAll(list[:len(list)-1])
	st, err := last.Stat()
	if err != nil {
		last.Close()
		return err
	}
	// A line may be half there.
	from := max(st.Size()-maxRead, 0)
	b := make([]byte, st.Size()-from)
	n, err := last.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		last.Close()
		return err
	}
	b = b[:bytes.LastIndexByte(b[:n], '\n')+1]
	for range lines {
		if len(b) == 0 {
			break
		}
		i := bytes.LastIndexByte(b[:len(b)-1], '\n')
		if i < 0 && from > 0 {
			// It begins before what was read.
			break
		}
		b = b[:i+1]
	}
	r.stand(last, from+int64(len(b)))
	return nil
}

// Position is where the reader stands.
func (r *Reader) Position() Position {
	if r.file == nil {
		return Position{}
	}
	if r.id == "" {
		if r.id = identify(r.file); r.id == "" {
			return Position{}
		}
	}
	return Position{File: r.id, Offset: r.offset}
}

// Lost tells once that lines were overwritten before they were read.
func (r *Reader) Lost() bool {
	lost := r.lost
	r.lost = false
	return lost
}

// Next returns the next line without its end, [io.EOF] while there is none. The line is valid until the next call.
func (r *Reader) Next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(r.buffer, '\n'); i >= 0 {
			line := r.buffer[:i]
			r.buffer, r.offset = r.buffer[i+1:], r.offset+int64(i+1)
			if r.cut {
				r.cut = false
				continue
			}
			return line, nil
		}
		if len(r.buffer) >= maxRead {
			line, was := r.buffer, r.cut
			r.buffer, r.offset, r.cut = nil, r.offset+int64(len(r.buffer)), true
			if was {
				continue
			}
			return line, nil
		}
		more, err := r.more()
		if err != nil {
			return nil, err
		}
		if !more {
			return nil, io.EOF
		}
	}
}

// more reads on, in the next file if this one is complete.
func (r *Reader) more() (bool, error) {
	if r.file == nil {
		list, err := r.files()
		if err != nil || len(list) == 0 {
			return false, err
		}
		closeAll(list[1:])
		r.stand(list[0], 0)
	}
	n, err := r.fill()
	if n > 0 || err != nil {
		return n > 0, err
	}
	// Whatever is called by the name is not complete yet; what has lost the name has all its lines.
	newest, err := os.Lstat(filepath.Join(r.dir, r.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	mine, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	if newest != nil && os.SameFile(newest, mine) {
		return false, nil
	}
	if n, err := r.fill(); n > 0 || err != nil {
		return n > 0, err
	}
	list, err := r.files()
	if err != nil {
		return false, err
	}
	next := 0
	for i, f := range list {
		if st, err := f.Stat(); err == nil && os.SameFile(st, mine) {
			next = i + 1
		}
	}
	if next == len(list) {
		closeAll(list)
		return false, nil
	}
	r.lost = r.lost || next == 0
	f := list[next]
	closeAll(slices.Delete(list, next, next+1))
	r.stand(f, 0)
	return true, nil
}

func (r *Reader) fill() (int, error) {
	at := len(r.buffer)
	b := make([]byte, at+readSize)
	copy(b, r.buffer)
	n, err := r.file.ReadAt(b[at:], r.offset+int64(at))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	r.buffer = b[:at+n]
	return n, nil
}

// files opens all that there are, the oldest first.
func (r *Reader) files() ([]*os.File, error) { return Files(r.dir, r.name) }

// Files opens a file of the log and its predecessors, the oldest first. While the journal moves them on, one could be missed or be
// there twice, so what was found is what two looks agree on.
func Files(dir, name string) ([]*os.File, error) {
	const looks = 10
	before, err := look(dir, name)
	if err != nil {
		return nil, err
	}
	for range looks {
		now, err := look(dir, name)
		if err != nil {
			closeAll(before)
			return nil, err
		}
		same := slices.EqualFunc(before, now, func(a, b *os.File) bool {
			x, err := a.Stat()
			y, err2 := b.Stat()
			return err == nil && err2 == nil && os.SameFile(x, y)
		})
		closeAll(before)
		if same {
			return now, nil
		}
		before = now
	}
	closeAll(before)
	return nil, errors.New("read the log: its files do not stay as they are")
}

func look(dir, name string) ([]*os.File, error) {
	var list []*os.File
	for n := Predecessors; n >= 0; n-- {
		f, err := os.OpenFile(filepath.Join(dir, generation(name, n)), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			closeAll(list)
			return nil, fmt.Errorf("read the log: %w", err)
		}
		list = append(list, f)
	}
	return list, nil
}

func closeAll(list []*os.File) {
	for _, f := range list {
		f.Close()
	}
}

// identify is "" while a file has no line yet.
func identify(f *os.File) string {
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	b := make([]byte, firstLine)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	b = b[:n]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	} else if n < firstLine {
		return ""
	}
	sum := sha256.Sum256(b)
	inode := uint64(0)
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		inode = sys.Ino
	}
	return fmt.Sprintf("%d-%s", inode, hex.EncodeToString(sum[:8]))
}

// Behind is how many bytes a position is behind the newest line.
func Behind(dir, name string, p Position) (int64, error) {
	list, err := Files(dir, name)
	if err != nil {
		return 0, err
	}
	defer closeAll(list)
	behind := int64(0)
	for _, f := range slices.Backward(list) {
		st, err := f.Stat()
		if err != nil {
			return 0, err
		}
		if p.File != "" && identify(f) == p.File {
			return behind + max(st.Size()-p.Offset, 0), nil
		}
		behind += st.Size()
	}
	return behind, nil
}

// Tail returns the newest lines, at most n, the oldest of them first.
func Tail(dir, name string, n int) ([]string, error) {
	list, err := Files(dir, name)
	if err != nil {
		return nil, err
	}
	defer closeAll(list)
	var tail []string
	for _, f := range slices.Backward(list) {
		if n <= 0 {
			break
		}
		b, err := io.ReadAll(io.LimitReader(f, 2*fileSize))
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		b = b[:bytes.LastIndexByte(b, '\n')+1]
		var part []string
		for len(b) > 0 && n > 0 {
			i := bytes.LastIndexByte(b[:len(b)-1], '\n')
			part = append(part, string(b[i+1:len(b)-1]))
			b = b[:i+1]
			n--
		}
		slices.Reverse(part)
		tail = append(part, tail...)
	}
	return tail, nil
}
