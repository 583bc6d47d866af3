package live

import (
	"strings"

	"rotunda/services/callbridge/licence"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces"
	"rotunda/services/callbridge/store"
)

// Usage is what the calls on this Call Bridge use of licences (guide chapters 17.1.5 to 17.1.9).
func (l *Live) Usage() licence.Usage {
	calls := l.o.Control.Calls()
	if len(calls) == 0 {
		return licence.Usage{}
	}
	v := l.o.View()
	list := make([]licence.Call, 0, len(calls))
	for _, c := range calls {
		one := licence.Call{ID: c.ID, Began: c.Started, Space: c.Type == meeting.SpaceCall, Participants: c.Participants, Local: c.Participants,
			Recording: c.Recording, Streaming: c.Streaming, Bridges: 1}
		for _, g := range l.o.Control.Legs(c.ID) {
			switch {
			case g.Recording || g.Streaming:
				// Recorder and streamer are participants to the licences (guide 17.1.9).
				one.Participants++
				one.Local++
			case g.Media.Video:
				one.Video = true
			}
		}
		if v != nil {
			one.Claims = claims(v, c)
		}
		list = append(list, one)
	}
	return licence.Count(list)
}

// claims are those who may pay for a call with a personal licence: the owner of the space, and who scheduled the meeting. There is no ad hoc
// escalation here.
func claims(v store.View, c meeting.CallInfo) []licence.Claim {
	space := v.Get(schema.CoSpace, c.Space)
	if c.Space == (meeting.ID{}) || space == nil {
		return nil
	}
	var list []licence.Claim
	for _, user := range []*store.Record{v.Ref(space, "ownerId"), scheduler(v, space)} {
		if user != nil {
			list = append(list, licence.Claim{User: user.ID(), Licensed: profiles.ForUser(v, user).Bool("hasLicense")})
		}
	}
	return list
}

// scheduler is the user whose JID is the meetingScheduler of a space.
func scheduler(v store.View, space *store.Record) *store.Record {
	jid := space.Text("meetingScheduler")
	if !strings.Contains(jid, "@") {
		return nil
	}
	return spaces.UserByJID(v, strings.ToLower(jid))
}
