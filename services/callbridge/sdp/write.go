package sdp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/media/control"
)

// WriteOffer writes the offer that Prepare decided on. st is the answer of the media engine to the put after Apply. The error is that of a
// state that does not fit: it was made from another Apply.
func (s *Session) WriteOffer(st control.LegState, p Ports) ([]byte, error) {
	if s.next == nil || !s.offering {
		return nil, errors.New("nothing to offer: Prepare comes first")
	}
	for i := range s.next.lines {
		if l := &s.next.lines[i]; l.on && !p.have(l) {
			l.reject()
		}
	}
	// A line that was never told to anybody need not be told with port 0.
	for n := len(s.next.lines); n > len(s.now.lines) && !s.next.lines[n-1].on; n-- {
		s.next.lines = s.next.lines[:n-1]
	}
	w := writer{s: s, st: s.next, media: st, ports: p}
	return w.write()
}

// WriteAnswer writes the answer to the offer that was read last, and puts it into force. *Refused when the far end has no address of a family
// that we have.
func (s *Session) WriteAnswer(st control.LegState, p Ports) ([]byte, error) {
	if s.offering || !s.current().theirs {
		return nil, errors.New("nothing to answer: ReadOffer comes first")
	}
	state := s.current()
	for i := range state.lines {
		if l := &state.lines[i]; l.on && !p.have(l) {
			l.reject()
		}
	}
	w := writer{s: s, st: state, media: st, ports: p, answer: true}
	b, err := w.write()
	if err != nil {
		return nil, err
	}
	s.now, s.next = state, nil
	return b, nil
}

// have tells whether there is a port for a line, of the family that the far end has.
func (p Ports) have(l *line) bool {
	at := p.Floor
	switch l.role {
	case floorRole:
	case cameraRole:
		at = p.Camera
	default:
		return true
	}
	return at.IsValid() && at.Port() != 0 && (!l.agreed || at.Addr().Unmap().Is6() == l.six)
}

// writer makes one description.
type writer struct {
	s      *Session
	st     *state
	media  control.LegState
	ports  Ports
	answer bool

	b    strings.Builder
	addr netip.Addr // of c= of the session
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteString("\r\n")
}

func (w *writer) write() ([]byte, error) {
	places := make([]place, len(w.st.lines))
	for i := range w.st.lines {
		l := &w.st.lines[i]
		if !l.on {
			continue
		}
		var err error
		if places[i], err = w.place(l); err != nil {
			return nil, err
		}
		if !w.addr.IsValid() {
			w.addr = places[i].rtp.Addr()
		}
	}
	if !w.addr.IsValid() {
		return nil, errors.New("no stream has a port")
	}
	w.line("s=-")
	w.line("c=%s", inAddress(w.addr))
	if bits := w.s.policy.receiveBandwidth(); w.st.find(mainRole) != nil {
		w.line("b=AS:%d", (bits+999)/1000)
		w.line("b=TIAS:%d", bits)
	}
	w.line("t=0 0")
	if w.st.bundle != nil {
		w.line("a=group:BUNDLE %s", strings.Join(w.st.bundle, " "))
	}
	if slices.ContainsFunc(w.st.lines, func(l line) bool { return l.on && l.ice != nil && l.ice.Lite }) {
		w.line("a=ice-lite")
	}
	for i := range w.st.lines {
		if l := &w.st.lines[i]; l.on {
			w.stream(l, places[i])
		} else {
			w.rejected(l)
		}
	}
	if w.s.broken != nil {
		return nil, w.s.broken
	}
	body := w.b.String()
	if sum := sha256.Sum256([]byte(body)); sum != w.s.last {
		w.s.version++
		w.s.last = sum
	}
	return fmt.Appendf(nil, "v=0\r\no=rotunda %d %d %s\r\n%s", w.s.id, w.s.version, inAddress(w.addr), body), nil
}

func inAddress(a netip.Addr) string {
	if a.Is4() {
		return "IN IP4 " + a.String()
	}
	return "IN IP6 " + a.String()
}

// place is where a line is at our side.
type place struct {
	rtp, rtcp netip.AddrPort
	state     *control.TransportState
}

// place picks the local address that the far end can reach: of its own family, as far as that is known.
func (w *writer) place(l *line) (p place, err error) {
	switch l.role {
	case floorRole:
		return place{rtp: unmapped(w.ports.Floor)}, nil
	case cameraRole:
		return place{rtp: unmapped(w.ports.Camera)}, nil
	}
	home := w.st.carrier(l).home
	if home < 0 || home >= len(w.media.Transports) {
		return p, fmt.Errorf("the leg has %d transports: %v wants the one of index %d", len(w.media.Transports), l.role, home)
	}
	p.state = &w.media.Transports[home]
	for i, a := range p.state.RTP {
		if l.agreed && l.ice == nil && a.Addr().Unmap().Is6() != l.six {
			continue
		}
		p.rtp = unmapped(a)
		if i < len(p.state.RTCP) {
			p.rtcp = unmapped(p.state.RTCP[i])
		}
		return p, nil
	}
	family := "IPv4"
	if l.six {
		family = "IPv6"
	}
	return p, refuse(301, "%v is at an %s address, and this server has none", l.role, family)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// rejected repeats a line with port 0 (RFC 3264, 6).
func (w *writer) rejected(l *line) {
	formats := l.formats
	if formats == "" {
		formats = w.formats(l)
	}
	w.line("m=%s 0 %s %s", l.media, l.proto, formats)
	if l.mid != "" && w.answer {
		w.line("a=mid:%s", l.mid)
	}
}

// formats of an m-line.
func (w *writer) formats(l *line) string {
	switch {
	case l.role == floorRole && l.formats != "":
		return l.formats
	case l.role == floorRole:
		return "*"
	case len(l.list)+len(l.dtmf) == 0:
		return "0"
	}
	var list []string
	for _, f := range l.list {
		list = append(list, strconv.Itoa(int(f.pt)))
	}
	for _, f := range l.list {
		if f.rtx != 0 {
			list = append(list, strconv.Itoa(int(f.rtx)))
		}
	}
	for _, f := range l.dtmf {
		list = append(list, strconv.Itoa(int(f.pt)))
	}
	return strings.Join(list, " ")
}

func (w *writer) stream(l *line, p place) {
	port := p.rtp.Port()
	if l.role == floorRole && l.floor.Transport == "tcp" && l.floor.Active && (w.answer || l.agreed) {
		port = 9 // nobody connects to it (RFC 4145, 4.1)
	}
	w.line("m=%s %d %s %s", l.media, port, l.proto, w.formats(l))
	if a := p.rtp.Addr(); a != w.addr {
		w.line("c=%s", inAddress(a))
	}
	if l.role == mainRole || l.role == screenRole {
		bits := w.s.receiveRate()
		w.line("b=AS:%d", (bits+999)/1000)
		w.line("b=TIAS:%d", bits)
	}
	if l.mid != "" {
		w.line("a=mid:%s", l.mid)
	}
	if l.role == floorRole {
		for _, a := range w.s.floorLines(l, w.answer) {
			w.line("a=%s", a)
		}
		return
	}
	w.codecs(l)
	w.extensions(l)
	w.line("a=%s", w.way(l))
	if l.label != "" {
		w.line("a=label:%s", l.label)
	}
	if l.content != "" {
		w.line("a=content:%s", l.content)
	}
	// What is about the transport stands once, in the first line of a bundle (RFC 8843, 7.1.3).
	if w.st.carrier(l) == l {
		w.transport(l, p)
	}
}

// way is our direction: in an offer what we want, in an answer what of it the offer leaves.
func (w *writer) way(l *line) way {
	if w.answer {
		return l.way()
	}
	return l.wish
}

func (w *writer) codecs(l *line) {
	for i := range l.list {
		f := &l.list[i]
		w.line("a=rtpmap:%d %s", f.pt, f.encoding)
		switch {
		case f.codec == control.Opus:
			w.line("a=fmtp:%d useinbandfec=1;maxaveragebitrate=%d", f.pt, soundShare)
		case f.codec == control.H264:
			w.line("a=fmtp:%d %s", f.pt, h264Fmtp(f, w.s.quality(l.role, w.s.policy.receiveBandwidth()), w.s.receiveRate()))
		case f.codec == control.VP8:
			q := w.s.quality(l.role, w.s.policy.receiveBandwidth())
			w.line("a=fmtp:%d max-fs=%d;max-fr=%d", f.pt, blocks(q), q.Rate)
		}
		if f.rtx != 0 {
			w.line("a=rtpmap:%d rtx/90000", f.rtx)
			w.line("a=fmtp:%d apt=%d", f.rtx, f.pt)
		}
	}
	for i := range l.dtmf {
		f := &l.dtmf[i]
		w.line("a=rtpmap:%d %s", f.pt, f.encoding)
		w.line("a=fmtp:%d 0-15", f.pt)
	}
	if l.role == audioRole {
		w.line("a=ptime:%d", w.s.ownPacketTime())
	}
	for _, k := range feedbacks {
		if !*k.of(&l.fb) {
			continue
		}
		if l.fb.wild {
			w.line("a=rtcp-fb:* %s", k.name)
			continue
		}
		for i := range l.list {
			if f := &l.list[i]; *k.of(&f.fb) {
				w.line("a=rtcp-fb:%d %s", f.pt, k.name)
			}
		}
	}
}

func (w *writer) extensions(l *line) {
	for _, e := range []struct {
		id  uint8
		uri string
	}{{l.level, levelURI}, {l.midx, midURI}, {l.tcc, transportURI}} {
		if e.id != 0 {
			w.line("a=extmap:%d %s", e.id, e.uri)
		}
	}
}

// transport says how the line is reached and protected.
func (w *writer) transport(l *line, p place) {
	mux := l.mux || l.bundled
	if mux {
		w.line("a=rtcp-mux")
	}
	if rtcp := p.rtcp.Port(); rtcp != 0 && rtcp != p.rtp.Port()+1 && !(mux && l.agreed) {
		w.line("a=rtcp:%d", rtcp)
	}
	switch l.security {
	case control.SDES:
		keys := w.s.offers(l)
		if w.answer {
			keys = []cryptoLine{{tag: l.tag, suite: l.suite, key: w.s.key(l, l.suite)}}
		}
		for _, c := range keys {
			w.line("a=crypto:%v", c)
		}
	case control.DTLS:
		if p.state != nil {
			w.line("a=fingerprint:%s", p.state.Fingerprint)
		}
		switch {
		case !w.answer:
			w.line("a=setup:actpass")
		case l.active:
			w.line("a=setup:active")
		default:
			w.line("a=setup:passive")
		}
	}
	if l.ice != nil && p.state != nil {
		w.line("a=ice-ufrag:%s", p.state.Ufrag)
		w.line("a=ice-pwd:%s", p.state.Password)
		for _, c := range p.state.Candidates {
			w.line("a=candidate:%s", c)
		}
		if p.state.Gathered {
			w.line("a=end-of-candidates")
		}
	}
}
