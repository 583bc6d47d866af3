package main

import (
	"sync"
	"time"

	"rotunda/services/media/rtp"
)

// marks are flashes and beeps as they come, with the sender reports that relate their clocks.
type marks struct {
	mu             sync.Mutex
	reports        map[uint32]rtp.SenderInfo
	flashes, beeps []onset
	white, loud    bool
	sound          uint32 // SSRC
	// skews by sender reports and by arrival in ms, positive when the picture is later.
	skews, arrivals []float64
}

// onset is where a flash or a beep begins.
type onset struct {
	stamp uint32
	at    time.Time
}

func newMarks() *marks { return &marks{reports: map[uint32]rtp.SenderInfo{}} }

// report takes a sender report of either stream.
func (m *marks) report(ssrc uint32, info rtp.SenderInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports[ssrc] = info
}

// see takes the brightness of the tile that flashes.
func (m *marks) see(luma byte, stamp uint32, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if luma > 128 && !m.white {
		m.flashes = append(m.flashes, onset{stamp, at})
	}
	m.white = luma > 128
}

// hear takes the sound of one packet. A beep begins within it, so much later than its first sample.
func (m *marks) hear(pcm []int16, ssrc, stamp uint32, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sound = ssrc
	loud := false
	for i, v := range pcm {
		if v > -beepLevel && v < beepLevel {
			continue
		}
		if !m.loud && !loud {
			m.beeps = append(m.beeps, onset{stamp + uint32(i), at.Add(time.Duration(i) * time.Second / voiceRate)})
		}
		loud = true
	}
	m.loud = loud
}

// match pairs each flash with the beep next to it.
func (m *marks) match() {
	m.mu.Lock()
	defer m.mu.Unlock()
	sound, soundKnown := m.reports[m.sound]
	var picture rtp.SenderInfo
	pictureKnown := false
	for ssrc, info := range m.reports {
		if ssrc != m.sound {
			picture, pictureKnown = info, true
		}
	}
	if !soundKnown || !pictureKnown {
		return
	}
	for _, f := range m.flashes {
		for _, b := range m.beeps {
			apart := f.at.Sub(b.at)
			if apart.Abs() > 400*time.Millisecond {
				continue
			}
			m.arrivals = append(m.arrivals, float64(apart)/1e6)
			m.skews = append(m.skews, float64(played(picture, f.stamp, 90000).Sub(played(sound, b.stamp, voiceRate)))/1e6)
		}
	}
}

// played is when a receiver that obeys reports takes a time stamp to have been captured.
func played(info rtp.SenderInfo, stamp uint32, clock int) time.Time {
	return rtp.FromNTP(info.NTP).Add(time.Duration(int32(stamp-info.RTP)) * time.Second / time.Duration(clock))
}
