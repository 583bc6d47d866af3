package live

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/media/control"
)

// Alarms of a leg, in the order in which they are shown.
var alarmNames = []string{"packetLoss", "excessiveJitter", "highRoundTripTime"}

// legFilter are the conditions of call legs that compare no field.
type legFilter struct {
	// lower and upper bound availableVideoStreams; upper is -1 for no bound.
	lower, upper int
	// owned is "true", "false" or "" (ownerIdSet).
	owned string
	// alarms are those of which one must be on; nil for no condition.
	alarms []string
}

func readLegFilter(p api.Params) (f legFilter, err error) {
	f.upper = -1
	bound := func(name string, to *int) error {
		text := strings.TrimSpace(p.Get(name))
		if text == "" {
			return nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return &failure.Parameter{Name: name, Fault: failure.Invalid, Why: name + " is a number from 0 on"}
		}
		*to = n
		return nil
	}
	if err := bound("availableVideoStreamsLowerBound", &f.lower); err != nil {
		return f, err
	}
	if err := bound("availableVideoStreamsUpperBound", &f.upper); err != nil {
		return f, err
	}
	switch set := strings.ToLower(strings.TrimSpace(p.Get("ownerIdSet"))); set {
	case "", "true", "false":
		f.owned = set
	default:
		return f, &failure.Parameter{Name: "ownerIdSet", Fault: failure.Invalid, Why: "use true or false"}
	}
	for name := range strings.SplitSeq(strings.TrimSpace(p.Get("alarms")), "|") {
		i := slices.IndexFunc(alarmNames, func(a string) bool { return strings.EqualFold(a, name) })
		switch {
		case name == "":
		case strings.EqualFold(name, "all"):
			f.alarms = alarmNames
			return f, nil
		case i < 0:
			return f, &failure.Parameter{Name: "alarms", Fault: failure.Invalid, Why: "use all, or packetLoss, excessiveJitter and highRoundTripTime with | between them"}
		default:
			f.alarms = append(f.alarms, alarmNames[i])
		}
	}
	return f, nil
}

func (f legFilter) bounded() bool { return f.lower > 0 || f.upper >= 0 }

func (f legFilter) keeps(g meeting.LegInfo, streams func(meeting.LegInfo) int) bool {
	if f.owned != "" && strconv.FormatBool(g.OwnerID != "") != f.owned {
		return false
	}
	if f.alarms != nil && !slices.ContainsFunc(g.Alarms, func(a string) bool { return slices.Contains(f.alarms, a) }) {
		return false
	}
	if f.bounded() {
		if n := streams(g); n < f.lower || f.upper >= 0 && n > f.upper {
			return false
		}
	}
	return true
}

// legs are the call legs that a query asks for.
func (l *Live) legs(ctx context.Context, below *api.LiveParent, q api.LiveQuery) (int, []api.LiveObject, error) {
	f, err := readLegFilter(q.Params)
	if err != nil {
		return 0, nil, err
	}
	all := l.o.Control.Legs(call(below))
	streams := seen(all)
	if below != nil && below.Object == schema.Participant {
		all = slices.DeleteFunc(all, func(g meeting.LegInfo) bool { return g.Participant != below.ID })
	}
	all = slices.DeleteFunc(all, func(g meeting.LegInfo) bool { return !f.keeps(g, streams) })
	layouts := map[meeting.ID]string{}
	if q.Equal["status/activeLayout"] != "" {
		// The media engine knows which layout "automatic" is at the moment.
		var names []string
		for _, g := range all {
			names = append(names, g.MediaID)
		}
		figures := l.figures.of(ctx, names...)
		for _, g := range all {
			layouts[g.ID] = activeLayout(g, figures[g.MediaID])
		}
	}
	show := func(g meeting.LegInfo) api.LiveObject {
		v := values{}
		identify(v, g)
		v.text("status/activeLayout", layouts[g.ID])
		return api.LiveObject{ID: g.ID, Values: v, More: alarms(g)}
	}
	total, page := pick(all, q, func(g meeting.LegInfo) string { return g.Name }, show, schema.CallLeg)
	return total, page, nil
}

// seen counts, for each of these legs, how many others of its call could be seen: availableVideoStreams.
func seen(all []meeting.LegInfo) func(meeting.LegInfo) int {
	shown := map[meeting.ID]int{}
	for _, g := range all {
		if visible(g) {
			shown[g.Call]++
		}
	}
	return func(g meeting.LegInfo) int {
		if g.Call == (meeting.ID{}) || g.Deactivated {
			return 0
		}
		n := shown[g.Call]
		if visible(g) {
			n-- // not oneself
		}
		return n
	}
}

// visible says whether others of the call can be shown what the leg sends.
func visible(g meeting.LegInfo) bool {
	return g.Call != (meeting.ID{}) && g.Participant != (meeting.ID{}) && g.State == meeting.Connected && !g.Deactivated && g.Media.Video && !g.Muted.RxVideo
}

// identify are the fields that lists show, and those that filters compare.
func identify(v values, g meeting.LegInfo) {
	v.text("name", g.Name)
	v.text("remoteParty", g.Remote)
	v.text("originalRemoteParty", g.Original)
	v.text("localAddress", g.Local)
	v.id("call", g.Call)
	v.id("tenant", g.Tenant)
	v.id("participant", g.Participant)
}

func alarms(g meeting.LegInfo) []api.Element {
	e := api.Element{Name: "alarms"}
	for _, name := range alarmNames {
		if slices.Contains(g.Alarms, name) {
			e.Elements = append(e.Elements, api.Element{Name: name})
		}
	}
	return []api.Element{e}
}

// activeLayout is the layout that is seen: that of the engine where it has worked one out.
func activeLayout(g meeting.LegInfo, s control.LegStats) string {
	if slices.Contains(schema.Layouts, s.Layout) {
		return s.Layout
	}
	return g.Layout
}

// leg is a call leg with everything that is known of it.
func (l *Live) leg(ctx context.Context, g meeting.LegInfo) api.LiveObject {
	v := values{}
	// What is in force, from whatever profile; what was set for this leg alone is among it.
	g.Rights.Values(func(f *schema.Field, value string, _ profiles.Scope) bool {
		if own := schema.CallLeg.Field(f.Name); own != nil && own.Group == "configuration" {
			v.text(own.Key(), value)
		}
		return true
	})
	identify(v, g)
	v.text("type", kind(g.Kind))
	v.text("subType", g.Sub)
	v.text("direction", string(g.Direction))
	v.bool("canMove", g.CanMove)
	v.id("movedCallLeg", g.Moved)

	v.text("ownerId", g.OwnerID)
	v.text("chosenLayout", g.ChosenLayout)
	v.id("callLegProfile", g.OwnProfile)
	v.text("nameLabelOverride", g.NameOverride)
	v.text("handStatus", hand(g.HandRaised))
	// Mutes change by key tones and by others, beside what a profile began with.
	v.bool("rxAudioMute", g.Muted.RxAudio)
	v.bool("txAudioMute", g.Muted.TxAudio)
	v.bool("rxVideoMute", g.Muted.RxVideo)
	v.bool("txVideoMute", g.Muted.TxVideo)

	stats, there := l.figures.of(ctx, g.MediaID)[g.MediaID]
	v.text("status/state", string(g.State))
	l.seconds(v, "status/durationSeconds", g.Connected)
	v.text("status/direction", string(g.Direction))
	v.text("status/sipCallId", g.SIPID)
	v.id("status/groupId", g.Group)
	v.bool("status/recording", g.Recording)
	v.bool("status/streaming", g.Streaming)
	v.bool("status/deactivated", g.Deactivated)
	v.bool("status/encryptedMedia", g.Media.Encrypted)
	v.bool("status/unencryptedMedia", g.Media.Unencrypted)
	v.text("status/cipherSuite", g.Media.Cipher)
	v.text("status/layout", g.Layout)
	v.text("status/activeLayout", activeLayout(g, stats))
	v.text("status/layoutTemplate", v["layoutTemplate"])
	v.number("status/availableVideoStreams", seen(l.others(g))(g))
	v.bool("status/cameraControlAvailable", g.Media.Camera)
	if there {
		streams(v, stats)
	}
	return api.LiveObject{ID: g.ID, Values: v, More: alarms(g)}
}

// others are the legs of the leg's call.
func (l *Live) others(g meeting.LegInfo) []meeting.LegInfo {
	if g.Call == (meeting.ID{}) {
		return nil // the zero ID would ask for all
	}
	return l.o.Control.Legs(g.Call)
}

// kind is "acano" for browsers, and "sip" for everything else.
func kind(k string) string {
	if k == "acano" {
		return k
	}
	return "sip"
}
