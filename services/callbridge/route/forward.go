package route

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
)

// Trail is the header that says which calls a forwarded call has been: for each, who forwarded it and a mark of the address that was called.
const Trail = "X-Rotunda-Forwarded"

// maxTrail is how often a call may be forwarded by Call Bridges one after the other.
const maxTrail = 8

// forward makes the other side of a gateway call.
func (r *Router) forward(c Call, in dialplan.Incoming, l line) (meeting.Target, line) {
	to := in.Forward.To.String()
	if in.Forward.To.Secure {
		to = in.Forward.To.URI()
	}
	l = append(l.rule(in.Forward.Rule), "verdict", "forwarded to "+to)
	trail, again := r.trail(c)
	switch {
	case again:
		return meeting.Target{Reject: meeting.UnknownDestination}, append(l, "why", "the call was forwarded before and came back: the forwarding rules make a loop")
	case len(trail) > maxTrail:
		return meeting.Target{Reject: meeting.UnknownDestination}, append(l, "why", "the call was forwarded too often")
	case c.MaxForwards == 1:
		return meeting.Target{Reject: meeting.UnknownDestination}, append(l, "why", "the call has made as many hops as it may")
	}
	d := meeting.Dial{To: to, Tenant: in.Forward.Tenant, FromName: c.Name, From: c.From, PreserveFrom: in.Forward.PreserveCaller, Forwarded: true}
	if c.MaxForwards > 0 {
		d.Headers = append(d.Headers, [2]string{"Max-Forwards", strconv.Itoa(c.MaxForwards - 1)})
	}
	for _, one := range trail {
		d.Headers = append(d.Headers, [2]string{Trail, one})
	}
	return meeting.Target{Forward: &d, Tenant: in.Forward.Tenant}, append(l, "why", in.Why)
}

// trail is that of the call that is made, and whether this Call Bridge has forwarded the same call before.
func (r *Router) trail(c Call) (trail []string, again bool) {
	for _, value := range c.Forwarded {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			if len(one) > 0 && len(one) <= 80 && len(trail) <= maxTrail && !strings.ContainsFunc(one, unusual) {
				trail = append(trail, one)
			}
		}
	}
	own := r.mark(c.Called)
	return append(trail, own), slices.Contains(trail, own)
}

// mark says that this Call Bridge forwarded a call to an address. The address itself is nobody else's business.
func (r *Router) mark(called string) string {
	sum := sha256.Sum256([]byte(r.o.Machine.String() + " " + strings.ToLower(called)))
	return hex.EncodeToString(sum[:12])
}

func unusual(c rune) bool { return c <= ' ' || c > '~' || c == '"' }
