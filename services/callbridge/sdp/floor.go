package sdp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// screenLabel is a=label of our presentation stream. A floor names its stream by it.
const screenLabel = "3"

// floorRoles is a=floorctrl, the roles that a side can have; without one the offerer is client (RFC 8856, 5.1).
func floorRoles(m *media) (client, server bool) {
	value, ok := m.get("floorctrl")
	if !ok {
		return true, false
	}
	for _, f := range strings.Fields(strings.ToLower(value)) {
		switch f {
		case "c-only":
			client = true
		case "s-only":
			server = true
		case "c-s":
			client, server = true, true
		}
	}
	return client, server
}

// floorID reads the first a=floorid: "1 mstrm:10 11", in old descriptions "1 m-stream:10", or with no stream.
func floorID(m *media) (id uint16, labels []string) {
	value, _ := m.get("floorid")
	f := strings.Fields(value)
	if len(f) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil {
		return 0, nil
	}
	for i, s := range f[1:min(len(f), 16)] {
		if i == 0 {
			name, first, ok := strings.Cut(strings.ToLower(s), ":")
			if !ok || name != "mstrm" && name != "m-stream" {
				return uint16(n), nil
			}
			s = first
		}
		labels = append(labels, s)
	}
	return uint16(n), labels
}

// acceptFloor negotiates BFCP (RFC 8856): we are server whenever the far end can be client.
func (s *Session) acceptFloor(l *line, m *media) *Refused {
	client, server := floorRoles(m)
	f := &Floor{Transport: "udp"}
	switch {
	case client:
		f.Server = true
	case server && s.policy.Floor == ServerAndClient:
	default:
		return refuse(399, "the far end is a floor control server, and this server is none's client")
	}
	if !m.at().there || m.at().addr.IsMulticast() {
		return refuse(301, "no address for BFCP")
	}
	if m.proto == "TCP/BFCP" {
		f.Transport = "tcp"
		setup, _ := m.inherited("setup")
		switch strings.ToLower(setup) {
		case "passive":
			f.Active = true
		case "holdconn":
			return refuse(307, "a=setup:holdconn for BFCP")
		}
		connection, ok := m.get("connection")
		f.Fresh = !ok || !strings.EqualFold(connection, "existing")
	}
	s.nameFloor(f, m)
	l.six = m.at().six
	if addr := m.address(); addr.IsValid() {
		f.Remote = netip.AddrPortFrom(addr, m.port)
	}
	l.floor, l.agreed = f, true
	return nil
}

// nameFloor takes identifiers from the side that is server.
func (s *Session) nameFloor(f *Floor, m *media) {
	if f.Server {
		f.ConferenceID, f.UserID, f.FloorID = cmp.Or(s.policy.ConferenceID, 1), cmp.Or(s.policy.UserID, 1), cmp.Or(s.policy.FloorID, 1)
		f.Label = screenLabel
		return
	}
	number := func(name string, bits int) uint64 {
		value, _ := m.get(name)
		n, err := strconv.ParseUint(value, 10, bits)
		if err != nil {
			return 0
		}
		return n
	}
	f.ConferenceID, f.UserID = uint32(number("confid", 32)), uint16(number("userid", 16))
	id, labels := floorID(m)
	if f.FloorID = id; len(labels) > 0 {
		f.Label = strings.Clone(labels[0])
	}
}

// answerFloor takes the answer to the BFCP that we offered.
func (s *Session) answerFloor(l *line, m *media) *Refused {
	client, server := floorRoles(m)
	if _, ok := m.get("floorctrl"); !ok {
		client, server = true, true // whoever says nothing takes what is left
	}
	f := *l.floor
	f.Server = client
	if !client && (!server || s.policy.Floor != ServerAndClient) {
		return refuse(399, "the answer has no role in floor control that was offered")
	}
	if f.Transport == "tcp" {
		setup, _ := m.inherited("setup")
		// Who says nothing waits for us (RFC 4145, 4).
		f.Active = setup == "" || strings.EqualFold(setup, "passive")
		connection, ok := m.get("connection")
		f.Fresh = ok && !strings.EqualFold(connection, "existing") || !ok && !l.agreed
	}
	s.nameFloor(&f, m)
	f.Remote = netip.AddrPort{}
	if addr := m.address(); addr.IsValid() {
		f.Remote = netip.AddrPortFrom(addr, m.port)
	}
	l.six, l.floor, l.agreed = m.at().six, &f, true
	return nil
}

// floorLines are what a BFCP line has beside its address. answer: it answers an offer.
func (s *Session) floorLines(l *line, answer bool) (lines []string) {
	f := l.floor
	switch {
	case answer && f.Server:
		lines = append(lines, "floorctrl:s-only")
	case answer:
		lines = append(lines, "floorctrl:c-only")
	case s.policy.Floor == ServerAndClient && !l.agreed:
		lines = append(lines, "floorctrl:c-s")
	case f.Server:
		lines = append(lines, "floorctrl:s-only")
	default:
		lines = append(lines, "floorctrl:c-only")
	}
	if f.Server {
		lines = append(lines, fmt.Sprintf("confid:%d", f.ConferenceID), fmt.Sprintf("userid:%d", f.UserID), fmt.Sprintf("floorid:%d mstrm:%s", f.FloorID, screenLabel))
	}
	if f.Transport == "tcp" {
		setup := "passive"
		switch {
		case !answer && !l.agreed:
			setup = "actpass"
		case f.Active:
			setup = "active"
		}
		connection := "existing"
		if answer && f.Fresh || !answer && !l.agreed {
			connection = "new"
		}
		lines = append(lines, "setup:"+setup, "connection:"+connection)
	}
	return lines
}

// acceptCamera negotiates H.224 over RTP (RFC 4573).
func (s *Session) acceptCamera(l *line, m *media, lite, answer bool) *Refused {
	all := m.mappings()
	i := slices.IndexFunc(all, func(p mapping) bool { return p.name == "h224" })
	if i < 0 {
		return refuse(305, "no H224/4800")
	}
	// The Call Bridge's own socket takes keys from the description alone, and does no ICE.
	if protectionOf(m.proto) == shaken {
		return refuse(302, "H.224 with keys by DTLS")
	}
	if !answer {
		l.remember(all[i].payload, "H224")
	}
	ice := s.policy.ICE
	s.policy.ICE = nil
	err := s.takeTransport(l, m, lite, answer)
	s.policy.ICE = ice
	if err != nil {
		return err
	}
	if l.security == "dtls" {
		return refuse(302, "H.224 with keys by DTLS")
	}
	f := format{key: "H224", encoding: "H224/4800", clock: 4800, pt: all[i].payload, sendPT: all[i].payload}
	if answer && len(l.list) > 0 {
		f.pt = l.list[0].pt
	}
	l.list = []format{f}
	l.theirs, l.wish = m.way(), s.wish()
	return nil
}
