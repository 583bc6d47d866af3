package roomsystem

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"rotunda/services/callbridge/floor"
)

// The payload types, as CE endpoints number them.
const (
	pcmuType  = 0
	h264Type  = 126 // packetization mode 1
	h264Type0 = 97
)

// The m-lines, in their order.
const (
	audioLine = iota
	mainLine
	floorLine
	slidesLine
	lineCount
)

// ports are what the endpoint has open for each line.
type ports [lineCount]uint16

// far is what the far end said of each line.
type far struct {
	at    [lineCount]netip.AddrPort
	floor floor.Agreement
}

// describe writes an offer, or the answer to an offer that has these lines. version is of o=.
func (o *Options) describe(p ports, version int, answer *sdp.SessionDescription) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	family := map[bool]string{true: "IP6", false: "IP4"}[o.Address.Is6()]
	line("v=0\r\no=tandberg 7 %d IN %s %v\r\ns=-\r\nc=IN %s %v\r\nb=AS:6000\r\nt=0 0", version, family, o.Address, family, o.Address)
	// Level 1.3 for what is as small as CIF, 3.1 otherwise.
	level := "42801f"
	if o.Width*o.Height <= 352*288 {
		level = "42800d"
	}
	for i := range lineCount {
		port := p[i]
		if answer != nil {
			if i >= len(answer.MediaDescriptions) {
				break
			}
			if answer.MediaDescriptions[i].MediaName.Port.Value == 0 {
				port = 0
			}
		}
		switch i {
		case audioLine:
			line("m=audio %d RTP/AVP 0\r\nb=TIAS:64000\r\na=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\na=sendrecv", port)
		case mainLine, slidesLine:
			types := []string{strconv.Itoa(h264Type0), strconv.Itoa(h264Type)}
			if answer != nil {
				types = slices.DeleteFunc(types, func(t string) bool { return !slices.Contains(answer.MediaDescriptions[i].MediaName.Formats, t) })
			}
			line("m=video %d RTP/AVP %s\r\nb=TIAS:2000000", port, strings.Join(types, " "))
			for _, t := range types {
				line("a=rtpmap:%s H264/90000\r\na=fmtp:%s profile-level-id=%s;packetization-mode=%d", t, t, level, map[string]int{strconv.Itoa(h264Type): 1}[t])
			}
			line("a=rtcp-mux\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir")
			if i == mainLine {
				line("a=content:main\r\na=label:11\r\na=answer:full\r\na=sendrecv")
			} else {
				line("a=content:slides\r\na=label:12\r\na=sendrecv")
			}
		case floorLine:
			transport, setup := "UDP", "actpass"
			if o.FloorTCP {
				transport = "TCP"
			}
			roles := "c-s\r\na=confid:1\r\na=floorid:2 mstrm:12\r\na=userid:7"
			if answer != nil {
				roles, setup = "c-only", "active"
			}
			line("m=application %d %s/BFCP *\r\na=floorctrl:%s\r\na=setup:%s\r\na=connection:new", port, transport, roles, setup)
		}
	}
	return []byte(b.String())
}

// read takes what the far end said, as an answer or as an offer.
func read(b []byte) (d *sdp.SessionDescription, f far, err error) {
	d = &sdp.SessionDescription{}
	if err := d.Unmarshal(b); err != nil {
		return nil, f, err
	}
	if len(d.MediaDescriptions) > lineCount || len(d.MediaDescriptions) == 0 {
		return nil, f, fmt.Errorf("%d m-lines: want 1 to %d", len(d.MediaDescriptions), lineCount)
	}
	for i, m := range d.MediaDescriptions {
		c := m.ConnectionInformation
		if c == nil {
			c = d.ConnectionInformation
		}
		if m.MediaName.Port.Value == 0 {
			continue
		}
		if c == nil || c.Address == nil {
			return nil, f, fmt.Errorf("no c= for the m-line %s", m.MediaName.Media)
		}
		addr, err := netip.ParseAddr(c.Address.Address)
		if err != nil {
			return nil, f, err
		}
		f.at[i] = netip.AddrPortFrom(addr, uint16(m.MediaName.Port.Value))
		if _, mux := m.Attribute("rtcp-mux"); i != floorLine && !mux {
			return nil, f, fmt.Errorf("%s without a=rtcp-mux: this endpoint has no other way", m.MediaName.Media)
		}
		if i == floorLine {
			if f.floor, err = readFloor(m, f.at[i]); err != nil {
				return nil, f, err
			}
		}
	}
	return d, f, nil
}

// readFloor reads the server's side of the floor.
func readFloor(m *sdp.MediaDescription, at netip.AddrPort) (a floor.Agreement, err error) {
	number := func(name string, bits int) uint64 {
		text, _ := m.Attribute(name)
		text, _, _ = strings.Cut(text, " ")
		n, wrong := strconv.ParseUint(text, 10, bits)
		if wrong != nil {
			err = fmt.Errorf("a=%s of the floor: %w", name, wrong)
		}
		return n
	}
	if roles, _ := m.Attribute("floorctrl"); roles != "s-only" {
		return a, errors.New("the far end is no floor control server, but " + roles)
	}
	setup, _ := m.Attribute("setup")
	a = floor.Agreement{Remote: at, ConferenceID: uint32(number("confid", 32)), UserID: uint16(number("userid", 16)), FloorID: uint16(number("floorid", 16)),
		Active: m.MediaName.Protos[0] == "TCP" && setup != "active"}
	return a, err
}
