package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Where things are in an open file.
const (
	pointerAt = 32      // the free box whose size leads to the movie box
	indexAt   = 40      // room for the final index
	mediaAt   = 8 << 20 // the first fragment; the index of four to six hours fits before it
	slotSize  = 32 << 10
	slotsAt   = mediaAt - 2*slotSize // the two places for a movie box
)

// fileType is the first box: 32 bytes, good for fragments (iso5) and for the finished file.
var fileType = []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso5avc1mp41")

// writer lays out the open file.
type writer struct {
	file     *os.File
	movie    *movie
	width    int
	height   int
	slot     int64 // of the movie box that counts
	end      int64 // of the last whole fragment
	sequence uint32
	unsynced int // fragments
	written  time.Time
	head     boxes
}

// create makes the file, with a movie box that knows the sound only.
func (w *writer) create(path string, o *Options) (err error) {
	w.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.file.Close()
			os.Remove(path)
		}
	}()
	if err = lock(w.file); err != nil {
		return err
	}
	if err = letGroupRead(w.file); err != nil {
		return err
	}
	w.movie, w.width, w.height, w.end = newMovie(time.Now()), o.Width, o.Height, mediaAt
	if o.AudioRate > 0 {
		w.movie.tracks = append(w.movie.tracks, newAudioTrack(o))
	}
	if _, err = w.file.WriteAt(fileType, 0); err != nil {
		return err
	}
	if err = w.writeMovie(); err != nil {
		return err
	}
	return syncFolder(path)
}

// writeMovie writes the movie box where the one that counts is not, and then makes it the one that counts.
func (w *writer) writeMovie() error {
	slot := int64(slotsAt)
	if w.slot == slot {
		slot += slotSize
	}
	b := w.movie.append(nil, true)
	filler := mediaAt - slot - int64(len(b))
	if filler < 8 || len(b) > slotSize-8 {
		return fmt.Errorf("movie box of %d bytes", len(b))
	}
	b.u32(uint32(filler))
	b.text("free")
	if _, err := w.file.WriteAt(b, slot); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(w.file.Fd())); err != nil {
		return err
	}
	if err := point(w.file, slot); err != nil {
		return err
	}
	w.slot = slot
	return nil
}

// point makes the movie box at an offset the one that counts.
func point(file *os.File, at int64) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(at-pointerAt))
	_, err := file.WriteAt(append(b, "free"...), pointerAt)
	return err
}

// fragment writes a fragment and returns its size. Its head comes last, so that a crash of the program in between leaves nothing
// that a reader could take for a fragment.
func (w *writer) fragment(c *fragment) (n int, err error) {
	if err := w.addEntries(c.entries); err != nil {
		return 0, err
	}
	audioScale := uint32(0)
	if t := w.movie.track(audioTrack); t != nil {
		audioScale = t.scale
	}
	w.sequence++
	w.head = c.appendHead(w.head[:0], w.sequence, audioScale)
	at := w.end + int64(len(w.head))
	_, err = w.file.WriteAt(c.video.data, at)
	if err == nil {
		_, err = w.file.WriteAt(c.audio.data, at+int64(len(c.video.data)))
	}
	if err == nil {
		_, err = w.file.WriteAt(w.head, w.end)
	}
	if err == nil {
		w.written = time.Now()
		if w.unsynced++; w.unsynced == 2 {
			err = w.sync()
		}
	}
	if err != nil {
		// What was whole before is to stay readable.
		return 0, errors.Join(err, w.file.Truncate(w.end))
	}
	n = len(w.head) + c.bytes()
	w.end += int64(n)
	return n, nil
}

func (w *writer) sync() error {
	w.unsynced = 0
	return unix.Fdatasync(int(w.file.Fd()))
}

// syncIdle syncs a fragment that no second one has followed.
func (w *writer) syncIdle(now time.Time) error {
	if w.unsynced == 0 || now.Sub(w.written) < idleTime {
		return nil
	}
	return w.sync()
}

// addEntries makes the movie box know the sample entries of pictures.
func (w *writer) addEntries(entries []*parameters) error {
	t := w.movie.track(videoTrack)
	if t == nil && len(entries) > 0 {
		t = &track{id: videoTrack, scale: videoScale, width: uint16(w.width), height: uint16(w.height)}
		if w.width == 0 || w.height == 0 {
			t.width, t.height = uint16(entries[0].width), uint16(entries[0].height)
		}
		w.movie.tracks = append([]*track{t}, w.movie.tracks...)
	}
	if t == nil || int(t.entryCount) >= len(entries) {
		return nil
	}
	for _, e := range entries[t.entryCount:] {
		t.entries = appendVideoEntry(t.entries, e)
		t.entryCount++
	}
	return w.writeMovie()
}

// lock keeps [Recover] off a file whose writer is alive. File servers without locks are taken as they are.
func lock(file *os.File) error {
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil, errors.Is(err, unix.ENOLCK), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrBusy
	default:
		return fmt.Errorf("lock: %w", err)
	}
}

// letGroupRead makes the mode 0640 whatever the process's umask is, since the uploader runs as another user. Servers that know no
// modes are taken as they are: it only adds a right.
func letGroupRead(file *os.File) error {
	err := file.Chmod(0o640)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// syncFolder makes a name in a folder survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// readAt reads n bytes, or fewer at the end of the file.
func readAt(file *os.File, n int, at int64) ([]byte, error) {
	b := make([]byte, n)
	n, err := file.ReadAt(b, at)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}
