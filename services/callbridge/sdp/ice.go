package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/media/control"
)

// maxCandidates is what the media engine takes of one generation.
const maxCandidates = 32

// takeICE reads the far end's ICE (RFC 8839). Without credentials there is none, and without rtcp-mux the media engine has none.
func (s *Session) takeICE(l *line, m *media, lite bool) {
	was := l.ice
	l.ice = nil
	if s.policy.ICE == nil || !l.mux {
		return
	}
	ufrag, _ := m.inherited("ice-ufrag")
	password, _ := m.inherited("ice-pwd")
	if !iceWord(ufrag, 4) || !iceWord(password, 22) {
		return
	}
	l.ice = &control.ICE{Ufrag: strings.Clone(ufrag), Password: strings.Clone(password), Lite: s.policy.ICE.Lite && !lite, RelayOnly: s.policy.ICE.RelayOnly && !s.policy.ICE.Lite,
		Servers: s.policy.ICE.Servers, Controlling: lite}
	if was != nil {
		l.ice.Lite, l.ice.Controlling, l.ice.RelayOnly, l.ice.Servers, l.ice.Restart = was.Lite, was.Controlling, was.RelayOnly, was.Servers, was.Restart
		if was.Ufrag != ufrag || was.Password != password {
			l.ice.Restart++
		}
	}
	m.all("candidate", func(value string) {
		if c, ok := candidate(value); ok && len(l.ice.Candidates) < maxCandidates && !slices.Contains(l.ice.Candidates, c) {
			l.ice.Candidates = append(l.ice.Candidates, c)
		}
	})
}

// iceWord tells whether s is made of ice-chars, at least so many and at most 256.
func iceWord(s string, least int) bool {
	return len(s) >= least && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '+' || r == '/')
	})
}

// candidate reads "foundation component transport priority address port typ type …" and writes it anew with what counts. Only UDP, the component
// of RTP, and addresses are of use: names of mDNS nobody resolves here, and such peers are found by their checks.
func candidate(value string) (string, bool) {
	f := strings.Fields(value)
	if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") || f[6] != "typ" || !iceWord(f[0], 1) || len(f[0]) > 32 {
		return "", false
	}
	priority, err := strconv.ParseUint(f[3], 10, 31)
	if err != nil {
		return "", false
	}
	addr, err := netip.ParseAddr(f[4])
	if err != nil || addr.IsUnspecified() || addr.IsMulticast() {
		return "", false
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil || port == 0 {
		return "", false
	}
	c := fmt.Sprintf("%s 1 udp %d %s %d typ %s", f[0], priority, addr.Unmap().WithZone(""), port, f[7])
	switch f[7] {
	case "host":
		return c, true
	case "srflx", "prflx", "relay":
	default:
		return "", false
	}
	// Where it comes from is of no use to us, but has to be there.
	related, relatedPort := netip.IPv4Unspecified(), uint64(0)
	if addr.Is6() && !addr.Is4In6() {
		related = netip.IPv6Unspecified()
	}
	for i := 8; i+1 < len(f); i += 2 {
		switch f[i] {
		case "raddr":
			if a, err := netip.ParseAddr(f[i+1]); err == nil {
				related = a.WithZone("")
			}
		case "rport":
			if n, err := strconv.ParseUint(f[i+1], 10, 16); err == nil {
				relatedPort = n
			}
		}
	}
	return fmt.Sprintf("%s raddr %s rport %d", c, related, relatedPort), true
}
