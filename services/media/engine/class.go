package engine

import (
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
)

// class is how a picture is made for one leg, from cheap to dear.
type class uint8

const (
	// forward: the packets of one source go on as they came.
	forward class = iota
	// slots: packets of several sources go on side by side; the far end draws the layout.
	slots
	// shared: one composed and encoded picture for all who watch the same.
	shared
	// personal: one made for this leg alone.
	personal
)

func (c class) String() string { return [...]string{"forward", "slots", "shared", "personal"}[c] }

// offered is what a source's picture is now.
type offered struct {
	codec         string
	width, height int
	// profile is profile-level-id of H.264; zero while unknown.
	profile [3]byte
	// bitrate over the last second.
	bitrate int
}

// forwardable tells the one source whose packets may go on untouched to a leg that would be shown this scene. The scene
// must be that source's picture and nothing else, and the far end must be able to take it as it is: its codec, no more
// pixels or bits than it said, and a profile that it decodes. A picture smaller than what may be sent goes on as well; the far
// end scales it with less loss than a second encode would make.
func forwardable(scene *layout.Scene, v *control.Video, of func(source uint32) (offered, bool)) (source uint32, ok bool) {
	if scene.Still != layout.Meeting || scene.Message != "" || scene.Counter != 0 || scene.Recording || scene.Streaming {
		return 0, false
	}
	for i := range scene.Panes {
		p := &scene.Panes[i]
		if p.Source == 0 {
			continue
		}
		if source != 0 || p.CameraOff || p.Label && p.Name != "" || p.Muted || p.Speaking || p.Rect.W != scene.Width || p.Rect.H != scene.Height {
			return 0, false
		}
		source = p.Source
	}
	if source == 0 {
		return 0, false
	}
	o, known := of(source)
	if !known || !takes(v, o) {
		return 0, false
	}
	return source, true
}

// suitsLink tells whether a picture of so many bits a second may be forwarded over a link. One that is forwarded stays so until
// the link carries less; one that is not has to fit with a quarter to spare.
func suitsLink(bitrate, link int, forwarded bool) bool {
	if forwarded {
		return bitrate <= link
	}
	return bitrate+bitrate/4 <= link
}

// chooseAfter is the least time between two changes from forwarding to composing and back.
const chooseAfter = 5 * time.Second

// takes tells whether the far end of a stream can take a picture as it is.
func takes(v *control.Video, o offered) bool {
	width, height, _ := limits(v)
	if o.codec != v.Send.Codec || o.width == 0 || o.width > width || o.height > height {
		return false
	}
	if limit := sendLimit(v); o.bitrate > limit+limit/4 {
		return false
	}
	return o.codec != control.H264 || decodes(v.Send.ProfileLevel, o.profile)
}

// decodes tells whether a decoder of the wanted profile-level-id takes a stream of another one (RFC 6184, 8.2.2). Levels are
// not compared: sizes and bit rates are, and endpoints announce lower levels than they decode.
func decodes(wanted string, have [3]byte) bool {
	rank := func(profile byte) int {
		switch profile {
		case 66:
			return 0
		case 77, 88:
			return 1
		case 100:
			return 2
		}
		return 3
	}
	profile := byte(66)
	if p, ok := parseProfile(wanted); ok {
		profile = p[0]
	}
	if have == ([3]byte{}) {
		return false
	}
	// A Main stream with constraint_set0 is Baseline too.
	return rank(have[0]) <= rank(profile) || have[0] == 77 && have[1]&0x80 != 0
}

// limits are the largest picture to send and its frames a second.
func limits(v *control.Video) (width, height, rate int) {
	width, height, rate = v.MaxWidth, v.MaxHeight, v.MaxRate
	if width == 0 || height == 0 {
		width, height = 1280, 720
	}
	if rate == 0 {
		rate = 30
	}
	if f := v.Send.MaxFrameSize; f > 0 {
		// max-fs counts macroblocks of 16 × 16.
		for width > 320 && (width+15)/16*((height+15)/16) > f {
			width, height = smaller(width, height)
		}
	}
	if m := v.Send.MaxMacroblockRate; m > 0 {
		blocks := (width + 15) / 16 * ((height + 15) / 16)
		rate = max(1, min(rate, m/blocks))
	}
	return width &^ 1, height &^ 1, rate
}

// sizes that a canvas steps down through, all 16:9 and even.
var sizes = [][2]int{{1920, 1080}, {1280, 720}, {848, 480}, {640, 360}, {424, 240}, {320, 180}}

func smaller(width, height int) (int, int) {
	for _, s := range sizes {
		if s[0] < width {
			return s[0], s[1]
		}
	}
	return sizes[len(sizes)-1][0], sizes[len(sizes)-1][1]
}

const defaultBitrate = 2_000_000

func sendLimit(v *control.Video) int {
	if v.SendBitrate > 0 {
		return v.SendBitrate
	}
	return defaultBitrate
}

func receiveLimit(v *control.Video) int {
	if v.ReceiveBitrate > 0 {
		return v.ReceiveBitrate
	}
	return defaultBitrate
}

func parseProfile(s string) (p [3]byte, ok bool) {
	if len(s) != 6 {
		return p, false
	}
	for i := range p {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi > 15 || lo > 15 {
			return p, false
		}
		p[i] = hi<<4 | lo
	}
	return p, true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
