package leg

import (
	"net/netip"

	"rotunda/init/config"
	"rotunda/services/media/control"
)

// marks are the code points of a leg's media (guide 15.7, by the service classes of RFC 4594): sound is voice, both pictures are
// multimedia (conferencing), and what goes to recorders and streamers is multimedia-streaming, which nobody talks over. The floor is
// signaling, and the far end's camera low-latency data.
func marks(d config.DSCP, streaming bool) control.DSCP {
	of := func(family int, kind string) uint8 {
		if streaming {
			kind = "multimedia-streaming"
		}
		value, _ := d.Of(family, kind)
		return uint8(value)
	}
	m := control.DSCP{Audio: of(4, "voice"), Video: of(4, "multimedia")}
	m.Six = control.DSCPSix{Audio: of(6, "voice"), Video: of(6, "multimedia")}
	m.Presentation, m.Six.Presentation = m.Video, m.Six.Video
	// One that is the same in both families has no need to say so.
	if m.Apart = m.Six != (control.DSCPSix{Audio: m.Audio, Video: m.Video, Presentation: m.Presentation}); !m.Apart {
		m.Six = control.DSCPSix{}
	}
	return m
}

// mark is the code point of a socket of a leg's own.
func (s *Legs) mark(local netip.Addr, kind string) uint8 {
	family := 4
	if local.Unmap().Is6() {
		family = 6
	}
	value, _ := s.o.Marks().Of(family, kind)
	return uint8(value)
}

// Remark brings what [Options.Marks] says now to calls that are up. Far ends need no new description for that. The floor and the camera of a leg
// keep theirs.
func (s *Legs) Remark() {
	for _, l := range s.all() {
		l.q.add(l.remark)
	}
}

func (l *Line) remark() {
	m := marks(l.legs.o.Marks(), l.streaming)
	if l.stage == over || l.session == nil || l.policy.DSCP == m {
		return
	}
	l.policy.DSCP = m
	l.session.SetPolicy(l.policy)
	// What is on its way to be agreed on comes with its own put.
	if l.stage == up && l.exchange == settled {
		l.media.Set(l.session.Plan(l.local))
	}
}
