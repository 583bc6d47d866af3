package sdp

import (
	"encoding/hex"
	"fmt"
	"strings"

	"rotunda/services/media/control"
)

// levels of H.264 (table A-1): macroblocks a second and a frame, and kilobits a second.
var levels = []struct {
	idc           uint8
	mbps, fs, bps int
}{
	{10, 1485, 99, 64}, {11, 3000, 396, 192}, {12, 6000, 396, 384}, {13, 11880, 396, 768}, {20, 11880, 396, 2000}, {21, 19800, 792, 4000},
	{22, 20250, 1620, 4000}, {30, 40500, 1620, 10000}, {31, 108000, 3600, 14000}, {32, 216000, 5120, 20000}, {40, 245760, 8192, 20000},
	{41, 245760, 8192, 50000}, {42, 522240, 8704, 50000}, {50, 589824, 22080, 135000}, {51, 983040, 36864, 240000}, {52, 2073600, 36864, 240000},
}

// blocks are the macroblocks of a picture.
func blocks(q Quality) int { return (q.Width + 15) / 16 * ((q.Height + 15) / 16) }

// levelOf is the highest level that stays within a quality, and what has to be said beside it (max-fs, max-mbps) so that the quality is had in
// full; 0 where the level says it. Levels are round figures: one that is a hundredth above still counts as within.
func levelOf(q Quality, most uint8) (idc uint8, fs, mbps int) {
	wantFS := blocks(q)
	wantMBPS := wantFS * q.Rate
	l := levels[0]
	for _, o := range levels[1:] {
		if o.idc <= 40 && o.fs*100 <= wantFS*101 && o.mbps*100 <= wantMBPS*101 && (most == 0 || o.idc <= most) {
			l = o
		}
	}
	if wantFS > l.fs {
		fs = wantFS
	}
	if wantMBPS > l.mbps {
		mbps = wantMBPS
	}
	return l.idc, fs, mbps
}

// defaultProfile stands for a profile-level-id that is not there. RFC 6184 says Baseline at level 1; whoever leaves it out means this.
var defaultProfile = [3]byte{0x42, 0xe0, 31}

// parseH264 reads the fmtp of an H.264 payload type. False for a profile that is not decoded here (Extended, High 10, 4:2:2 …) and for
// interleaved packets.
func parseH264(p *mapping) (f format, ok bool) {
	profile := defaultProfile
	if id := p.fmtp["profile-level-id"]; id != "" {
		b, err := hex.DecodeString(id)
		if err != nil || len(b) != 3 {
			return f, false
		}
		profile = [3]byte(b)
	}
	switch profile[0] {
	case 66, 77, 100:
	default:
		return f, false
	}
	mode := p.number("packetization-mode")
	if mode > 1 {
		return f, false
	}
	level := levels[0]
	for _, l := range levels {
		if l.idc <= profile[2] {
			level = l
		}
	}
	if profile[2] == 11 && profile[1]&0x10 != 0 && profile[0] != 100 {
		level = levels[0] // 1b: level 1 with twice the rate
		level.bps = 128
	}
	f = format{codec: control.H264, encoding: "H264/90000", clock: 90000, pt: p.payload, sendPT: p.payload, mode: mode,
		profile: [2]byte(profile[:2]), key: h264Key([2]byte(profile[:2]), mode)}
	f.their = control.Format{PayloadType: p.payload, Codec: control.H264, PacketizationMode: mode, ProfileLevel: hex.EncodeToString(profile[:]),
		MaxFrameSize: max(level.fs, p.number("max-fs")), MaxMacroblockRate: max(level.mbps, p.number("max-mbps"))}
	f.bits = max(level.bps, min(p.number("max-br"), 1<<20)) * 1000
	f.fps = p.number("max-fps")
	if p.fmtp["level-asymmetry-allowed"] != "1" {
		f.maxLevel = max(profile[2], 10)
	}
	return f, true
}

// h264Key tells formats apart that cannot stand for each other (RFC 6184, 8.2.2): the profile with its constraints, and the mode.
func h264Key(profile [2]byte, mode int) string {
	class := "baseline"
	switch {
	case profile[0] == 66 && profile[1]&0x40 != 0, profile[0] == 77 && profile[1]&0x80 != 0:
		class = "constrained-baseline"
	case profile[0] == 77:
		class = "main"
	case profile[0] == 100 && profile[1]&0x0c == 0x0c:
		class = "constrained-high"
	case profile[0] == 100:
		class = "high"
	}
	return fmt.Sprintf("H264/%s/%d", class, mode)
}

// h264Fmtp is what we say of an H.264 payload type.
func h264Fmtp(f *format, q Quality, bits int) string {
	level, fs, mbps := levelOf(q, f.maxLevel)
	var b strings.Builder
	fmt.Fprintf(&b, "profile-level-id=%02x%02x%02x;packetization-mode=%d", f.profile[0], f.profile[1], level, f.mode)
	if f.maxLevel == 0 {
		b.WriteString(";level-asymmetry-allowed=1")
	}
	if fs > 0 {
		fmt.Fprintf(&b, ";max-fs=%d", fs)
	}
	if mbps > 0 {
		fmt.Fprintf(&b, ";max-mbps=%d", mbps)
	}
	// max-br may only raise what the level says (RFC 6184, 8.1).
	for _, l := range levels {
		if l.idc == level && bits/1000 > l.bps {
			fmt.Fprintf(&b, ";max-br=%d", bits/1000)
		}
	}
	return b.String()
}
