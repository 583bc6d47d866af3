package sdp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/media/control"
)

// Payload types of our offers, where nothing speaks against them.
const (
	opusType    = 96
	h264Type    = 97
	h264OldType = 98
	keysType    = 101
	keysWide    = 102
	highType    = 103
	vp8Type     = 104
	h224Type    = 107
)

// most formats of a stream that the media engine takes, one less than its limit.
const mostFormats = 15

var (
	audioCodecs = []string{control.Opus, control.G722, control.PCMA, control.PCMU}
	videoCodecs = []string{control.H264, control.VP8}
)

// codecs are those of the policy that there are, in its order.
func (p *Policy) codecs(r role) []string {
	all, chosen := audioCodecs, p.Audio
	if r != audioRole {
		all, chosen = videoCodecs, p.VideoCodecs
	}
	if chosen == nil {
		return all
	}
	return slices.DeleteFunc(slices.Clone(chosen), func(c string) bool { return !slices.Contains(all, c) })
}

// recognise makes a format of what the far end maps, false for what we do not have.
func recognise(p *mapping) (f format, ok bool) {
	plain := func(codec, encoding string, clock int) (format, bool) {
		return format{key: codec, codec: codec, encoding: encoding, clock: clock, pt: p.payload, sendPT: p.payload,
			their: control.Format{PayloadType: p.payload, Codec: codec}}, p.clock == clock || p.clock == 0
	}
	switch p.name {
	case "pcmu":
		return plain(control.PCMU, "PCMU/8000", 8000)
	case "pcma":
		return plain(control.PCMA, "PCMA/8000", 8000)
	case "g722":
		// The clock is 8000 by RFC 3551's mistake; some say what it should be.
		if f, ok = plain(control.G722, "G722/8000", 8000); p.clock == 16000 {
			ok = true
		}
		return f, ok
	case "opus":
		f, ok = plain(control.Opus, "opus/48000/2", 48000)
		f.their.FEC = p.fmtp["useinbandfec"] == "1"
		f.their.DTX = p.fmtp["usedtx"] == "1"
		if n := p.number("maxaveragebitrate"); n > 0 {
			f.their.Bitrate = min(max(n, 6000), 510000) // RFC 7587, 6.1
		}
		return f, ok
	case "telephone-event":
		if p.clock != 8000 && p.clock != 48000 {
			return f, false
		}
		return format{key: keysKey(p.clock), encoding: "telephone-event/" + strconv.Itoa(p.clock), clock: p.clock, pt: p.payload, sendPT: p.payload}, true
	case "h264":
		if f, ok = parseH264(p); p.clock != 90000 && p.clock != 0 {
			ok = false
		}
		return f, ok
	case "vp8":
		f, ok = plain(control.VP8, "VP8/90000", 90000)
		f.their.MaxFrameSize = p.number("max-fs")
		f.fps = min(p.number("max-fr"), 1000) * 100
		return f, ok
	}
	return f, false
}

func keysKey(clock int) string { return "keys/" + strconv.Itoa(clock) }

// understand gives what of an m-line's formats is among some codecs, in their order, and the keys.
func (l *line) understand(m *media, codecs []string) (list, keys []format) {
	all := m.mappings()
	for i := range all {
		p := &all[i]
		f, ok := recognise(p)
		switch {
		case ok && f.codec == "" && l.role == audioRole:
			keys = append(keys, f)
		case ok && slices.Contains(codecs, f.codec):
			list = append(list, f)
		}
	}
	// Retransmissions belong to one of those (RFC 4588).
	for i := range all {
		if p := &all[i]; p.name == "rtx" && l.role != audioRole {
			for j := range list {
				if apt, err := strconv.Atoi(p.fmtp["apt"]); err == nil && apt == int(list[j].pt) && list[j].rtx == 0 && p.payload != list[j].pt {
					list[j].rtx, list[j].sendRTX = p.payload, p.payload
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b format) int {
		return cmp.Or(cmp.Compare(slices.Index(codecs, a.codec), slices.Index(codecs, b.codec)), -cmp.Compare(a.mode, b.mode))
	})
	return list[:min(len(list), mostFormats)], keys
}

// offered takes the formats of an offer: all that we have, under the payload types of the offer.
func (s *Session) offered(l *line, m *media) *Refused {
	list, keys := l.understand(m, s.policy.codecs(l.role))
	if len(list) == 0 {
		return refuse(305, "no codec for %v that this server has: offer one of %s", l.role, strings.Join(s.policy.codecs(l.role), ", "))
	}
	for _, p := range m.mappings() {
		if f, ok := recognise(&p); ok {
			l.remember(p.payload, f.key)
		} else {
			l.remember(p.payload, "?") // something that we do not have
		}
	}
	l.list, l.dtmf = list, suitable(keys, list[0])
	return nil
}

// answered takes the formats of an answer to our offer. The far end may use other payload types than ours for what it takes: then each side
// receives by its own.
func (s *Session) answered(l *line, m *media) *Refused {
	// What was offered counts, whatever the policy says by now.
	var codecs []string
	for _, f := range l.list {
		if !slices.Contains(codecs, f.codec) {
			codecs = append(codecs, f.codec)
		}
	}
	list, keys := l.understand(m, codecs)
	var agreed []format
	for _, their := range list {
		our := match(l.list, &their)
		if our == nil || slices.ContainsFunc(agreed, func(f format) bool { return f.pt == our.pt }) {
			continue
		}
		f := *our
		f.sendPT, f.their, f.bits, f.fps, f.sendRTX = their.sendPT, their.their, their.bits, their.fps, their.sendRTX
		if f.sendRTX == 0 {
			f.rtx = 0
		}
		f.maxLevel = their.maxLevel
		agreed = append(agreed, f)
	}
	if len(agreed) == 0 {
		return refuse(305, "the answer has no codec for %v that was offered", l.role)
	}
	var pressed []format
	for _, their := range keys {
		if our := match(l.dtmf, &their); our != nil {
			f := *our
			f.sendPT = their.sendPT
			pressed = append(pressed, f)
		}
	}
	for _, f := range l.list {
		same := func(o format) bool { return o.pt == f.pt }
		if !slices.ContainsFunc(agreed, same) && !slices.ContainsFunc(l.spare, same) {
			l.spare = append(slices.Clip(l.spare), f)
		}
	}
	l.list, l.dtmf = agreed, suitable(pressed, agreed[0])
	return nil
}

// received are the formats that may come: what was agreed on, and what is understood as well.
func (l *line) received() (list []control.Format) {
	taken := map[uint8]bool{}
	for _, f := range l.dtmf {
		taken[f.pt] = true
	}
	for i, f := range slices.Concat(l.list, l.spare) {
		if i >= len(l.list) && (taken[f.pt] || f.rtx != 0 && taken[f.rtx]) {
			continue
		}
		taken[f.pt] = true
		if f.rtx != 0 {
			taken[f.rtx] = true
		}
		list = append(list, f.receive())
	}
	return list
}

// match finds the offered format that an answered one stands for: of the same payload type and codec, or else of the same kind.
func match(list []format, their *format) *format {
	for i := range list {
		if f := &list[i]; f.pt == their.sendPT && f.codec == their.codec && f.clock == their.clock {
			return f
		}
	}
	for i := range list {
		if f := &list[i]; f.key == their.key {
			return f
		}
	}
	for i := range list {
		if f := &list[i]; f.codec != "" && f.codec == their.codec && f.mode == their.mode {
			return f
		}
	}
	return nil
}

// suitable is the one payload type for keys: the media engine has one. Its clock is that of the sound beside it (RFC 4733, 2.1).
func suitable(keys []format, sound format) []format {
	for i, f := range keys {
		if f.clock == sound.clock {
			return keys[i : i+1 : i+1]
		}
	}
	return keys[:min(len(keys), 1)]
}

// fill gives a line the formats of our own offer; those it has already stay first.
func (s *Session) fill(l *line) {
	add := func(f format, usual uint8) {
		if len(l.list) < mostFormats && !l.holds(f.key) {
			f.pt = l.assign(f.key, usual)
			f.sendPT = f.pt
			f.their = control.Format{PayloadType: f.pt, Codec: f.codec, PacketizationMode: f.mode}
			if f.codec == control.H264 {
				f.their.ProfileLevel = fmt.Sprintf("%02x%02x1f", f.profile[0], f.profile[1])
			}
			l.list = append(slices.Clip(l.list), f)
		}
	}
	for _, codec := range s.policy.codecs(l.role) {
		f := format{key: codec, codec: codec, clock: 8000}
		switch codec {
		case control.Opus:
			f.encoding, f.clock = "opus/48000/2", 48000
			add(f, opusType)
		case control.G722:
			f.encoding = "G722/8000"
			add(f, 9)
		case control.PCMA:
			f.encoding = "PCMA/8000"
			add(f, 8)
		case control.PCMU:
			f.encoding = "PCMU/8000"
			add(f, 0)
		case control.VP8:
			f.encoding, f.clock = "VP8/90000", 90000
			add(f, vp8Type)
		case control.H264:
			f.encoding, f.clock = "H264/90000", 90000
			h264 := func(profile [2]byte, mode int, usual uint8) {
				f := f
				f.profile, f.mode, f.key = profile, mode, h264Key(profile, mode)
				// A mode that is agreed on in any profile is not offered again in another one.
				if !slices.ContainsFunc(l.list, func(o format) bool { return l.agreed && o.codec == control.H264 && o.mode == mode }) {
					add(f, usual)
				}
			}
			usual := cmp.Or(s.policy.H264PayloadType, h264Type)
			h264([2]byte{0x42, 0xe0}, 1, usual)
			h264([2]byte{0x42, 0xe0}, 0, h264OldType)
			if !s.policy.BasicH264 && !l.agreed {
				h264([2]byte{0x64, 0x0c}, 1, highType)
			}
		}
	}
	if l.role != audioRole {
		return
	}
	for _, clock := range []int{8000, 48000} {
		if clock == 48000 && !l.holds(control.Opus) {
			continue
		}
		f := format{key: keysKey(clock), encoding: "telephone-event/" + strconv.Itoa(clock), clock: clock}
		if slices.ContainsFunc(l.dtmf, func(o format) bool { return o.key == f.key }) || l.agreed && len(l.dtmf) > 0 {
			continue
		}
		f.pt = l.assign(f.key, map[int]uint8{8000: keysType, 48000: keysWide}[clock])
		f.sendPT = f.pt
		l.dtmf = append(slices.Clip(l.dtmf), f)
	}
}

// feedback is what a=rtcp-fb says (RFC 4585, 5104; REMB and transport-wide congestion control).
type feedback struct {
	nack, pli, fir, tmmbr, remb, transport bool
	// wild: said for all payload types at once.
	wild bool
}

var feedbacks = []struct {
	name string
	of   func(*feedback) *bool
}{
	{"nack", func(f *feedback) *bool { return &f.nack }},
	{"nack pli", func(f *feedback) *bool { return &f.pli }},
	{"ccm fir", func(f *feedback) *bool { return &f.fir }},
	{"ccm tmmbr", func(f *feedback) *bool { return &f.tmmbr }},
	{"goog-remb", func(f *feedback) *bool { return &f.remb }},
	{"transport-cc", func(f *feedback) *bool { return &f.transport }},
}

// takeFeedback reads what the far end said for the formats that are used: for each of them, and for the line what any of them has.
func (l *line) takeFeedback(m *media) {
	l.fb = feedback{}
	l.list = slices.Clone(l.list)
	for i := range l.list {
		l.list[i].fb = feedback{}
	}
	m.all("rtcp-fb", func(value string) {
		f := strings.Fields(strings.ToLower(value))
		if len(f) < 2 {
			return
		}
		said := strings.Join(f[1:min(len(f), 3)], " ")
		for _, k := range feedbacks {
			// After "ccm tmmbr" may come what it is good for (RFC 5104, 7.1); so it does in "ccm fir tmmbr" of some endpoints.
			if said != k.name && !(f[1] == "ccm" && slices.Contains(f[2:], strings.TrimPrefix(k.name, "ccm "))) {
				continue
			}
			for i := range l.list {
				if o := &l.list[i]; f[0] == "*" || f[0] == strconv.Itoa(int(o.sendPT)) {
					*k.of(&o.fb), *k.of(&l.fb) = true, true
					l.fb.wild = l.fb.wild || f[0] == "*"
				}
			}
		}
	})
}

// Header extensions (RFC 8285).
const (
	levelURI     = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	midURI       = "urn:ietf:params:rtp-hdrext:sdes:mid"
	transportURI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)

// extensions takes those that we have. Numbers above 14 need two-byte headers, which we do not send.
func (l *line) extensions(m *media) {
	l.level, l.midx, l.tcc = 0, 0, 0
	take := func(value string) {
		f := strings.Fields(value)
		if len(f) < 2 {
			return
		}
		number, direction, _ := strings.Cut(f[0], "/")
		n, err := strconv.ParseUint(number, 10, 8)
		if err != nil || n < 1 || n > 14 || direction == "inactive" || uint8(n) == l.level || uint8(n) == l.midx || uint8(n) == l.tcc {
			return
		}
		switch f[1] {
		case levelURI:
			if l.role == audioRole {
				l.level = uint8(n)
			}
		case midURI:
			l.midx = uint8(n)
		case transportURI:
			l.tcc = uint8(n)
		}
	}
	m.session.all("extmap", take)
	m.all("extmap", take)
}
