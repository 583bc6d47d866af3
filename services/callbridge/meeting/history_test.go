package meeting

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

// histories is how many of them there are; more than usual find what is rare.
var histories = flag.Int("histories", 25, "how many random histories to go through")

// TestHistories does at random what callers, the API, the engine and time do, and looks after each step whether what must always hold holds.
func TestHistories(t *testing.T) {
	tenant := put(t, schema.Tenants, ID{}, fields{"name": "t", "participantLimit": "9", "dtmfProfile": put(t, schema.DTMFProfile, ID{}, fields{"toggleMuteSelfAudio": "1",
		"nextLayout": "2", "lockCall": "3", "unlockCall": "4", "endCall": "5", "muteAllExceptSelfAudio": "6", "muteAllNewAudio": "7", "startRecording": "8", "stopRecording": "9",
		"getTotalParticipantCount": "0"}).ID().String()}).ID().String()
	everything := fields{"callLockAllowed": "true", "muteOthersAllowed": "true", "changeJoinAudioMuteOverrideAllowed": "true", "recordingControlAllowed": "true",
		"joinToneParticipantThreshold": "5", "leaveToneParticipantThreshold": "5"}
	var ways []Target
	var profiles []*store.Record
	for i, mode := range []string{"deactivate", "disconnect", "remainActivated"} {
		guest := fields{"needsActivation": "true", "deactivationMode": mode, "deactivationModeTime": fmt.Sprint(10 * i)}
		own := put(t, schema.CallLegProfile, ID{}, guest)
		profiles = append(profiles, own)
		s := space(t, fields{"tenant": tenant, "callLegProfile": own.ID().String(), "callProfile": callProfileOf(t, fields{"participantLimit": "5",
			"lockMode": []string{"all", "needsActivation"}[i%2], "recordingMode": []string{"manual", "automatic", "disabled"}[i], "sipRecorderUri": "rec@example.com"})})
		host := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "callLegProfile": profile(t, with(everything, "needsActivation", "false"))})
		code := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "passcode": "11"})
		ways = append(ways, Target{Entries: []Entry{{Space: s}}}, Target{Entries: []Entry{{Space: s, Method: host}}}, Target{Entries: []Entry{{Space: s}, {Space: s, Method: code}}})
	}
	ways = append(ways, Target{Any: true}, Target{Forward: &Dial{To: "far@example.com"}}, Target{Reject: RemoteRejected})
	for seed := range uint64(*histories) {
		h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 5)), ways: ways, profiles: profiles}
		for step := 0; step < 120 && !t.Failed(); step++ {
			did := h.step()
			h.settle()
			h.collect()
			if h.check(); t.Failed() {
				t.Fatalf("seed %d, step %d: after %s", seed, step, did)
			}
		}
		h.calls.Close(t.Context())
		h.settle()
		h.collect()
		h.check()
		if n := len(h.model.calls) + len(h.model.participants) + len(h.model.legs); n != 0 || h.sinks != 0 {
			t.Fatalf("seed %d: %d things and %d recordings began and are not over", seed, n, h.sinks)
		}
		if len(h.calls.tenants)+len(h.calls.media)+h.calls.recordings+h.calls.streams != 0 {
			t.Fatalf("seed %d: something is still counted: %v, %d legs, %d recordings", seed, h.calls.tenants, len(h.calls.media), h.calls.recordings)
		}
	}
}

type history struct {
	*world
	r    *rand.Rand
	ways []Target
	fars []*far
	// profiles are those of the spaces, which change.
	profiles []*store.Record
	seen     int // of changes
	over     map[ID]bool
	sinks    int
	model    struct {
		calls        map[ID]CallInfo
		participants map[ID]ParticipantInfo
		legs         map[ID]LegInfo
	}
}

func (h *history) some() *far {
	if len(h.fars) == 0 {
		return nil
	}
	return h.fars[h.r.IntN(len(h.fars))]
}

func anyOf[T any](r *rand.Rand, list []T) (one T) {
	if len(list) == 0 {
		return one
	}
	return list[r.IntN(len(list))]
}

// step does one thing.
func (h *history) step() string {
	h.mu.Lock()
	for i := range h.dials {
		known := false
		for _, f := range h.fars {
			known = known || f.fakeLine == h.dials[i]
		}
		if !known {
			h.fars = append(h.fars, &far{w: h.world, fakeLine: h.dials[i], leg: h.dials[i].caller.(*Leg)})
		}
	}
	h.mu.Unlock()
	call, participant, leg := anyOf(h.r, h.calls.Calls()).ID, anyOf(h.r, h.calls.Participants(ID{})).ID, anyOf(h.r, h.calls.Legs(ID{})).ID
	flag := []string{"true", "false", ""}[h.r.IntN(3)]
	ctx := h.t.Context()
	f := h.some()
	if f == nil || h.r.IntN(5) == 0 {
		w := anyOf(h.r, h.ways)
		f = h.arrives(fmt.Sprint("far", len(h.fars)), w)
		h.fars = append(h.fars, f)
		if h.r.IntN(4) > 0 {
			f.answersWith(MediaInfo{Audio: true, Video: h.r.IntN(2) == 0, Presentation: h.r.IntN(2) == 0})
		}
		return "an arrival"
	}
	switch h.r.IntN(25) {
	case 23:
		change(h.t, anyOf(h.r, h.profiles), fields{anyOf(h.r, []string{"needsActivation", "rxAudioMute", "presentationContributionAllowed", "maxCallDurationTime", "participantLabels"}): ""})
		p := anyOf(h.r, h.profiles)
		f := anyOf(h.r, []string{"needsActivation", "needsActivation", "rxAudioMute", "maxCallDurationTime"})
		v := flag
		if f == "maxCallDurationTime" {
			v = "20"
		}
		change(h.t, p, fields{f: v})
		h.calls.Refresh()
		return "a change of the profile " + f
	case 0, 1:
		f.leg.Answered(Identity{}, full)
		return "an answer"
	case 2, 3:
		f.leg.Ended(RemoteTeardown, true)
		return "a hang-up"
	case 4:
		f.leg.Ringing()
		return "ringing"
	case 5, 6, 7:
		k := anyOf(h.r, []rune("0123456789#"))
		f.leg.Key(k)
		return "key " + string(k)
	case 8:
		f.leg.WantsFloor()
		return "a request for the floor"
	case 9:
		f.leg.LeavesFloor()
		return "the end of a presentation"
	case 10:
		f.leg.Held(h.r.IntN(2) == 0)
		return "hold"
	case 11:
		f.leg.EndpointRecords(h.r.IntN(2) == 0)
		return "a recording endpoint"
	case 12:
		d := time.Duration(h.r.IntN(30)) * time.Second
		h.pass(d)
		return d.String()
	case 13:
		h.calls.UpdateCall(ctx, call, fields{anyOf(h.r, []string{"locked", "allowAllMuteSelf", "allowAllPresentationContribution", "joinAudioMuteOverride", "recording", "activeWhenEmpty"}): flag})
		return "an update of a call"
	case 14:
		h.calls.UpdateParticipant(ctx, participant, fields{anyOf(h.r, []string{"deactivated", "rxAudioMute", "needsActivation", "importance"}): flag})
		return "an update of a participant"
	case 15:
		h.calls.UpdateLeg(ctx, leg, fields{anyOf(h.r, []string{"needsActivation", "presentationContributionAllowed", "presentationViewingAllowed", "deactivated", "txVideoMute"}): flag})
		return "an update of a leg"
	case 16:
		h.calls.UpdateAll(ctx, call, func(p ParticipantInfo) bool { return p.ID[0]%2 == 0 }, fields{anyOf(h.r, []string{"deactivated", "rxAudioMute", "layout"}): map[bool]string{true: "stacked", false: flag}[flag == ""]})
		return "an update of all"
	case 17:
		h.calls.AddParticipant(ctx, call, fields{"remoteParty": "out@example.com", "confirmation": flag})
		return "a call out"
	case 18:
		h.calls.AddParticipant(ctx, call, fields{"movedParticipant": participant.String()})
		return "a move"
	case 19:
		h.calls.AddLeg(ctx, call, participant, fields{"remoteParty": "leg@example.com", "confirmation": "false"})
		return "a second leg"
	case 20:
		switch h.r.IntN(6) {
		case 0:
			h.calls.EndCall(ctx, call, APITeardown)
		case 1:
			h.calls.CreateCall(ctx, fields{"name": "ad hoc", "activeWhenEmpty": flag})
		case 2:
			h.calls.CreateCall(ctx, fields{"coSpace": anyOf(h.r, h.ways[:9]).Entries[0].Space.ID().String()})
		default:
			h.calls.DropParticipant(ctx, participant, APITeardown)
		}
		return "an order about a call"
	case 21:
		h.calls.DropLeg(ctx, leg, APITeardown)
		return "a leg dropped"
	case 22:
		var lost []string
		for _, l := range h.calls.Legs(ID{}) {
			lost = append(lost, l.MediaID)
		}
		h.mixer.Event(control.Event{Event: control.EventLost, Legs: lost, Conference: call.String(), Worker: "0.0"})
		return "the death of a worker"
	default:
		f.played()
		return "the end of prompts"
	}
}

// collect brings the model of an observer up to date, and checks that changes make sense one after the other.
func (h *history) collect() {
	h.mu.Lock()
	list := h.changes[h.seen:]
	h.seen = len(h.changes)
	h.mu.Unlock()
	if h.model.calls == nil {
		h.model.calls, h.model.participants, h.model.legs, h.over = map[ID]CallInfo{}, map[ID]ParticipantInfo{}, map[ID]LegInfo{}, map[ID]bool{}
	}
	for i, c := range list {
		if want := uint64(h.seen - len(list) + i + 1); c.Number != want {
			h.t.Errorf("want change %d, got %d", want, c.Number)
		}
		switch c.Kind {
		case CallBegan, CallChanged, CallOver:
			follow(h, c.Kind-CallBegan, h.model.calls, c.Call.ID, c.CallBefore, c.Call)
		case ParticipantBegan, ParticipantChanged, ParticipantOver:
			follow(h, c.Kind-ParticipantBegan, h.model.participants, c.Participant.ID, c.ParticipantBefore, c.Participant)
		case LegBegan, LegChanged, LegOver:
			follow(h, c.Kind-LegBegan, h.model.legs, c.Leg.ID, c.LegBefore, c.Leg)
			if (c.Kind == LegOver) != (c.Leg.End != "") && c.Kind == LegOver {
				h.t.Errorf("a leg is over without a reason: %+v", c.Leg)
			}
		case RecordingBegan:
			h.sinks++
		case RecordingOver:
			h.sinks--
		}
	}
}

func follow[T any](h *history, what Kind, model map[ID]T, id ID, before, now *T) {
	old, known := model[id]
	switch {
	case h.over[id]:
		h.t.Errorf("%T %s was over", *now, id)
	case what == 0 && known:
		h.t.Errorf("%T %s begins twice", *now, id)
	case what != 0 && !known:
		h.t.Errorf("%T %s did not begin", *now, id)
	case what != 0 && before == nil:
		h.t.Errorf("%T %s: nothing is said of before", *now, id)
	case what != 0:
		same(h.t, old, *before)
	}
	model[id] = *now
	if what == 2 {
		delete(model, id)
		h.over[id] = true
	}
}

// checkPrompts looks at what a leg hears, and is going to hear, over and over.
func (h *history) checkPrompts(l *Leg) {
	k, p := l.call, l.participant
	about := map[prompt.Name]bool{}
	if l.sounds.playing != "" {
		about[l.sounds.about] = true
	}
	for _, s := range l.sounds.queue {
		about[s.about] = true
	}
	switch {
	case k.gateway != nil || !l.connected() || l.dialog != nil || !l.came:
	case p.active:
		if about[prompt.WaitingForHost] || about[prompt.WaitingForAdmission] || l.waits != "" {
			h.t.Errorf("leg %s is in the meeting and hears %v, waits for %q", l.id, about, l.waits)
		}
		if about[prompt.OnlyParticipant] && k.inside > 1 {
			h.t.Errorf("leg %s is one of %d and hears that it is alone", l.id, k.inside)
		}
	default:
		if about[prompt.OnlyParticipant] {
			h.t.Errorf("leg %s is in the lobby and hears that it is alone in the meeting", l.id)
		}
		if l.waits != p.waitsFor() || !l.agreed.Video && !about[l.waits] {
			h.t.Errorf("leg %s waits for %s, heard of %q and hears %v", l.id, p.waitsFor(), l.waits, about)
		}
	}
}

// check looks at everything.
func (h *history) check() {
	t, c := h.t, h.calls
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	tenants := map[ID]int{}
	in := map[*Leg]*call{}
	participants := 0
	var wanted [2]int
	for _, k := range c.calls {
		inside, activators, members := 0, 0, 0
		for _, l := range k.legs {
			if in[l] != nil {
				t.Errorf("leg %s is in two calls", l.id)
			}
			in[l] = k
			if l.call != k || l.over || c.legs[l.id] != l {
				t.Errorf("leg %s of a call is over, or elsewhere", l.id)
			}
			if l.participant == nil && l.sink == nil {
				t.Errorf("leg %s is nobody's", l.id)
			}
		}
		for _, p := range k.participants {
			if p.call != k || p.over || c.participants[p.id] != p || len(p.legs) == 0 {
				t.Errorf("participant %s of a call is over, elsewhere or without legs", p.id)
			}
			for _, l := range p.legs {
				if in[l] != k || l.participant != p {
					t.Errorf("leg %s of a participant is not in the call", l.id)
				}
				members++
			}
			for _, l := range p.legs {
				h.checkPrompts(l)
			}
			if p.active && p.arrived() {
				inside++
				if !p.needs {
					activators++
				}
			}
			if !p.active && p.arrived() && k.door().lets(p.visitor()) {
				t.Errorf("participant %+v waits though the door is open: %+v", p.visitor(), k.door())
			}
			if k.tenant != (ID{}) {
				tenants[k.tenant]++
			}
		}
		participants += len(k.participants)
		if inside != k.inside || activators != k.activators || members != k.members {
			t.Errorf("the call counts %d inside, %d activators and %d legs; there are %d, %d and %d", k.inside, k.activators, k.members, inside, activators, members)
		}
		if members == 0 && k.settings["activeWhenEmpty"] != "true" && k.completed > 0 {
			t.Errorf("a call without legs goes on: %+v", k.info())
		}
		if n, ok := k.profile.Number("participantLimit"); ok && int64(len(k.participants)) > n {
			t.Errorf("%d participants, allowed are %d", len(k.participants), n)
		}
		if p := k.presenter; p != nil && (p.call != k || !p.inMeeting()) {
			t.Errorf("the presenter is not in the meeting")
		}
		recorders := 0
		for _, l := range k.legs {
			if l.records {
				recorders++
			}
		}
		if recorders != k.recorders {
			t.Errorf("%d endpoints record, counted are %d", recorders, k.recorders)
		}
		for _, s := range k.sinks {
			if s != nil && s.wanted && s.counted {
				wanted[s.kind]++
			}
			if s != nil && s.wanted != s.counted {
				t.Errorf("a recording is wanted %t and counted %t", s.wanted, s.counted)
			}
		}
		if k.speaker != nil && k.speaker.call != k {
			t.Error("the speaker is not in the meeting")
		}
	}
	for id, l := range c.legs {
		if l.call == nil && in[l] != nil || l.call != nil && in[l] != l.call || l.id != id || l.over {
			t.Errorf("leg %s is lost", id)
		}
	}
	if wanted != [2]int{c.recordings, c.streams} {
		t.Errorf("%d recordings and streams are wanted, counted are %d and %d", wanted, c.recordings, c.streams)
	}
	if participants != len(c.participants) || !reflect.DeepEqual(tenants, c.tenants) {
		t.Errorf("%d participants in calls, %d at all; tenants %v, counted %v", participants, len(c.participants), tenants, c.tenants)
	}
	// What observers heard is what the API shows.
	if len(h.model.calls) != len(c.calls) || len(h.model.participants) != len(c.participants) || len(h.model.legs) != len(c.legs) {
		t.Errorf("observers know %d calls, %d participants, %d legs; there are %d, %d, %d", len(h.model.calls), len(h.model.participants), len(h.model.legs),
			len(c.calls), len(c.participants), len(c.legs))
	}
	for id, k := range c.calls {
		same(t, h.model.calls[id], k.info())
	}
	for id, p := range c.participants {
		same(t, h.model.participants[id], p.info())
	}
	for id, l := range c.legs {
		a, b := h.model.legs[id], l.info()
		a.Activated, b.Activated = 0, 0 // goes on by itself
		same(t, a, b)
	}
}

func same[T any](t testing.TB, want, got T) {
	t.Helper()
	a, b := reflect.ValueOf(want), reflect.ValueOf(got)
	for i := range a.NumField() {
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			t.Errorf("%s of %T: observers know %+v, and there is %+v", a.Type().Field(i).Name, want, x, y)
		}
	}
}
