package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds of a description.
const (
	maxSize    = 64 << 10
	maxMedia   = 32
	maxFormats = 64
)

// description is what was read. Fields that nothing is decided by are not kept.
type description struct {
	user string // of o=
	// peer identifies who speaks: user, session and address of o=. A session that goes on keeps it (RFC 8866, 5.2).
	peer string
	section
	media []*media
}

// section is what session and media have in common.
type section struct {
	connection connection
	// as and tias are b= in bits per second, 0 where there is none.
	as, tias   int
	attributes []attribute
}

type attribute struct{ name, value string }

// connection is a c= line.
type connection struct {
	there bool
	// addr is invalid for a name, which nobody resolves here.
	addr netip.Addr
	six  bool
}

// media is an m-line with what belongs to it.
type media struct {
	kind    string // audio, video, application …
	port    uint16
	proto   string // upper case, for decisions
	written string // proto as it was written, for the answer
	formats []string
	section
	session *description
}

// parse reads a description. It is forgiving in what decides nothing (order of lines, lines that are missing or unknown) and strict in
// m-lines, which an answer repeats.
func parse(b []byte) (*description, error) {
	if len(b) > maxSize {
		return nil, fmt.Errorf("session description of %d bytes: want at most %d", len(b), maxSize)
	}
	d := &description{}
	at := &d.section
	first := true
	for n, text := range strings.Split(string(b), "\n") {
		text = strings.TrimSuffix(text, "\r")
		if text == "" || text == "\x00" {
			continue
		}
		if len(text) < 2 || text[1] != '=' {
			return nil, fmt.Errorf("line %d: want a letter and an equals sign", n+1)
		}
		value := strings.TrimSpace(text[2:])
		if first {
			if text[0] != 'v' || value != "0" {
				return nil, errors.New("the session description does not begin with v=0")
			}
			first = false
			continue
		}
		switch text[0] {
		case 'o':
			d.origin(value)
		case 'c':
			// A second c= of the same section is another address of a layered stream: the first counts.
			if !at.connection.there {
				c, err := parseConnection(value)
				if err != nil {
					return nil, fmt.Errorf("line %d: %w", n+1, err)
				}
				at.connection = c
			}
		case 'b':
			at.bandwidth(value)
		case 'a':
			name, value, _ := strings.Cut(value, ":")
			at.attributes = append(at.attributes, attribute{strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)})
		case 'm':
			if len(d.media) == maxMedia {
				return nil, fmt.Errorf("more than %d m-lines", maxMedia)
			}
			m, err := parseMedia(value)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			m.session = d
			d.media = append(d.media, m)
			at = &m.section
		}
	}
	if first {
		return nil, errors.New("the session description is empty")
	}
	return d, nil
}

func (d *description) origin(value string) {
	f := strings.Fields(value)
	if len(f) != 6 {
		d.peer = strings.Clone(value)
		return
	}
	d.user = f[0]
	if len(d.user) > 64 {
		d.user = d.user[:64]
	}
	d.peer = strings.Join([]string{f[0], f[1], f[5]}, " ")
}

func parseConnection(value string) (c connection, err error) {
	f := strings.Fields(value)
	if len(f) != 3 || !strings.EqualFold(f[0], "IN") {
		return c, fmt.Errorf("c=%.40q: want IN, IP4 or IP6, and an address", value)
	}
	switch strings.ToUpper(f[1]) {
	case "IP4":
	case "IP6":
		c.six = true
	default:
		return c, fmt.Errorf("c=%.40q: want IP4 or IP6", value)
	}
	c.there = true
	host, _, _ := strings.Cut(f[2], "/")
	if addr, err := netip.ParseAddr(host); err == nil {
		c.addr = addr.Unmap().WithZone("")
		c.six = c.addr.Is6()
	}
	return c, nil
}

// bandwidth reads b=. Zero says nothing: endpoints on hold send it.
func (s *section) bandwidth(value string) {
	kind, number, _ := strings.Cut(value, ":")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 32)
	if err != nil || n == 0 {
		return
	}
	switch strings.ToUpper(strings.TrimSpace(kind)) {
	case "AS", "CT":
		if bits := int(min(n, 1<<31/1000)) * 1000; s.as == 0 || bits < s.as {
			s.as = bits
		}
	case "TIAS":
		s.tias = int(min(n, 1<<31-1))
	}
}

// limit is b= in bits per second, 0 for none.
func (s *section) limit() int {
	if s.tias > 0 {
		return s.tias
	}
	return s.as
}

func parseMedia(value string) (*media, error) {
	f := strings.Fields(value)
	if len(f) < 4 {
		return nil, fmt.Errorf("m=%.40q: want a medium, a port, a protocol and formats", value)
	}
	for _, s := range f {
		if strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' }) {
			return nil, fmt.Errorf("m=%.40q: want printable ASCII", value)
		}
	}
	port, _, _ := strings.Cut(f[1], "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("m=%.40q: port %.10q: want 0 to 65535", value, port)
	}
	return &media{kind: strings.ToLower(f[0]), port: uint16(n), proto: strings.ToUpper(f[2]), written: f[2], formats: f[3:min(len(f), 3+maxFormats)]}, nil
}

// get is the value of the first attribute of a name.
func (s *section) get(name string) (string, bool) {
	for _, a := range s.attributes {
		if a.name == name {
			return a.value, true
		}
	}
	return "", false
}

func (s *section) has(name string) bool {
	_, ok := s.get(name)
	return ok
}

// all calls f with the values of a name.
func (s *section) all(name string, f func(value string)) {
	for _, a := range s.attributes {
		if a.name == name {
			f(a.value)
		}
	}
}

// inherited is an attribute of the m-line, or else of the session.
func (m *media) inherited(name string) (string, bool) {
	if v, ok := m.get(name); ok {
		return v, true
	}
	return m.session.get(name)
}

// at is the connection in force.
func (m *media) at() connection {
	if m.connection.there {
		return m.connection
	}
	return m.session.connection
}

// address is where to send to; invalid for a name, for zeros and for groups.
func (m *media) address() netip.Addr {
	a := m.at().addr
	if a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}
	}
	return a
}

// zeros tells the old way to hold a call (RFC 3264, 8.4).
func (m *media) zeros() bool { return m.at().addr.IsUnspecified() }

// remote is where RTP and RTCP go (RFC 3605). An invalid RTCP address is the port above.
func (m *media) remote() (rtp, rtcp netip.AddrPort) {
	addr := m.address()
	if !addr.IsValid() || m.port == 0 {
		return rtp, rtcp
	}
	rtp = netip.AddrPortFrom(addr, m.port)
	if value, ok := m.get("rtcp"); ok {
		f := strings.Fields(value)
		if len(f) == 0 {
			return rtp, rtcp
		}
		port, err := strconv.ParseUint(f[0], 10, 16)
		if err != nil || port == 0 {
			return rtp, rtcp
		}
		if len(f) == 4 {
			if c, err := parseConnection(strings.Join(f[1:], " ")); err == nil && c.addr.IsValid() && !c.addr.IsUnspecified() && !c.addr.IsMulticast() {
				addr = c.addr
			}
		}
		rtcp = netip.AddrPortFrom(addr, uint16(port))
	}
	return rtp, rtcp
}

// way is a direction, seen from whoever says it.
type way struct{ send, receive bool }

var ways = map[string]way{"sendrecv": {true, true}, "sendonly": {true, false}, "recvonly": {false, true}, "inactive": {}}

func (w way) String() string {
	for name, o := range ways {
		if o == w {
			return name
		}
	}
	return ""
}

// reverse is the same seen from the other side.
func (w way) reverse() way { return way{send: w.receive, receive: w.send} }

func (w way) and(o way) way { return way{w.send && o.send, w.receive && o.receive} }

// way is the direction of an m-line as its author sees it.
func (m *media) way() way {
	for _, attributes := range [][]attribute{m.attributes, m.session.attributes} {
		for _, a := range attributes {
			if w, ok := ways[a.name]; ok && a.value == "" {
				return w
			}
		}
	}
	return way{true, true}
}

// mapping is a format of an RTP m-line.
type mapping struct {
	payload uint8
	name    string // lower case
	clock   int
	// fmtp by lower-case names.
	fmtp map[string]string
}

// static are the payload types that need no rtpmap and that we know (RFC 3551).
var static = map[uint8]mapping{
	0: {name: "pcmu", clock: 8000},
	8: {name: "pcma", clock: 8000},
	9: {name: "g722", clock: 8000},
}

// mappings are the formats in the order of the m-line, each payload type once; unknown ones have an empty name.
func (m *media) mappings() []mapping {
	known := map[uint8]*mapping{}
	list := make([]*mapping, 0, len(m.formats))
	for _, f := range m.formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil || known[uint8(n)] != nil {
			continue
		}
		p := &mapping{}
		*p = static[uint8(n)]
		p.payload = uint8(n)
		known[p.payload] = p
		list = append(list, p)
	}
	of := func(value string) (*mapping, string) {
		number, rest, _ := strings.Cut(value, " ")
		n, err := strconv.ParseUint(number, 10, 7)
		if err != nil {
			return nil, ""
		}
		return known[uint8(n)], strings.TrimSpace(rest)
	}
	m.all("rtpmap", func(value string) {
		if p, encoding := of(value); p != nil {
			f := strings.Split(encoding, "/")
			p.name, p.clock = strings.ToLower(f[0]), 0
			if len(f) > 1 {
				p.clock, _ = strconv.Atoi(strings.TrimSpace(f[1]))
			}
		}
	})
	m.all("fmtp", func(value string) {
		p, parameters := of(value)
		if p == nil {
			return
		}
		if p.fmtp == nil {
			p.fmtp = map[string]string{}
		}
		for _, pair := range strings.Split(parameters, ";") {
			name, value, _ := strings.Cut(pair, "=")
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				p.fmtp[name] = strings.TrimSpace(value)
			}
		}
	})
	all := make([]mapping, len(list))
	for i, p := range list {
		all[i] = *p
	}
	return all
}

// number is a parameter that counts something, 0 when it is not there or makes no sense.
func (p *mapping) number(name string) int {
	n, err := strconv.ParseUint(p.fmtp[name], 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
