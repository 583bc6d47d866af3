package licence

import (
	"cmp"
	"slices"
	"time"

	"rotunda/services/callbridge/store"
)

// Call is what counting needs to know of an active call.
type Call struct {
	ID    store.ID
	Began time.Time
	// Claims are those who may pay for the call with a personal licence, in the order of guide chapter 17.1.7: the owner of the space, who
	// escalated an ad hoc call, who scheduled it. Those that do not exist are left out.
	Claims []Claim
	// Space is set when the call is in a permanent space.
	Space bool
	// Participants on all Call Bridges, recorder and streamer among them; Local are those on this one.
	Participants, Local int
	// Video is set when at least one participant uses video.
	Video bool
	// AVMCU is set when participants are on a Lync AVMCU. A gateway call to Lync without it is a point-to-point call.
	AVMCU                bool
	Recording, Streaming bool
	// Bridges is how many Call Bridges the call is on, this one among them.
	Bridges int
}

// Claim is a user who may pay for a call.
type Claim struct {
	User store.ID
	// Licensed users were imported and have hasLicense in their profile.
	Licensed bool
}

// Kind is what a call without a personal licence counts as.
type Kind uint8

// The kinds.
const (
	// Full calls take a whole shared licence.
	Full Kind = iota
	// Audio calls have nobody with video.
	Audio
	// PointToPoint calls have no space and two participants at most.
	PointToPoint
)

// CallsOfOne is how many calls one personal licence serves at a time: one that begins while the other ends (guide chapter 17.1.5.1).
const CallsOfOne = 2

// reduced is the part of a shared licence that audio and point-to-point calls take (guide chapter 17.1.9).
const reduced = 1.0 / 6

// Kind is what the call counts as when no personal licence pays for it.
func (c Call) Kind() Kind {
	switch {
	case !c.Video:
		return Audio
	case !c.Space && c.Participants <= 2 && !c.AVMCU && !c.Recording && !c.Streaming:
		return PointToPoint
	}
	return Full
}

// weight is this Call Bridge's part of the call: the sum over a cluster is the number of its calls.
func (c Call) weight() float64 { return 1 / float64(max(c.Bridges, 1)) }

// PersonalUse is that of one user's licence.
type PersonalUse struct {
	User     store.ID
	Calls    int
	Weighted float64
}

// Usage is what is in use on this Call Bridge. Weighted figures count a call on n Call Bridges as 1/n.
type Usage struct {
	Participants int
	Calls        int
	Weighted     float64
	// Personal are the users whose licences are in use, by ID.
	Personal []PersonalUse
	// Shared are the calls without a personal licence.
	Shared         int
	SharedWeighted float64
	// The same by kind, weighted.
	Audio, PointToPoint, Full float64
	Recordings, Streams       int
}

// Licences is how many shared licences are consumed: a sixth for audio and point-to-point calls.
func (u Usage) Licences() float64 { return u.Full + (u.Audio+u.PointToPoint)*reduced }

// PersonalLicences is how many personal licences are in use; two calls of one user are one licence.
func (u Usage) PersonalLicences() float64 {
	n := 0.0
	for _, p := range u.Personal {
		n += min(p.Weighted, 1)
	}
	return n
}

// Count decides which licence pays for each call, and sums up. Calls that began first are served first.
func Count(calls []Call) Usage {
	calls = slices.Clone(calls)
	slices.SortFunc(calls, func(a, b Call) int { return cmp.Or(a.Began.Compare(b.Began), slices.Compare(a.ID[:], b.ID[:])) })
	var u Usage
	personal := map[store.ID]*PersonalUse{}
	for _, c := range calls {
		u.Calls++
		u.Weighted += c.weight()
		u.Participants += c.Local
		if c.Recording {
			u.Recordings++
		}
		if c.Streaming {
			u.Streams++
		}
		if p := pays(c, personal); p != nil {
			p.Calls++
			p.Weighted += c.weight()
			continue
		}
		u.Shared++
		u.SharedWeighted += c.weight()
		switch c.Kind() {
		case Audio:
			u.Audio += c.weight()
		case PointToPoint:
			u.PointToPoint += c.weight()
		default:
			u.Full += c.weight()
		}
	}
	for _, p := range personal {
		u.Personal = append(u.Personal, *p)
	}
	slices.SortFunc(u.Personal, func(a, b PersonalUse) int { return slices.Compare(a.User[:], b.User[:]) })
	return u
}

// pays returns the personal licence that pays for a call; nil when none does. It is the first claim with a licence that counts: where that
// one is used up already, the call takes a shared one.
func pays(c Call, personal map[store.ID]*PersonalUse) *PersonalUse {
	for _, claim := range c.Claims {
		if !claim.Licensed || claim.User == (store.ID{}) {
			continue
		}
		p := personal[claim.User]
		if p == nil {
			p = &PersonalUse{User: claim.User}
			personal[claim.User] = p
		}
		if p.Calls == CallsOfOne {
			return nil
		}
		return p
	}
	return nil
}
