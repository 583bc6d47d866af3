package sdp

import (
	"bytes"
	"slices"
	"strings"

	"rotunda/services/media/control"
)

// encryption is that of the policy.
func (s *Session) encryption() Encryption {
	if s.policy.Encryption == "" {
		return Optional
	}
	return s.policy.Encryption
}

// protection is what the protocol of an m-line says of security.
type protection uint8

const (
	foreign protection = iota // none of RTP over UDP
	open                      // RTP/AVP, RTP/AVPF: plain, unless keys are beside it
	keyed                     // RTP/SAVP, RTP/SAVPF: SDES, or DTLS in the manner of old browsers
	shaken                    // UDP/TLS/RTP/SAVP(F): DTLS
)

func protectionOf(proto string) protection {
	switch proto {
	case "RTP/AVP", "RTP/AVPF":
		return open
	case "RTP/SAVP", "RTP/SAVPF":
		return keyed
	case "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return shaken
	}
	return foreign
}

// takeTransport reads how an RTP line is reached and protected. answer: the line is one that we offered.
func (s *Session) takeTransport(l *line, m *media, lite, answer bool) *Refused {
	if !m.at().there {
		return refuse(301, "no c= line for %v", l.role)
	}
	if m.at().addr.IsMulticast() {
		return refuse(301, "%v goes to a group: want the address of one machine", l.role)
	}
	kind := protectionOf(m.proto)
	if kind == foreign {
		return refuse(302, "%v over %.40s: want RTP/AVP, RTP/SAVP or UDP/TLS/RTP/SAVP, with or without F", l.role, m.proto)
	}
	if answer && kind == open && protectionOf(strings.ToUpper(l.proto)) != open {
		return refuse(302, "%v was offered as %s and is answered as %s", l.role, l.proto, m.proto)
	}
	l.zeros = m.zeros()
	if c := m.at(); c.addr.IsValid() || !l.agreed {
		l.six = c.six
	}
	rtp, rtcp := m.remote()
	if rtp.IsValid() || !l.zeros {
		// On hold by zeros the way back stays what it was.
		l.remote, l.remoteRTCP = rtp, rtcp
	}
	offered := l.mux // in an answer: what we said
	l.mux = m.has("rtcp-mux") && (!answer || offered)
	if err := s.takeSecurity(l, m, kind, answer); err != nil {
		return err
	}
	s.takeICE(l, m, lite)
	if l.ice != nil {
		l.zeros = false // candidates may still come, and until then there is no address to name (RFC 8840)
	}
	l.agreed = true
	return nil
}

// takeSecurity decides between keys in the description, keys by a handshake, and none.
func (s *Session) takeSecurity(l *line, m *media, kind protection, answer bool) *Refused {
	none := func(why string) *Refused {
		return refuse(399, "media must be encrypted: %v has %s", l.role, why)
	}
	if answer && l.security == control.Plain || !answer && s.encryption() == Prohibited {
		if kind != open {
			return refuse(302, "media encryption is disabled: want %v as RTP/AVP", l.role)
		}
		l.plain()
		return nil
	}
	keys, all := m.cryptos()
	prints := m.fingerprints()
	was := l.security
	if answer {
		// Only what was offered can be answered.
		if was != control.SDES {
			keys, all = nil, 0
		}
		if was != control.DTLS {
			prints = nil
		}
		keys = slices.DeleteFunc(keys, func(c cryptoLine) bool { return s.offeredSuite(l, c.tag) != c.suite })
	} else {
		wanted := s.policy.suites()
		keys = slices.DeleteFunc(keys, func(c cryptoLine) bool { return !slices.Contains(wanted, c.suite) })
	}
	switch {
	case len(keys) > 0 && kind != shaken:
		c := keys[0]
		if !bytes.Equal(c.key, l.remoteKey) {
			l.remoteKey = c.key
		}
		l.security, l.suite, l.tag = control.SDES, c.suite, c.tag
		s.key(l, c.suite)
		l.fingerprints = nil
		return nil
	case len(prints) > 0:
		if err := s.takeHandshake(l, m, prints, answer); err == nil || kind != open || s.encryption() == Required {
			return err
		}
	case kind != open && all > 0:
		return refuse(399, "no a=crypto for %v that can be used: want %s without a key identifier (MKI)", l.role, strings.Join(s.policy.suites(), ", "))
	case kind != open:
		return refuse(399, "%v is %s without a=crypto or a=fingerprint", l.role, m.proto)
	}
	if s.encryption() == Required {
		return none("neither a=crypto nor a=fingerprint that can be used")
	}
	l.plain()
	return nil
}

func (l *line) plain() {
	l.security, l.suite, l.tag, l.remoteKey, l.fingerprints = control.Plain, "", 0, nil, nil
}

// takeHandshake reads a=setup and the fingerprints of DTLS-SRTP (RFC 5763, RFC 8842). The media engine has it with rtcp-mux alone.
func (s *Session) takeHandshake(l *line, m *media, prints []string, answer bool) *Refused {
	if !l.mux {
		return refuse(306, "DTLS-SRTP for %v without a=rtcp-mux: offer that, or a=crypto", l.role)
	}
	setup, _ := m.inherited("setup")
	same := l.security == control.DTLS && slices.Equal(l.fingerprints, prints)
	switch strings.ToLower(setup) {
	case "active":
		l.active = false
	case "passive":
		l.active = true
	case "actpass", "":
		// Whoever is asked to choose becomes the client (RFC 5763, 5), and stays what it was while the association lasts.
		if answer {
			return refuse(307, "the answer for %v has a=setup:%.10s: want active or passive", l.role, setup)
		}
		if !same {
			l.active = true
		}
	default:
		return refuse(307, "a=setup:%.20s for %v: want actpass, active or passive", setup, l.role)
	}
	l.security, l.suite, l.tag, l.remoteKey = control.DTLS, "", 0, nil
	l.fingerprints = prints
	return nil
}

// offers are the suites of our offer for a line, each with its tag. What was agreed on is offered alone: media then go on as they are.
func (s *Session) offers(l *line) []cryptoLine {
	if l.agreed && l.suite != "" {
		return []cryptoLine{{tag: max(l.tag, 1), suite: l.suite, key: s.key(l, l.suite)}}
	}
	var list []cryptoLine
	for i, suite := range s.policy.suites() {
		list = append(list, cryptoLine{tag: i + 1, suite: suite, key: s.key(l, suite)})
	}
	return list
}

func (s *Session) offeredSuite(l *line, tag int) string {
	for _, c := range s.offers(l) {
		if c.tag == tag {
			return c.suite
		}
	}
	return ""
}
