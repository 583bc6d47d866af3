package meeting

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
)

func TestTheDoor(t *testing.T) {
	open, locked, closed := door{activators: 1}, door{locked: true, activators: 1}, door{locked: true, all: true, activators: 1}
	empty := door{}
	for _, c := range []struct {
		name string
		door door
		who  visitor
		want bool
	}{
		{"a host comes first", empty, visitor{}, true},
		{"a guest comes first", empty, visitor{needs: true}, false},
		{"a guest comes when a host is there", open, visitor{needs: true}, true},
		{"a guest comes to a locked meeting", locked, visitor{needs: true}, false},
		{"a member who needs activation comes to a locked meeting", locked, visitor{needs: true, member: true}, true},
		{"a member who needs activation comes to a locked meeting without host", door{locked: true}, visitor{needs: true, member: true}, false},
		{"a host comes to a locked meeting", locked, visitor{}, true},
		{"a host comes to a meeting locked for all", closed, visitor{}, false},
		{"a member comes to a meeting locked for all", closed, visitor{needs: true, member: true}, false},
		{"who is in stays when it is locked", closed, visitor{needs: true, active: true}, true},
		{"who is in stays when the host goes", empty, visitor{needs: true, active: true}, true},
		{"who was admitted comes in through every lock", closed, visitor{needs: true, admitted: true}, true},
		{"who was sent out stays out", open, visitor{held: true, admitted: true, active: true}, false},
	} {
		if got := c.door.lets(c.who); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}

// lobby is a space with a way for hosts and one for guests.
func lobby(t testing.TB, guest fields, call fields) (host, other Entry) {
	t.Helper()
	g := fields{"needsActivation": "true"}
	for k, v := range guest {
		g[k] = v
	}
	f := fields{"callLegProfile": profile(t, g)}
	if call != nil {
		f["callProfile"] = callProfileOf(t, call)
	}
	s := space(t, f)
	m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "callLegProfile": profile(t, fields{"needsActivation": "false"})})
	return Entry{Space: s, Method: m}, Entry{Space: s}
}

func (f *far) waits(want bool) {
	f.w.t.Helper()
	i, p := f.info(), f.participant()
	if i.Deactivated != want || p.Deactivated != want {
		f.w.t.Errorf("%s: want in the lobby %t, got %t and %t", f.leg.name, want, i.Deactivated, p.Deactivated)
	}
	media := f.put()
	conference, screen := i.Call.String(), ""
	if want {
		conference, screen = "", "lobby"
	}
	if media.Conference != conference || media.View.Screen != screen || media.Near != i.Call.String() {
		f.w.t.Errorf("%s: want conference %q and screen %q, got %q and %q", f.leg.name, conference, screen, media.Conference, media.View.Screen)
	}
}

func TestAGuestWaitsInTheLobbyUntilTheHostComes(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, fields{"meetingTitlePosition": "top"}, nil)
	guest := w.joinsBy("guest", guests)
	guest.waits(true)
	if v := guest.put().View; v.Title != "weekly" || v.TitlePosition != "top" {
		t.Errorf("the lobby shows %+v", v)
	}
	guest.hears("waiting_for_host")
	if guest.participant().IsActivator {
		t.Error("a guest is an activator")
	}
	w.pass(time.Minute)
	host := w.joinsBy("host", hosts)
	host.waits(false)
	guest.waits(false)
	guest.hears("waiting_for_host", "cospace_join")
	if i := guest.info(); i.Activated != 0 {
		t.Errorf("the guest counts as active for %s", i.Activated)
	}
	w.pass(time.Minute)
	if i := guest.info(); i.Activated != time.Minute {
		t.Errorf("the guest counts as active for %s", i.Activated)
	}
	late := w.joinsBy("late", guests)
	late.waits(false)
}

func TestWhatBecomesOfGuestsWhenTheLastHostGoes(t *testing.T) {
	for _, c := range []struct {
		mode, after string
		want        string
	}{
		{"deactivate", "0", "lobby"}, {"deactivate", "20", "lobby"}, {"disconnect", "20", "gone"}, {"disconnect", "0", "gone"}, {"remainActivated", "20", "in"},
	} {
		t.Run(c.mode+c.after, func(t *testing.T) {
			w := newWorld(t)
			hosts, guests := lobby(t, fields{"deactivationMode": c.mode, "deactivationModeTime": c.after}, nil)
			host, guest := w.joinsBy("host", hosts), w.joinsBy("guest", guests)
			second := w.joinsBy("second", hosts)
			host.hangsUp()
			w.pass(time.Hour)
			guest.waits(false) // a host is left
			second.hangsUp()
			if c.after != "0" {
				w.pass(19 * time.Second)
				guest.waits(false)
				// Somebody who comes meanwhile waits all the same.
				w.joinsBy("new", guests).waits(true)
				w.pass(2 * time.Second)
			}
			switch c.want {
			case "lobby":
				guest.waits(true)
				w.joinsBy("host again", hosts)
				guest.waits(false)
			case "in":
				guest.waits(false)
			case "gone":
				if i := guest.info(); i.End != CallDeactivated {
					t.Errorf("the guest's leg ended by %q", i.End)
				}
			}
		})
	}
}

func TestAHostWhoComesBackInTimeFindsTheGuests(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, fields{"deactivationMode": "disconnect", "deactivationModeTime": "20"}, nil)
	host, guest := w.joinsBy("host", hosts), w.joinsBy("guest", guests)
	host.hangsUp()
	w.pass(10 * time.Second)
	w.joinsBy("host", hosts)
	w.pass(time.Hour)
	guest.waits(false)
}

func TestLocks(t *testing.T) {
	for _, mode := range []string{"all", "needsActivation"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			hosts, guests := lobby(t, nil, fields{"lockMode": mode})
			host, guest := w.joinsBy("host", hosts), w.joinsBy("guest", guests)
			id := w.only().ID
			if err := w.calls.UpdateCall(t.Context(), id, fields{"locked": "true"}); err != nil {
				t.Fatal(err)
			}
			if !w.only().Locked {
				t.Error("the call does not say that it is locked")
			}
			host.waits(false)
			guest.waits(false)
			second, late := w.joinsBy("second host", hosts), w.joinsBy("late", guests)
			second.waits(mode == "all")
			late.waits(true)
			late.hears("waiting_for_admission")
			// The API lets one in, whatever the lock says, and sends one out.
			if err := w.calls.UpdateParticipant(t.Context(), late.info().Participant, fields{"deactivated": "false"}); err != nil {
				t.Fatal(err)
			}
			late.waits(false)
			if err := w.calls.UpdateParticipant(t.Context(), guest.info().Participant, fields{"deactivated": "true"}); err != nil {
				t.Fatal(err)
			}
			guest.waits(true)
			third := w.joinsBy("third", guests)
			if err := w.calls.UpdateCall(t.Context(), id, fields{"locked": "false"}); err != nil {
				t.Fatal(err)
			}
			second.waits(false)
			third.waits(false)
			guest.waits(true) // until the API says otherwise
			if err := w.calls.UpdateAll(t.Context(), id, nil, fields{"deactivated": "false"}); err != nil {
				t.Fatal(err)
			}
			guest.waits(false)
		})
	}
}

func TestAMeetingThatIsLockedWhenItBegins(t *testing.T) {
	w := newWorld(t)
	hosts, _ := lobby(t, nil, fields{"locked": "true", "lockMode": "all"})
	host := w.joinsBy("host", hosts)
	host.waits(true)
	host.hears("waiting_for_admission")
	if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"locked": ""}); err != nil {
		t.Fatal(err)
	}
	host.waits(true) // unset is what the profile says
	if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"locked": "false"}); err != nil {
		t.Fatal(err)
	}
	host.waits(false)
}

func TestWhoeverNeedsNoActivationAnyMoreLetsOthersIn(t *testing.T) {
	w := newWorld(t)
	_, guests := lobby(t, nil, nil)
	one, two := w.joinsBy("one", guests), w.joinsBy("two", guests)
	one.waits(true)
	if err := w.calls.UpdateLeg(t.Context(), one.info().ID, fields{"needsActivation": "false"}); err != nil {
		t.Fatal(err)
	}
	one.waits(false)
	two.waits(false)
}

func TestAHostWhoIsSentToTheLobbyLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	host, guest := w.joinsBy("host", hosts), w.joinsBy("guest", guests)
	if err := w.calls.UpdateParticipant(t.Context(), host.info().Participant, fields{"deactivated": "true"}); err != nil {
		t.Fatal(err)
	}
	host.waits(true)
	guest.waits(true)
	w.joinsBy("late", guests).waits(true)
}

func TestManyGuestsComeInAtOnce(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	var list []*far
	for i := range 30 {
		list = append(list, w.joinsBy(fmt.Sprint("guest", i), guests))
	}
	w.joinsBy("host", hosts)
	for _, f := range list {
		f.waits(false)
	}
}

func TestThoseInTheLobbyHearWhatTheyWaitFor(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	guest := w.joinsBy("guest", guests)
	guest.hears("waiting_for_host")
	id := w.only().ID
	if err := w.calls.UpdateCall(t.Context(), id, fields{"locked": "true"}); err != nil {
		t.Fatal(err)
	}
	if got := guest.heard(); len(got) != 1 {
		t.Errorf("without a host nothing has changed for the guest, who heard %q", got)
	}
	host := w.joinsBy("host", hosts)
	guest.waits(true)
	guest.hears("waiting_for_host", "waiting_for_admission")
	host.hangsUp()
	guest.hears("waiting_for_admission", "waiting_for_host")
	if err := w.calls.UpdateParticipant(t.Context(), guest.info().Participant, fields{"deactivated": "true"}); err != nil {
		t.Fatal(err)
	}
	guest.hears("waiting_for_host", "waiting_for_admission")
}

func TestAHostWhoGoesAtOnceLeavesNobodyInside(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, fields{"deactivationMode": "deactivate", "deactivationModeTime": "0"}, nil)
	var list []*far
	for i := range 5 {
		f := w.arrives(fmt.Sprint("guest", i), Target{Entries: []Entry{guests}})
		f.answersWith(MediaInfo{Audio: true})
		list = append(list, f)
	}
	host := w.arrives("host", Target{Entries: []Entry{hosts}})
	host.leg.Answered(Identity{}, full)
	host.leg.Ended(RemoteTeardown, true)
	w.settle()
	for _, f := range list {
		f.waits(true)
		f.hears("waiting_for_host")
		w.engine.mu.Lock()
		for _, p := range w.engine.plays {
			if p.Leg == f.media.ID() && p.Loop && !strings.Contains(p.Files[0], "waiting_for_host") {
				t.Errorf("%s hears %v over and over", f.leg.name, p.Files)
			}
		}
		w.engine.mu.Unlock()
	}
	if k := w.only(); k.Participants != 5 || k.Legs != 5 {
		t.Errorf("the call is %+v", k)
	}
	w.joinsBy("host again", hosts)
	for _, f := range list {
		f.waits(false)
	}
}

func TestWhoIsDisconnectedForWantOfAHostHearsIt(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, fields{"deactivationMode": "disconnect", "deactivationModeTime": "0"}, nil)
	guest, host := w.joinsBy("guest", guests), w.joinsBy("host", hosts)
	guest.does("accept")
	host.hangsUp()
	if i := guest.info(); i.End != CallDeactivated {
		t.Errorf("the guest's leg ended by %q", i.End)
	}
	guest.hears("disconnected")
	guest.does()
	guest.played()
	guest.does("hangup callDeactivated")
}
