package record

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Track numbers and what their ticks are. The movie counts in the ticks of video.
const (
	videoTrack = 1
	audioTrack = 2
	videoScale = 90000
)

// movie is the content of a movie box: of the open file, with nothing but sample entries, or with the final index.
type movie struct {
	created uint64 // seconds since 1904
	tracks  []*track
}

// track is one stream and the index of its samples. Times are in ticks of scale since the beginning of the recording.
type track struct {
	id            uint32
	scale         uint32
	width, height uint16
	entries       []byte // sample entries, the content of stsd
	entryCount    uint32

	first  int64 // time of the first sample
	next   int64 // end of the last sample as its fragment has it
	last   int64 // time of the last sample
	sizes  []uint32
	deltas []delta // between one sample and the next
	keys   []uint32
	chunks []chunk
}

type delta struct{ count, ticks uint32 }

// chunk is the samples of one fragment.
type chunk struct {
	offset  uint64 // in the file of fragments
	to      uint64 // in the finished file
	bytes   uint32
	samples uint32
	entry   uint32
}

// epoch1904 is 1970 in seconds since 1904.
const epoch1904 = 2082844800

func newMovie(now time.Time) *movie { return &movie{created: uint64(now.Unix() + epoch1904)} }

func (m *movie) track(id uint32) *track {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

func newAudioTrack(o *Options) *track {
	t := &track{id: audioTrack, scale: uint32(o.AudioRate), entryCount: 1}
	t.entries = appendAudioEntry(nil, o)
	return t
}

// appendAudioEntry appends an AAC sample entry (14496-12, 12.2.3; 14496-14, 5.6).
func appendAudioEntry(b boxes, o *Options) boxes {
	at := b.open("mp4a")
	b.zero(6)
	b.u16(1) // data reference
	b.zero(8)
	b.u16(uint16(o.AudioChannels))
	b.u16(16)
	b.zero(4)
	rate := uint32(o.AudioRate)
	if rate > 0xffff {
		rate = 0 // does not fit; the configuration says it
	}
	b.u32(rate << 16)
	esds := b.full("esds", 0, 0)
	// Descriptors of 14496-1, 7.2.6: each is tag, length, content, and all lengths are below 128.
	config := o.AudioConfig
	b.u8(3, byte(3+2+13+2+len(config)+3), 0, audioTrack, 0)
	b.u8(4, byte(13+2+len(config)), 0x40, 5<<2|1) // MPEG-4 audio, an audio stream
	b.zero(3)                                     // decoder buffer: unknown
	b.zero(8)                                     // maximum and mean bit rate: unknown
	b.u8(5, byte(len(config)))
	b.u8(config...)
	b.u8(6, 1, 2)
	b.close(esds)
	b.close(at)
	return b
}

// appendVideoEntry appends an H.264 sample entry (14496-15, 5.4.2).
func appendVideoEntry(b boxes, p *parameters) boxes {
	at := b.open("avc1")
	b.zero(6)
	b.u16(1)
	b.zero(16)
	b.u16(uint16(p.width))
	b.u16(uint16(p.height))
	b.u32(72 << 16)
	b.u32(72 << 16)
	b.u32(0)
	b.u16(1) // frames a sample
	b.zero(32)
	b.u16(24)
	b.u16(0xffff)
	avcC := b.open("avcC")
	b.u8(p.record...)
	b.close(avcC)
	b.close(at)
	return b
}

// ticks converts to the nearest.
func ticks(d time.Duration, scale uint32) int64 {
	whole, part := d/time.Second, d%time.Second
	return int64(whole)*int64(scale) + (int64(part)*int64(scale)+int64(time.Second)/2)/int64(time.Second)
}

// duration of the samples, without what lies before the first.
func (t *track) duration() int64 { return t.next - t.first }

// inMovie converts ticks of the track to ticks of the movie.
func (t *track) inMovie(v int64) uint64 { return uint64(v) * videoScale / uint64(t.scale) }

// append builds the movie box. With fragmented it announces fragments; the index is empty then. Tracks without samples are
// left out otherwise.
func (m *movie) append(b boxes, fragmented bool) boxes {
	moov := b.open("moov")
	at := b.full("mvhd", 1, 0)
	b.u64(m.created)
	b.u64(m.created)
	b.u32(videoScale)
	b.u64(m.ticks())
	b.u32(1 << 16) // speed
	b.u16(1 << 8)  // volume
	b.zero(10)
	b.matrix()
	b.zero(24)
	b.u32(audioTrack + 1) // next track
	b.close(at)
	if fragmented {
		at := b.open("mvex")
		for _, t := range m.tracks {
			trex := b.full("trex", 0, 0)
			b.u32(t.id)
			b.u32(1) // sample entry
			b.zero(12)
			b.close(trex)
		}
		b.close(at)
	}
	for _, t := range m.tracks {
		if fragmented || len(t.sizes) > 0 {
			t.append(&b, m.created)
		}
	}
	b.close(moov)
	return b
}

// ticks is how long the movie is.
func (m *movie) ticks() (v uint64) {
	for _, t := range m.tracks {
		if len(t.sizes) > 0 {
			v = max(v, t.inMovie(t.next))
		}
	}
	return v
}

func (m *movie) length() time.Duration { return inTime(m.ticks()) }

// chunks are those of all tracks in the order of the file.
func (m *movie) chunks() (list []*chunk) {
	for _, t := range m.tracks {
		for i := range t.chunks {
			list = append(list, &t.chunks[i])
		}
	}
	slices.SortFunc(list, func(a, b *chunk) int { return cmp.Compare(a.offset, b.offset) })
	return list
}

// matrix is the identity.
func (b *boxes) matrix() {
	for _, v := range [9]uint32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} {
		b.u32(v)
	}
}

func (t *track) append(b *boxes, created uint64) {
	trak := b.open("trak")
	var length uint64
	if len(t.sizes) > 0 {
		length = t.inMovie(t.next)
	}

	at := b.full("tkhd", 1, 3) // enabled, in the movie
	b.u64(created)
	b.u64(created)
	b.u32(t.id)
	b.zero(4)
	b.u64(length)
	b.zero(12)
	if t.id == audioTrack {
		b.u16(1 << 8) // volume
	} else {
		b.u16(0)
	}
	b.zero(2)
	b.matrix()
	b.u32(uint32(t.width) << 16)
	b.u32(uint32(t.height) << 16)
	b.close(at)

	if t.first > 0 && len(t.sizes) > 0 {
		// The track begins later than the movie: an empty edit keeps sound and picture together (14496-12, 8.6.6).
		edts := b.open("edts")
		elst := b.full("elst", 1, 0)
		b.u32(2)
		b.u64(t.inMovie(t.first))
		b.u64(^uint64(0))
		b.u32(1 << 16)
		b.u64(length - t.inMovie(t.first))
		b.u64(0)
		b.u32(1 << 16)
		b.close(elst)
		b.close(edts)
	}

	mdia := b.open("mdia")
	at = b.full("mdhd", 1, 0)
	b.u64(created)
	b.u64(created)
	b.u32(t.scale)
	b.u64(uint64(t.duration()))
	b.u16(0x55c4) // language "und"
	b.u16(0)
	b.close(at)
	handler, name, header := "vide", "video", "vmhd"
	if t.id == audioTrack {
		handler, name, header = "soun", "sound", "smhd"
	}
	at = b.full("hdlr", 0, 0)
	b.zero(4)
	b.text(handler)
	b.zero(12)
	b.text(name)
	b.u8(0)
	b.close(at)
	minf := b.open("minf")
	if header == "vmhd" {
		at = b.full(header, 0, 1)
		b.zero(8)
	} else {
		at = b.full(header, 0, 0)
		b.zero(4)
	}
	b.close(at)
	dinf := b.open("dinf")
	dref := b.full("dref", 0, 0)
	b.u32(1)
	at = b.full("url ", 0, 1) // in this file
	b.close(at)
	b.close(dref)
	b.close(dinf)
	t.appendTables(b)
	b.close(minf)
	b.close(mdia)
	b.close(trak)
}

// appendTables builds the sample table (14496-12, 8.5).
func (t *track) appendTables(b *boxes) {
	stbl := b.open("stbl")

	at := b.full("stsd", 0, 0)
	b.u32(t.entryCount)
	b.u8(t.entries...)
	b.close(at)

	at = b.full("stts", 0, 0)
	b.u32(uint32(len(t.deltas)))
	for _, d := range t.deltas {
		b.u32(d.count)
		b.u32(d.ticks)
	}
	b.close(at)

	at = b.full("stsc", 0, 0)
	count := len(*b)
	b.u32(0)
	runs := 0
	for i, c := range t.chunks {
		if i > 0 && c.samples == t.chunks[i-1].samples && c.entry == t.chunks[i-1].entry {
			continue
		}
		b.u32(uint32(i + 1))
		b.u32(c.samples)
		b.u32(c.entry)
		runs++
	}
	b.set(count, runs)
	b.close(at)

	at = b.full("stsz", 0, 0)
	b.u32(0)
	b.u32(uint32(len(t.sizes)))
	for _, size := range t.sizes {
		b.u32(size)
	}
	b.close(at)

	at = b.full("co64", 0, 0)
	b.u32(uint32(len(t.chunks)))
	for _, c := range t.chunks {
		b.u64(c.to)
	}
	b.close(at)

	if t.id == videoTrack && len(t.sizes) > 0 {
		at = b.full("stss", 0, 0)
		b.u32(uint32(len(t.keys)))
		for _, key := range t.keys {
			b.u32(key)
		}
		b.close(at)
	}
	b.close(stbl)
}

// maxSamples of a track in a file: 150 hours of 30 pictures a second.
const maxSamples = 1 << 24

// addSample adds a sample at a time after the last one's; ticks is how long its fragment says that it lasts, which counts only
// while it is the last one.
func (t *track) addSample(at int64, ticks, size uint32, key bool) {
	if len(t.sizes) == 0 {
		t.first = at
	} else {
		t.endSample(uint32(at - t.last))
	}
	t.sizes = append(t.sizes, size)
	if key {
		t.keys = append(t.keys, uint32(len(t.sizes)))
	}
	t.last, t.next = at, at+int64(ticks)
}

// endSample says how long the last sample lasts.
func (t *track) endSample(ticks uint32) {
	if n := len(t.deltas); n > 0 && t.deltas[n-1].ticks == ticks {
		t.deltas[n-1].count++
		return
	}
	t.deltas = append(t.deltas, delta{1, ticks})
}

// parseMovie reads back what append built for an open file.
func parseMovie(body []byte) (*movie, error) {
	mvhd, ok := child(body, "mvhd")
	if !ok || len(mvhd) < 12 || mvhd[0] != 1 {
		return nil, errors.New("no header")
	}
	m := &movie{created: binary.BigEndian.Uint64(mvhd[4:])}
	for b := body; len(b) > 0; {
		kind, content, rest, ok := nextBox(b)
		if !ok {
			return nil, errors.New("torn")
		}
		b = rest
		if kind != "trak" {
			continue
		}
		t, err := parseTrack(content)
		if err != nil {
			return nil, fmt.Errorf("read track: %w", err)
		}
		if m.track(t.id) != nil {
			return nil, fmt.Errorf("two tracks %d", t.id)
		}
		m.tracks = append(m.tracks, t)
	}
	return m, nil
}

func parseTrack(b []byte) (*track, error) {
	tkhd, ok1 := child(b, "tkhd")
	mdhd, ok2 := child(b, "mdia", "mdhd")
	stsd, ok3 := child(b, "mdia", "minf", "stbl", "stsd")
	if !ok1 || !ok2 || !ok3 || len(tkhd) < 96 || len(mdhd) < 24 || len(stsd) < 8 {
		return nil, errors.New("incomplete")
	}
	t := &track{
		id:         binary.BigEndian.Uint32(tkhd[20:]),
		width:      binary.BigEndian.Uint16(tkhd[88:]),
		height:     binary.BigEndian.Uint16(tkhd[92:]),
		scale:      binary.BigEndian.Uint32(mdhd[20:]),
		entryCount: binary.BigEndian.Uint32(stsd[4:]),
		entries:    stsd[8:],
	}
	if t.id != videoTrack && t.id != audioTrack || t.scale == 0 || t.scale > 1<<20 {
		return nil, fmt.Errorf("track %d with %d ticks a second is none of ours", t.id, t.scale)
	}
	return t, nil
}
