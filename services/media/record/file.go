package record

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Unfinished is what the name of a file that is not finished ends in.
const Unfinished = ".recording"

// ErrEmpty says that nothing was recorded, and that there is no file therefore.
var ErrEmpty = errors.New("nothing was recorded")

// ErrBusy says that the file's writer is alive.
var ErrBusy = errors.New("file is being written")

const (
	// fragmentTime is how much a fragment holds. Each second one is synced, so that a power cut costs at most two of them.
	fragmentTime = time.Second
	// idleTime is when a fragment is written although nothing came that would be in the next one.
	idleTime = 1500 * time.Millisecond
	// maxFragment bounds a fragment: a second of 32 Mbit/s.
	maxFragment = 4 << 20
	// maxQueue bounds what waits for a disk that does not take it: 30 s of 720p.
	maxQueue = 8 << 20
	// maxEntries bounds the sample entries of the pictures to what the room for a movie box leaves: some 200 of 150 bytes. A
	// conference's picture changes its size a few times.
	maxEntries = slotSize - 2048
)

// File is an MP4 file that is being written. All methods may be called at the same time; none waits for the disk but Close.
type File struct {
	path    string
	options Options

	mu         sync.Mutex
	pictures   pictures
	current    *fragment
	queue      []*fragment // to be written
	queued     int         // bytes in it
	free       []*fragment
	entries    []*parameters // of the pictures
	entryBytes int
	base       time.Duration // timestamp that is zero in the file
	hasBase    bool
	video      videoClock
	audio      audioClock
	stats      Stats
	closed     bool
	err        error // of the writer

	wake chan struct{}
	done chan struct{}
	out  writer // of the goroutine

	close    sync.Once
	closeErr error
}

// Create begins a recording. Until it is closed the file is named path + [Unfinished]; neither of the names may exist.
func Create(path string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create recording %s: %w", path, os.ErrExist)
	}
	f := &File{
		path: path, options: o, current: new(fragment), pictures: pictures{waiting: true},
		audio: audioClock{scale: uint32(o.AudioRate)},
		wake:  make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := f.out.create(path+Unfinished, &f.options); err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	go f.write()
	return f, nil
}

// Video adds an access unit in Annex B form. Pictures have no reordering: timestamps, of the clock that Audio has, are those of
// decoding and of showing. What comes before the first key frame is dropped. An error is final, and says why the
// recording ended.
func (f *File) Video(unit []byte, timestamp time.Duration, key bool) error {
	f.mu.Lock()
	err := f.addVideo(unit, timestamp, key)
	ask := err == nil && f.pictures.wantKey(timestamp)
	f.mu.Unlock()
	if ask && f.options.KeyFrame != nil {
		f.options.KeyFrame()
	}
	return err
}

// Audio adds a frame of AAC-LC without a header. The timestamp is that of the first sample which a decoder makes of it: for an encoder
// with delay (1024 samples for most) that of its input less the delay.
func (f *File) Audio(frame []byte, timestamp time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.state(); err != nil {
		return err
	}
	if f.options.AudioRate == 0 || len(frame) == 0 || len(frame) > maxAudio {
		return fmt.Errorf("audio frame of %d bytes for %d Hz", len(frame), f.options.AudioRate)
	}
	at, ok := f.audio.place(timestamp)
	if !ok || f.hasBase && timestamp < f.base {
		f.stats.Dropped++
		return nil
	}
	f.cutBefore(timestamp, len(frame))
	f.current.note(timestamp)
	r := &f.current.audio
	r.data = append(r.data, frame...)
	r.samples = append(r.samples, sample{at: at, size: uint32(len(frame)), key: true})
	f.stats.AudioFrames++
	return nil
}

// maxAudio bounds an AAC frame: 6144 bits a channel, and some for what is no sound.
const maxAudio = 4096

// Stats returns the figures so far.
func (f *File) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// Close writes what is left and finishes the file. If the disk had an error, that error is returned, and the file holds what came
// before it; if the disk has no room for the index, the file stays fragmented, which players read as well.
func (f *File) Close() error {
	f.close.Do(func() {
		f.mu.Lock()
		f.closed = true
		if !f.current.empty() {
			f.enqueue()
		}
		f.mu.Unlock()
		f.signal()
		<-f.done
		defer f.out.file.Close()
		_, err := finish(f.out.file, f.path, false)
		f.closeErr = errors.Join(f.err, err)
	})
	return f.closeErr
}

func (f *File) state() error {
	if f.closed {
		return os.ErrClosed
	}
	return f.err
}

func (f *File) addVideo(unit []byte, timestamp time.Duration, key bool) error {
	if err := f.state(); err != nil {
		return err
	}
	if f.hasBase && timestamp < f.base {
		f.stats.Dropped++
		return nil
	}
	f.cutBefore(timestamp, len(unit))
	had := len(f.current.video.data)
	data, key := f.pictures.add(f.current.video.data, unit, key)
	if len(data) == had {
		f.stats.Dropped++
		return nil
	}
	entry := f.current.entry
	if key || entry == 0 {
		if entry = f.entry(f.pictures.current); entry == 0 {
			f.pictures.wait()
			f.stats.Dropped++
			return nil
		}
	}
	if len(f.current.video.samples) > 0 && f.current.entry != entry {
		// A fragment has one sample entry.
		tail := data[had:]
		f.enqueue()
		data = append(f.current.video.data, tail...)
		had = 0
	}
	f.current.note(timestamp)
	f.current.entry, f.current.entries = entry, f.entries
	r := &f.current.video
	r.data = data
	r.samples = append(r.samples, sample{at: f.video.place(timestamp), size: uint32(len(data) - had), key: key})
	f.stats.VideoFrames++
	return nil
}

// entry returns the number of a sample entry, a new one if there is none like it; 0 if there is no more room.
func (f *File) entry(p *parameters) int {
	for i, e := range f.entries {
		if e == p || string(e.record) == string(p.record) {
			return i + 1
		}
	}
	size := len(appendVideoEntry(nil, p))
	if f.entryBytes+size > maxEntries {
		return 0
	}
	f.entryBytes += size
	f.entries = append(f.entries, p)
	return len(f.entries)
}

// cutBefore ends the fragment if a sample of that time and size belongs into the next one, and begins one with it.
func (f *File) cutBefore(timestamp time.Duration, size int) {
	if !f.current.empty() && (timestamp-f.current.begin >= fragmentTime || f.current.bytes()+size > maxFragment/2) {
		f.enqueue()
	}
}

// enqueue hands the fragment to the writer and begins another one.
func (f *File) enqueue() {
	c := f.current
	if !f.hasBase {
		f.base, f.hasBase = c.earliest, true
	}
	c.base = f.base
	if f.queued+c.bytes() > maxQueue {
		f.stats.Dropped += uint64(len(c.video.samples) + len(c.audio.samples))
		f.pictures.wait()
		c.reset()
		return
	}
	f.queue = append(f.queue, c)
	f.queued += c.bytes()
	f.current = nil
	if n := len(f.free); n > 0 {
		f.current, f.free = f.free[n-1], f.free[:n-1]
	} else {
		f.current = new(fragment)
	}
	f.signal()
}

func (f *File) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that owns the disk.
func (f *File) write() {
	defer close(f.done)
	tick := time.NewTicker(idleTime / 3)
	defer tick.Stop()
	for {
		f.mu.Lock()
		closed := f.closed
		var c *fragment
		if len(f.queue) > 0 {
			c = f.queue[0]
			f.queue = append(f.queue[:0], f.queue[1:]...)
		}
		f.mu.Unlock()
		switch {
		case c != nil:
			f.writeOne(c)
			continue
		case closed:
			return
		}
		select {
		case <-f.wake:
		case now := <-tick.C:
			f.cutIdle(now)
			if f.err == nil {
				f.fail(f.out.syncIdle(now))
			}
		}
	}
}

// fail ends the recording if there is an error.
func (f *File) fail(err error) {
	if err != nil {
		f.mu.Lock()
		f.err = fmt.Errorf("sync recording: %w", err)
		f.mu.Unlock()
	}
}

func (f *File) writeOne(c *fragment) {
	n, err := 0, f.err // only this goroutine writes f.err
	if err == nil {
		if n, err = f.out.fragment(c); err != nil {
			err = fmt.Errorf("write recording after %v: %w", (c.begin - f.base).Round(time.Millisecond), err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.stats.Bytes += uint64(n)
	f.queued -= c.bytes()
	c.reset()
	f.free = append(f.free, c)
}

// cutIdle ends a fragment that has waited for the next sample for too long.
func (f *File) cutIdle(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.current.empty() && now.Sub(f.current.since) >= idleTime {
		f.enqueue()
	}
}

// videoClock makes timestamps grow.
type videoClock struct {
	last int64
	any  bool
}

func (c *videoClock) place(d time.Duration) int64 {
	at := ticks(d, videoScale)
	if c.any && at <= c.last {
		at = c.last + 1
	}
	c.last, c.any = at, true
	return at
}

// audioClock lays frames one behind the other, since players click where 1024 samples do not last 1024 ticks. It follows the
// timestamps when they differ from that by more than half a frame for a gap, or by a whole one for too many frames.
type audioClock struct {
	scale uint32
	next  int64
	any   bool
}

func (c *audioClock) place(d time.Duration) (at int64, ok bool) {
	at = ticks(d, c.scale)
	if c.any {
		switch ahead := at - c.next; {
		case ahead <= -frameSamples:
			return 0, false
		case ahead <= frameSamples/2:
			at = c.next
		}
	}
	c.next, c.any = at+frameSamples, true
	return at, true
}
