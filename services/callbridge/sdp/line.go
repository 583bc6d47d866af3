package sdp

import (
	"maps"
	"net/netip"
	"slices"

	"rotunda/services/media/control"
)

// role is what an m-line is for.
type role uint8

const (
	noRole role = iota // of no use for us; always rejected
	audioRole
	mainRole
	screenRole
	floorRole
	cameraRole
)

var roleNames = [...]string{"media", "audio", "video", "presentation", "BFCP", "H.224"}

func (r role) String() string { return roleNames[r] }

// streamed tells the roles that the media engine carries.
func (r role) streamed() bool { return r == audioRole || r == mainRole || r == screenRole }

// state is a session at one moment: in force, or being negotiated.
type state struct {
	// lines in the order of the description, for ever in the same place.
	lines []line
	// peer and user are of the far end's o= ([description]).
	peer, user string
	// limit is the far end's b= of the session in bits per second.
	limit int
	// bundle are the mids of one transport, in order.
	bundle []string
	// content says that a=content is spoken here.
	content bool
	// lite: the far end does ICE lite.
	lite bool
	// rekey: our keys are known to somebody who is no longer there; the next offer has new ones.
	rekey bool
	// theirs: the far end made the last offer.
	theirs bool
	// lacks are the roles that the far end has shown to have no use for: its offer had nothing for them, or its answer refused them.
	lacks [cameraRole + 1]bool
}

func (s *state) clone() *state {
	c := *s
	c.lines = make([]line, len(s.lines))
	for i := range s.lines {
		c.lines[i] = s.lines[i].clone()
	}
	return &c
}

// find is the line of a role that is on, nil for none.
func (s *state) find(r role) *line {
	for i := range s.lines {
		if l := &s.lines[i]; l.role == r && l.on {
			return l
		}
	}
	return nil
}

// carrier is the line whose transport a line uses: with BUNDLE the first of the group.
func (s *state) carrier(l *line) *line {
	if !l.bundled {
		return l
	}
	for _, mid := range s.bundle {
		for i := range s.lines {
			if o := &s.lines[i]; o.on && o.bundled && o.mid == mid {
				return o
			}
		}
	}
	return l
}

// line is an m-line. Slices in it are replaced, never changed in place; types alone is copied by clone.
type line struct {
	role role
	// media, proto and formats are as in the m-line; formats are what a rejected line repeats.
	media, proto, formats string
	on                    bool
	mid                   string
	bundled               bool

	// home is the transport of the line's own, -1 while it has none.
	home int

	// security and what it needs. tag and suite are of the a=crypto agreed on; in an offer of ours suite is that of the first.
	security     control.Security
	suite        string
	tag          int
	agreed       bool // the far end has said something for this line
	keys         []cryptoLine
	remoteKey    []byte
	active       bool // DTLS: we send ClientHello
	fingerprints []string

	mux                bool
	remote, remoteRTCP netip.AddrPort
	six                bool // family of the far end's address
	ice                *control.ICE

	// wish is the direction that we want, theirs what the far end said last, as it sees it; zeros the old way to hold.
	wish, theirs way
	zeros        bool

	// types remembers what every payload type has meant.
	types map[uint8]string
	list  []format
	// spare are formats that we offered and the far end left out of its answer. Some endpoints send them all the same: baresip lists one
	// payload type for each of its codecs, and sends with the first that was offered.
	spare   []format
	dtmf    []format
	packet  int // ms that we send
	limit   int // the far end's b= of this line
	fps     int // the far end's most frames a second
	fb      feedback
	level   uint8 // header extensions
	midx    uint8
	tcc     uint8
	content string
	label   string

	floor *Floor
}

func (l *line) clone() line {
	c := *l
	c.types = maps.Clone(l.types)
	return c
}

// reject turns the line off; port 0 says so.
func (l *line) reject() { l.on, l.bundled = false, false }

// way is what flows, seen from us.
func (l *line) way() way {
	w := l.wish.and(l.theirs.reverse())
	if l.zeros {
		w.send = false
	}
	return w
}

// remember ties a payload type to a format for the life of the line.
func (l *line) remember(pt uint8, key string) {
	if l.types == nil {
		l.types = map[uint8]string{}
	}
	l.types[pt] = key
}

// assign gives a format the payload type that it had, or the usual one, or a free one.
func (l *line) assign(key string, usual uint8) uint8 {
	for pt := range uint8(128) {
		if l.types[pt] == key {
			return pt
		}
	}
	if _, taken := l.types[usual]; taken {
		for pt := uint8(96); pt < 128; pt++ {
			if _, taken := l.types[pt]; !taken {
				usual = pt
				break
			}
		}
	}
	l.remember(usual, key)
	return usual
}

// format is one payload type that was agreed on or is offered.
type format struct {
	key   string // what it is, for comparisons
	codec string // by its name in package control; "" for keys and retransmissions
	// encoding is what rtpmap says.
	encoding string
	clock    int
	// pt is what comes to us, sendPT what the far end wants.
	pt, sendPT uint8
	// rtx are the payload types of retransmissions, 0 for none.
	rtx, sendRTX uint8
	// their is what the far end can take.
	their control.Format
	// fb is what was said for this payload type.
	fb feedback
	// bits a second and frames in hundredths a second that the far end can take, 0 for no bound.
	bits, fps int
	// H.264, ours: the first two bytes of profile-level-id, packetization-mode, and the highest level that we may say, 0 for any.
	profile  [2]byte
	mode     int
	maxLevel uint8
}

func (l *line) holds(key string) bool {
	return slices.ContainsFunc(l.list, func(f format) bool { return f.key == key })
}
