package record

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loose is a file without a writer: what callers do, and what they leave.
func loose() *File {
	return &File{options: sound, current: new(fragment), pictures: pictures{waiting: true}, audio: audioClock{scale: 48000}, wake: make(chan struct{}, 1)}
}

// swallow is the writer of a loose file.
func (f *File) swallow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.queue {
		f.queued -= c.bytes()
		c.reset()
		f.free = append(f.free, c)
	}
	f.queue = f.queue[:0]
}

func TestADiskThatStandsStillCostsFragmentsAndNoMemory(t *testing.T) {
	f := loose()
	asked := 0
	f.options.KeyFrame = func() { asked++ }
	picture := annexB(testSPS, testPPS, slice(0x65, 100<<10))
	for i := range 400 {
		if err := f.Video(picture, time.Duration(i)*time.Second/clipRate, i%50 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if f.queued > maxQueue || f.queued < maxQueue-maxFragment {
		t.Errorf("%d bytes wait for the disk, want up to %d", f.queued, maxQueue)
	}
	if s := f.Stats(); s.Dropped == 0 || s.VideoFrames != 400 {
		t.Errorf("stats %+v, want some dropped of 400", s)
	}
	f.swallow()
	// What was given up was the beginning of something: pictures go on with a key frame.
	f.pictures.wait()
	p := annexB(testP)
	if err := f.Video(p, 20*time.Second, false); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("%d key frames asked for, want 1", asked)
	}
}

func TestSampleEntriesAreBounded(t *testing.T) {
	for _, filler := range []int{0, 1000} {
		f := loose()
		const count = 255
		for i := range count {
			at := time.Duration(2*i) * 10 * time.Millisecond
			pps := append([]byte{testPPS[0], byte(i + 1)}, bytes.Repeat([]byte{0x80}, filler+3)...)
			if err := f.Video(annexB(testSPS, pps, testIDR), at, true); err != nil {
				t.Fatal(err)
			}
			if err := f.Video(annexB(testP), at+10*time.Millisecond, false); err != nil {
				t.Fatal(err)
			}
		}
		kept := len(f.entries)
		if kept < 25 || kept == count {
			t.Errorf("%d sample entries of %d, want some", kept, count)
		}
		if s := f.Stats(); s.VideoFrames != uint64(2*kept) || s.Dropped != uint64(2*(count-kept)) {
			t.Errorf("stats %+v, want the pictures of %d dropped", s, count-kept)
		}
		w := writer{movie: newMovie(time.Unix(0, 0))}
		w.movie.tracks = append(w.movie.tracks, newAudioTrack(&Options{AudioRate: 48000, AudioChannels: 2, AudioConfig: make([]byte, 64)}))
		var err error
		if w.file, err = os.Create(filepath.Join(t.TempDir(), "a")); err != nil {
			t.Fatal(err)
		}
		if err := w.addEntries(f.entries); err != nil {
			t.Errorf("write a movie box with all of them: %v", err)
		}
		w.file.Close()
	}
}

func TestAFrameInAFileCostsNoAllocation(t *testing.T) {
	f := loose()
	at := time.Duration(0)
	key := annexB(testSPS, testPPS, slice(0x65, 30000))
	inter := annexB(slice(0x41, 5000))
	frame := slice(0x21, 170)
	second := func() {
		for i := range clipRate {
			unit := inter
			if i == 0 {
				unit = key
			}
			if err := f.Video(unit, at, i == 0); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := f.Audio(frame, at); err != nil {
					t.Fatal(err)
				}
			}
			at += time.Second / clipRate
		}
		f.swallow()
	}
	for range 5 {
		second()
	}
	if n := testing.AllocsPerRun(20, second); n != 0 {
		t.Errorf("%v allocations for a second of frames, want 0", n)
	}
}

// openPush is a push with a connection that nobody serves.
func openPush() *Push {
	p := &Push{state: Open, stream: 1, pictures: pictures{waiting: true}, wake: make(chan struct{}, 1)}
	p.options.Options = sound
	p.pending.chunks.size = outChunk
	return p
}

func TestAFrameInAPushCostsNoAllocation(t *testing.T) {
	p := openPush()
	key := annexB(testSPS, testPPS, slice(0x65, 80000))
	inter := annexB(slice(0x41, 5000))
	frame := slice(0x21, 170)
	at := time.Duration(0)
	// Nobody takes the chunks: the second half of the runs gives up what was before.
	second := func() {
		for i := range clipRate {
			unit := inter
			if i == 0 {
				unit = key
			}
			if err := p.Video(unit, at, i == 0); err != nil {
				t.Fatal(err)
			}
			if err := p.Audio(frame, at); err != nil {
				t.Fatal(err)
			}
			at += time.Second / clipRate
		}
	}
	for range 20 {
		second()
	}
	if n := testing.AllocsPerRun(20, second); n != 0 {
		t.Errorf("%v allocations for a second of frames, want 0", n)
	}
	if got := cap(p.pending.chunks.b); got > maxPending {
		t.Errorf("%d bytes gather, want at most %d", got, maxPending)
	}
}

// standIn is an RTMP server that takes every stream, made of the client's own parts.
type standIn struct {
	net.Conn
	in *chunkReader
}

func accept(t *testing.T, l net.Listener) *standIn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &standIn{conn, newChunkReader(conn)}
	s.in.limit = 1 << 24
	b := make([]byte, 1+handshakeSize)
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append(b, b[1:]...)); err != nil {
		t.Fatal(err)
	}
	if err := s.in.full(b[1:]); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := s.in.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.kind != msgCommand {
			continue
		}
		v, err := parseCommand(m.body)
		if err != nil {
			t.Fatal(err)
		}
		c := chunker{size: firstChunk}
		var b amf
		switch v[0].text {
		case "connect":
			c.control(msgWindow, 1000)
			c.control(msgBandwidth, 1000)
			b = command("_result", v[1].number)
			b.null()
			b.object("code", "NetConnection.Connect.Success")
		case "createStream":
			b = command("_result", v[1].number)
			b.null()
			b.number(5)
		case "publish":
			b = command("onStatus", 0)
			b.null()
			b.object("level", "status", "code", "NetStream.Publish.Start")
		default:
			continue
		}
		c.message(chunkCommand, msgCommand, 0, 0, b)
		if _, err := conn.Write(c.b); err != nil {
			t.Fatal(err)
		}
		if v[0].text == "publish" {
			return s
		}
	}
}

func TestASlowServerGetsWholeGroupsOfPictures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan struct{}, 1000)
	o := PushOptions{Options: sound}
	o.KeyFrame = func() { asked <- struct{}{} }
	p, s := dial(t, "rtmp://"+l.Addr().String()+"/live/key", o)
	server := accept(t, l)
	s.wait(t, 1, "open")
	// Pictures carry their number.
	picture := func(kind byte, number int) []byte {
		b := slice(kind, 20<<10)
		b[1] = byte(number) | 0x80
		return b
	}
	const count = 3000 // 60 MB
	for i := range count {
		at := time.Duration(i) * time.Second / 100
		unit := annexB(picture(0x41, i%128))
		if i%25 == 0 {
			unit = annexB(testSPS, testPPS, picture(0x65, i%128))
		}
		if err := p.Video(unit, at, i%25 == 0); err != nil {
			t.Fatal(err)
		}
	}
	p.mu.Lock()
	held := cap(p.pending.chunks.b) + cap(p.pending.lead) + cap(p.unit)
	p.mu.Unlock()
	if held += maxPending; held > 4<<20 {
		t.Errorf("%d bytes held with what is on its way, want at most %d", held, 4<<20)
	}
	dropped := p.Stats().Dropped
	if dropped == 0 {
		t.Error("nothing was dropped of 60 MB for a server that does not read")
	}
	read := make(chan int)
	go func() {
		defer close(read)
		pictures, next, sets := 0, -1, false
		for {
			m, err := server.in.next()
			if err != nil {
				break
			}
			if m.kind != msgVideo {
				continue
			}
			if m.body[1] == 0 {
				sets = true
				continue
			}
			number := int(m.body[len(flvKey)+4+1] & 0x7f)
			key := m.body[0] == flvKey[0]
			switch {
			case !sets:
				t.Error("a picture before its parameter sets")
			case !key && number != next:
				t.Errorf("picture %d follows on %d", number, next-1)
			}
			next = (number + 1) % 128
			pictures++
		}
		read <- pictures
	}()
	p.Close()
	got := <-read
	if want := count - int(dropped); got != want {
		t.Errorf("the server has %d pictures, want %d", got, want)
	}
}

// slice is a NAL unit of some kind and size.
func slice(kind byte, size int) []byte {
	b := bytes.Repeat([]byte{0x55}, size)
	b[0] = kind
	return b
}

func BenchmarkFile720p(b *testing.B) {
	c := encode(b, 1280, 720, 10)
	f, _ := create(b, sound)
	total := 0
	for _, u := range c.units {
		total += len(u.data)
	}
	b.ReportAllocs()
	before := processTime(b)
	i := 0
	for b.Loop() {
		u := c.units[i%len(c.units)]
		at := time.Duration(i) * time.Second / clipRate
		f.Video(u.data, at, u.key)
		f.Audio(c.frames[i%len(c.frames)], at)
		if i%clipRate == 0 {
			f.drain()
		}
		i++
	}
	b.StopTimer()
	used := processTime(b) - before
	b.SetBytes(int64(total / len(c.units)))
	b.ReportMetric(float64(used)/float64(i), "cpu-ns/frame")
}

func BenchmarkPush720p(b *testing.B) {
	c := encode(b, 1280, 720, 10)
	p := openPush()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		u := c.units[i%len(c.units)]
		at := time.Duration(i) * time.Second / clipRate
		p.Video(u.data, at, u.key)
		p.Audio(c.frames[i%len(c.frames)], at)
		i++
	}
}

// processTime is the CPU time of the process in ns, which the writer's work is part of.
func processTime(b *testing.B) int64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
