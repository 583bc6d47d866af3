package sdp

import (
	"cmp"
	"strconv"
)

const (
	// defaultBandwidth is that of Call settings.
	defaultBandwidth = 2_500_000
	// soundShare is what sound is given of a call (guide I.3: "we dedicate at least 64 kbps for audio").
	soundShare = 64_000
	// leastVideo is the lowest rate of a picture that is worth sending.
	leastVideo = 64_000
	// fullHD is the bandwidth of a call from which on it has 1080p30 (guide I.3).
	fullHD = 3_500_000
)

func (p *Policy) sendBandwidth() int    { return cmp.Or(p.SendBandwidth, defaultBandwidth) }
func (p *Policy) receiveBandwidth() int { return cmp.Or(p.ReceiveBandwidth, defaultBandwidth) }

// videoShare is what pictures have of a call's bandwidth, 0 when that is too little for any.
func (s *Session) videoShare(total int) int {
	if v := total - soundShare; v >= leastVideo {
		return v
	}
	return 0
}

// limited is the lower one of two limits, of which 0 is none.
func limited(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// sendTotal is what we may send in all.
func (s *Session) sendTotal(st *state) int { return limited(s.policy.sendBandwidth(), st.limit) }

// sendRate is what a picture may take. Main video has all that sound leaves, and half of it while a presentation is on; that has the other half,
// so that it is sent by the right rate from its first picture on.
func (s *Session) sendRate(st *state, l *line) int {
	share := max(s.videoShare(s.sendTotal(st)), leastVideo)
	if screen := st.find(screenRole); screen != nil && screen.way() != (way{}) && (l.role == screenRole || s.presenting) {
		share = max(share/2, leastVideo)
	}
	share = limited(share, l.limit)
	if len(l.list) > 0 && l.agreed {
		share = limited(share, l.list[0].bits)
	}
	return max(share, 32_000)
}

// receiveRate is what the far end may send of a picture. How it divides the whole is its own choice.
func (s *Session) receiveRate() int {
	return max(s.videoShare(s.policy.receiveBandwidth()), leastVideo)
}

// quality is a cap in full: what is not capped is decided by the bandwidth of the call.
func (s *Session) quality(r role, bandwidth int) Quality {
	q := s.policy.Main
	if r == screenRole {
		q = s.policy.Screen
	}
	usual := Quality{1280, 720, 30}
	if bandwidth >= fullHD {
		usual = Quality{1920, 1080, 30}
	}
	if q.Width <= 0 || q.Height <= 0 {
		q.Width, q.Height = usual.Width, usual.Height
	}
	if q.Rate <= 0 {
		q.Rate = usual.Rate
	}
	// The media engine makes no more.
	q.Width, q.Height, q.Rate = min(q.Width, 1920), min(q.Height, 1080), min(q.Rate, 30)
	return q
}

// packetTime is how long our packets of sound are: as the far end asks (a=ptime), at most as it takes (a=maxptime), of what the media engine
// makes.
func (s *Session) packetTime(m *media) int {
	number := func(name string) int {
		value, _ := m.get(name)
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return 0
		}
		return int(n)
	}
	want := s.ownPacketTime()
	if n := number("ptime"); n > 0 {
		want = n
	}
	if most := number("maxptime"); most > 0 {
		want = min(want, most)
	}
	for _, n := range []int{40, 20} {
		if want >= n {
			return n
		}
	}
	return 10
}

func (s *Session) ownPacketTime() int {
	switch s.policy.PacketTime {
	case 10, 20, 40:
		return s.policy.PacketTime
	}
	return 20
}
