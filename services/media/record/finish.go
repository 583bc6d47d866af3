package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// smallFile is what is copied at the end, 128 MiB: below it the room for the index would be more than a sixteenth of it.
	smallFile = 16 * mediaAt
	// copying is the name's end of a finished file while it is copied.
	copying = ".copying"
	// maxHead bounds the moof of a fragment: 87,000 samples.
	maxHead = 1 << 20
)

// ErrNotRecording says that a file is none of [Create]'s.
var ErrNotRecording = errors.New("not an unfinished recording")

// Recover finishes a recording whose writer died, and returns its duration. The path is the one that was given to [Create], or
// the same with [Unfinished] behind it. If the writer is alive it returns [ErrBusy]; if nothing was recorded the file is removed
// and [ErrEmpty] returned.
func Recover(path string) (time.Duration, error) {
	path = strings.TrimSuffix(path, Unfinished)
	file, err := os.OpenFile(path+Unfinished, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("recover recording: %w", err)
	}
	defer file.Close()
	if err := lock(file); err != nil {
		return 0, fmt.Errorf("recover recording %s: %w", path, err)
	}
	os.Remove(path + copying) // begun by the writer that died
	duration, err := finish(file, path, true)
	if err != nil {
		return duration, fmt.Errorf("recover recording %s: %w", path, err)
	}
	return duration, nil
}

// finish makes a plain MP4 of a file of fragments and gives it its final name. If that is not possible for want of room the file
// gets its name as it is. With doubt the last fragments are looked into, since their writer or its machine died.
func finish(file *os.File, path string, doubt bool) (time.Duration, error) {
	r, err := scan(file, doubt)
	if err != nil {
		return 0, err
	}
	if !r.plain {
		if len(r.movie.chunks()) == 0 {
			if err := os.Remove(path + Unfinished); err != nil {
				return 0, errors.Join(ErrEmpty, err)
			}
			return 0, ErrEmpty
		}
		if err := r.index(file, path); err != nil {
			return r.length, errors.Join(fmt.Errorf("write index, so the file stays fragmented: %w", err), rename(path))
		}
	}
	return r.length, rename(path)
}

// rename gives the file its final name, which must be free.
func rename(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("rename recording to %s: %w", path, os.ErrExist)
	}
	if err := os.Rename(path+Unfinished, path); err != nil {
		return err
	}
	return syncFolder(path)
}

// recording is what scan reads back of a file.
type recording struct {
	movie  *movie
	plain  bool // it has its final index, which is not read
	length time.Duration
	end    int64 // of the last whole fragment
}

// scan reads the movie box and the heads of all fragments: for an hour 3,600 reads of 4 kB.
func scan(file *os.File, doubt bool) (*recording, error) {
	head, err := readAt(file, indexAt, 0)
	if err != nil {
		return nil, err
	}
	if len(head) < indexAt || string(head[:pointerAt]) != string(fileType) || string(head[36:40]) != "free" {
		return nil, ErrNotRecording
	}
	at := pointerAt + int64(binary.BigEndian.Uint32(head[pointerAt:]))
	if at != indexAt && at != slotsAt && at != slotsAt+slotSize {
		return nil, ErrNotRecording
	}
	if at == indexAt {
		length, err := readLength(file)
		return &recording{plain: true, length: length}, err
	}
	b, err := readAt(file, slotSize, at)
	if err != nil {
		return nil, fmt.Errorf("read movie box: %w", err)
	}
	kind, body, _, ok := nextBox(b)
	if !ok || kind != "moov" {
		return nil, ErrNotRecording
	}
	m, err := parseMovie(body)
	if err != nil {
		return nil, fmt.Errorf("read movie box: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	r := &recording{movie: m, end: mediaAt}
	if err := r.readFragments(file, info.Size(), doubt); err != nil {
		return nil, err
	}
	r.length = m.length()
	return r, nil
}

// readLength reads how long a finished movie is.
func readLength(file *os.File) (time.Duration, error) {
	b, err := readAt(file, 128, indexAt)
	if err != nil {
		return 0, fmt.Errorf("read movie box: %w", err)
	}
	if len(b) < 128 || string(b[4:8]) != "moov" {
		return 0, ErrNotRecording
	}
	kind, mvhd, _, ok := nextBox(b[8:])
	if !ok || kind != "mvhd" || len(mvhd) < 32 {
		return 0, ErrNotRecording
	}
	return inTime(binary.BigEndian.Uint64(mvhd[24:])), nil
}

func inTime(ticks uint64) time.Duration {
	return time.Duration(ticks/videoScale)*time.Second + time.Duration(ticks%videoScale)*time.Second/videoScale
}

// readFragments reads fragments until the end of the file or the first one that is not whole. With doubt it looks into
// those near the end.
func (r *recording) readFragments(file io.ReaderAt, size int64, doubt bool) error {
	buffer := make([]byte, 4096)
	for {
		n, err := file.ReadAt(buffer, r.end)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read fragment: %w", err)
		}
		kind, header, length, ok := boxHeader(buffer[:n])
		if !ok || kind != "moof" || header != 8 || length > maxHead {
			return nil
		}
		if need := int(length) + 8; need > n {
			if need <= len(buffer) {
				return nil // the file ends in it
			}
			buffer = make([]byte, need)
			continue
		}
		moof := buffer[8:length]
		kind, header, length, ok = boxHeader(buffer[length : length+8])
		data := r.end + int64(len(moof)) + 16
		if !ok || kind != "mdat" || header != 8 || data-8+int64(length) > size {
			return nil
		}
		f := fragmentAt{moof: moof, offset: uint64(r.end), data: uint64(data), size: length - 8}
		trafs, err := r.movie.parseFragment(f)
		if err != nil {
			return nil
		}
		next := data + int64(f.size)
		if doubt && next+unsynced > size {
			whole, err := wholePictures(file, trafs)
			if err != nil {
				return fmt.Errorf("read pictures: %w", err)
			}
			if !whole {
				return nil
			}
		}
		r.movie.addFragment(trafs)
		r.end = next
	}
}

// unsynced is how much at the end of a file may have been written and not synced: the size can be on the disk of a machine that lost
// its power, and the content not.
const unsynced = 3 * maxFragment

// wholePictures reports whether the pictures are NAL units behind lengths. A block that never came to the disk is zeros, which
// are none.
func wholePictures(file io.ReaderAt, trafs []traf) (bool, error) {
	for _, f := range trafs {
		if f.track.id != videoTrack {
			continue
		}
		data := make([]byte, f.chunk.bytes)
		if _, err := file.ReadAt(data, int64(f.chunk.offset)); err != nil {
			return false, err
		}
		for s := f.trun; len(s) > 0; s = s[12:] {
			size := binary.BigEndian.Uint32(s[4:])
			for b := data[:size]; len(b) > 0; {
				if len(b) < 5 {
					return false, nil
				}
				n := binary.BigEndian.Uint32(b)
				if n == 0 || uint64(n) > uint64(len(b)-4) || b[4]&31 == 0 {
					return false, nil
				}
				b = b[4+n:]
			}
			data = data[size:]
		}
	}
	return true, nil
}

// index makes a plain MP4 of the file: in its place, or by a copy that takes its place.
func (r *recording) index(file *os.File, path string) error {
	if err := file.Truncate(r.end); err != nil {
		return err
	}
	for _, t := range r.movie.tracks {
		if len(t.sizes) > 0 {
			t.endSample(uint32(t.next - t.last))
		}
	}
	chunks := r.movie.chunks()
	index := r.movie.append(nil, false)
	fits := indexAt+len(index)+16 <= slotsAt
	if fits && r.end >= smallFile {
		return r.indexInPlace(file, index)
	}
	// The index has the same size whatever the offsets are, so that it can be built twice.
	at := uint64(indexAt + len(index) + 16)
	for _, c := range chunks {
		c.to, at = at, at+uint64(c.bytes)
	}
	err := copyPlain(file, path, r.movie.append(nil, false), chunks)
	if err != nil && fits {
		return r.indexInPlace(file, index)
	}
	return err
}

// indexInPlace writes the index into the room for it, with the header of an mdat that has all the rest of the file in it, and
// then makes it count.
func (r *recording) indexInPlace(file *os.File, index boxes) error {
	index = appendDataHeader(index, uint64(r.end)-uint64(indexAt+len(index)))
	if _, err := file.WriteAt(index, indexAt); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := point(file, indexAt); err != nil {
		return err
	}
	return file.Sync()
}

// appendDataHeader appends the header of an mdat of any size.
func appendDataHeader(b boxes, size uint64) boxes {
	b.u32(1)
	b.text("mdat")
	b.u64(size)
	return b
}

// copyPlain writes the plain file beside and renames it over the fragmented one.
func copyPlain(file *os.File, path string, index boxes, chunks []*chunk) (err error) {
	out, err := os.OpenFile(path+copying, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			os.Remove(path + copying)
		}
	}()
	if err := letGroupRead(out); err != nil {
		return err
	}
	size := uint64(16)
	for _, c := range chunks {
		size += uint64(c.bytes)
	}
	head := append(boxes(nil), fileType...)
	free := head.open("free")
	head.close(free)
	head = append(head, index...)
	if _, err := out.Write(appendDataHeader(head, size)); err != nil {
		return err
	}
	for len(chunks) > 0 {
		// Both tracks of a fragment lie side by side. io.Copy uses copy_file_range, on NFS 4.2 without the data passing here.
		from, n := chunks[0].offset, uint64(0)
		for len(chunks) > 0 && chunks[0].offset == from+n {
			n += uint64(chunks[0].bytes)
			chunks = chunks[1:]
		}
		if _, err := file.Seek(int64(from), io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(out, file, int64(n)); err != nil {
			return err
		}
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return os.Rename(path+copying, path+Unfinished)
}
