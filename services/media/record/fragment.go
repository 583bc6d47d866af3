package record

import (
	"encoding/binary"
	"errors"
	"time"
)

// fragment is what is written at one time: at most a second of both tracks.
type fragment struct {
	begin    time.Duration // timestamp of the sample that came first
	earliest time.Duration // of all; sound and pictures do not come in the order of their timestamps
	since    time.Time     // when the first came
	base     time.Duration // timestamp that is zero in the file
	// entry is the sample entry of the pictures, from 1; entries are those that the file needs to have.
	entry        int
	entries      []*parameters
	video, audio run
}

// run is the samples of one track in a fragment.
type run struct {
	data    []byte
	samples []sample
}

type sample struct {
	at   int64 // in ticks of the track, by the caller's clock
	size uint32
	key  bool
}

func (f *fragment) empty() bool { return len(f.video.samples) == 0 && len(f.audio.samples) == 0 }
func (f *fragment) bytes() int  { return len(f.video.data) + len(f.audio.data) }

// note sees the timestamp of a sample that is about to be added.
func (f *fragment) note(timestamp time.Duration) {
	if f.empty() {
		f.begin, f.earliest, f.since = timestamp, timestamp, time.Now()
	}
	f.earliest = min(f.earliest, timestamp)
}

func (f *fragment) reset() {
	f.entry, f.entries = 0, nil
	for _, r := range []*run{&f.video, &f.audio} {
		r.data, r.samples = r.data[:0], r.samples[:0]
	}
}

// Flags of fragment boxes (14496-12, 8.8.7 and 8.8.8): what ours have, no more and no less, so that reading them back needs
// no defaults.
const (
	tfhdFlags   = 0x020000 | 0x02              // offsets count from the moof; sample entry
	trunFlags   = 0x01 | 0x100 | 0x200 | 0x400 // data offset; duration, size and flags of each sample
	flagsKey    = 0x02000000                   // depends on no other
	flagsNotKey = 0x01000000 | 0x00010000      // depends on others, not a sync sample
)

// appendHead builds the moof and the header of the mdat that is followed by the runs' data.
func (f *fragment) appendHead(b boxes, sequence uint32, audioScale uint32) boxes {
	moof := b.open("moof")
	at := b.full("mfhd", 0, 0)
	b.u32(sequence)
	b.close(at)
	var offsets [2]int
	if len(f.video.samples) > 0 {
		offsets[0] = f.video.appendTraf(&b, videoTrack, uint32(f.entry), ticks(f.base, videoScale), videoScale/30)
	}
	if len(f.audio.samples) > 0 {
		offsets[1] = f.audio.appendTraf(&b, audioTrack, 1, ticks(f.base, audioScale), frameSamples)
	}
	b.close(moof)
	data := len(b) + 8 - moof
	if offsets[0] > 0 {
		b.set(offsets[0], data)
	}
	if offsets[1] > 0 {
		b.set(offsets[1], data+len(f.video.data))
	}
	b.u32(uint32(8 + f.bytes()))
	b.text("mdat")
	return b
}

// appendTraf returns where the data offset is to be put. The last sample is said to last as long as the one before it, or
// usual: how long it does is known when the next fragment says its time.
func (r *run) appendTraf(b *boxes, id, entry uint32, base int64, usual uint32) (offset int) {
	traf := b.open("traf")
	at := b.full("tfhd", 0, tfhdFlags)
	b.u32(id)
	b.u32(entry)
	b.close(at)
	at = b.full("tfdt", 1, 0)
	b.u64(uint64(r.samples[0].at - base))
	b.close(at)
	at = b.full("trun", 0, trunFlags)
	b.u32(uint32(len(r.samples)))
	offset = len(*b)
	b.u32(0)
	for i, s := range r.samples {
		if i+1 < len(r.samples) {
			usual = uint32(r.samples[i+1].at - s.at)
		}
		b.u32(usual)
		b.u32(s.size)
		if s.key {
			b.u32(flagsKey)
		} else {
			b.u32(flagsNotKey)
		}
	}
	b.close(at)
	b.close(traf)
	return offset
}

var errFragment = errors.New("malformed fragment")

// traf is the samples of one track as a moof has them.
type traf struct {
	track *track
	at    uint64
	trun  []byte // three 32-bit numbers a sample: duration, size, flags
	chunk chunk
}

// fragmentAt is a moof in a file, and where its mdat's content is.
type fragmentAt struct {
	moof               []byte
	offset, data, size uint64
}

// parseFragment checks that a fragment is one that can follow those of the index, and that its samples lie in it.
func (m *movie) parseFragment(f fragmentAt) (trafs []traf, err error) {
	for b := f.moof; len(b) > 0; {
		kind, body, rest, ok := nextBox(b)
		if !ok {
			return nil, errFragment
		}
		b = rest
		if kind != "traf" {
			continue
		}
		t, err := m.parseTraf(body, f.offset)
		if err != nil {
			return nil, err
		}
		if t.chunk.offset < f.data || t.chunk.offset+uint64(t.chunk.bytes) > f.data+f.size ||
			len(trafs) > 0 && trafs[len(trafs)-1].track.id >= t.track.id {
			return nil, errFragment
		}
		trafs = append(trafs, t)
	}
	return trafs, nil
}

// addFragment adds a checked fragment to the index.
func (m *movie) addFragment(trafs []traf) {
	for _, f := range trafs {
		at := f.at
		for s := f.trun; len(s) > 0; s = s[12:] {
			ticks := binary.BigEndian.Uint32(s)
			f.track.addSample(int64(at), ticks, binary.BigEndian.Uint32(s[4:]), binary.BigEndian.Uint32(s[8:]) == flagsKey)
			at += uint64(ticks)
		}
		f.chunk.to = f.chunk.offset
		f.track.chunks = append(f.track.chunks, f.chunk)
	}
}

func (m *movie) parseTraf(b []byte, offset uint64) (f traf, err error) {
	tfhd, ok1 := child(b, "tfhd")
	tfdt, ok2 := child(b, "tfdt")
	trun, ok3 := child(b, "trun")
	if !ok1 || !ok2 || !ok3 || len(tfhd) != 12 || len(tfdt) != 12 || len(trun) < 12 ||
		binary.BigEndian.Uint32(tfhd) != tfhdFlags || tfdt[0] != 1 || binary.BigEndian.Uint32(trun) != trunFlags {
		return f, errFragment
	}
	count := binary.BigEndian.Uint32(trun[4:])
	f = traf{
		track: m.track(binary.BigEndian.Uint32(tfhd[4:])),
		at:    binary.BigEndian.Uint64(tfdt[4:]),
		trun:  trun[12:],
		chunk: chunk{
			offset:  offset + uint64(binary.BigEndian.Uint32(trun[8:])),
			samples: count,
			entry:   binary.BigEndian.Uint32(tfhd[8:]),
		},
	}
	t := f.track
	if t == nil || f.chunk.entry == 0 || f.chunk.entry > t.entryCount || f.at > 1<<48 ||
		count == 0 || uint64(len(f.trun)) != 12*uint64(count) || len(t.sizes)+int(count) > maxSamples ||
		len(t.sizes) > 0 && (int64(f.at) <= t.last || int64(f.at)-t.last > maxDelta) {
		return f, errFragment
	}
	var total uint64
	for s := f.trun; len(s) > 0; s = s[12:] {
		ticks := binary.BigEndian.Uint32(s)
		if ticks == 0 || ticks > maxDelta {
			return f, errFragment
		}
		total += uint64(binary.BigEndian.Uint32(s[4:]))
	}
	if total > maxFragment {
		return f, errFragment
	}
	f.chunk.bytes = uint32(total)
	return f, nil
}

// maxDelta is the longest time between two samples, six hours of video.
const maxDelta = 1 << 31
