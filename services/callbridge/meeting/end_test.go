package meeting

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/media/control"
)

func TestTheEndOfAMeeting(t *testing.T) {
	for _, how := range []string{"api", "keys"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			s := space(t, fields{"tenant": keysOf(t, fields{"endCall": "**"}), "callLegProfile": profile(t, fields{"endCallAllowed": "false"})})
			m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "callLegProfile": profile(t, fields{"endCallAllowed": "true"})})
			host, guest := w.joinsBy("host", Entry{Space: s, Method: m}), w.joins("guest", s)
			host.does("accept")
			guest.does("accept")
			guest.presses("**")
			w.only() // a guest may not
			why := CallEnded
			if how == "api" {
				why = APITeardown
				if err := w.calls.EndCall(t.Context(), w.only().ID, why); err != nil {
					t.Fatal(err)
				}
			} else {
				host.presses("**")
			}
			if len(w.calls.Calls()) != 0 {
				t.Error("the call is still there")
			}
			got := w.kinds()
			if want := []Kind{LegOver, LegOver, ParticipantOver, ParticipantOver, CallOver}; !slices.Equal(got[len(got)-5:], want) {
				t.Errorf("want the changes %v, got %v", want, got)
			}
			// The lines are hung up when the goodbye was heard, or could not be.
			host.does()
			host.hears("meeting_ended")
			host.played()
			host.does("hangup " + string(why))
			w.pass(longestGoodbye)
			guest.does("hangup " + string(why))
			// Who comes now begins a new meeting.
			w.joins("late", s)
			w.only()
		})
	}
}

func TestCallsOfLimitedLength(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, fields{"callLegProfile": profile(t, fields{"maxCallDurationTime": "60"})}))
	w.pass(59 * time.Second)
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"maxCallDurationTime": "120"}); err != nil {
		t.Fatal(err)
	}
	w.pass(60 * time.Second)
	w.only()
	w.pass(time.Second)
	if i := alice.info(); i.End != TimedOut {
		t.Errorf("the leg ended by %q", i.End)
	}
}

func TestAlarmsAndSpeakers(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice, bob := w.joins("alice", s), w.joins("bob", s)
	w.mixer.Event(control.Event{Event: control.EventAlarm, Leg: alice.media.ID(), Alarm: "packetLoss", On: true})
	w.mixer.Event(control.Event{Event: control.EventAlarm, Leg: alice.media.ID(), Alarm: "excessiveJitter", On: true})
	if got := alice.info().Alarms; !slices.Equal(got, []string{"packetLoss", "excessiveJitter"}) {
		t.Errorf("the alarms are %q", got)
	}
	w.mixer.Event(control.Event{Event: control.EventAlarm, Leg: alice.media.ID(), Alarm: "packetLoss"})
	if got := alice.info().Alarms; !slices.Equal(got, []string{"excessiveJitter"}) {
		t.Errorf("the alarms are %q", got)
	}
	id := w.only().ID
	for _, f := range []*far{alice, bob} {
		w.mixer.Event(control.Event{Event: control.EventSpeaker, Conference: id.String(), Leg: f.media.ID()})
		if k := w.only(); k.Speaker != f.info().ID || !f.participant().Speaking {
			t.Errorf("%s does not speak: %+v", f.leg.name, k)
		}
	}
	if alice.participant().Speaking {
		t.Error("alice speaks still")
	}
	w.mixer.Event(control.Event{Event: control.EventSpeaker, Conference: id.String()})
	if w.only().Speaker != (ID{}) || bob.participant().Speaking {
		t.Error("somebody speaks")
	}
	w.mixer.Event(control.Event{Event: control.EventSpeaker, Conference: id.String(), Leg: bob.media.ID()})
	bob.hangsUp()
	if w.only().Speaker != (ID{}) {
		t.Error("somebody who hung up speaks")
	}
}

func TestHoldIsShown(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, nil))
	alice.leg.Held(true)
	if alice.info().State != OnHold || alice.participant().State != OnHold {
		t.Errorf("the leg is %s", alice.info().State)
	}
	alice.leg.Held(false)
	if alice.info().State != Connected {
		t.Errorf("the leg is %s", alice.info().State)
	}
}

func TestAnotherDialogTakesOver(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, nil))
	alice.leg.Retargeted(Identity{Name: "Anna", Address: "anna@example.com", SIPID: "new"})
	w.settle()
	if i := alice.info(); i.Name != "Anna" || i.Remote != "anna@example.com" || i.SIPID != "new" || i.Replaces != "alice" || i.State != Connected {
		t.Errorf("the leg is %+v", i)
	}
	if alice.put().Name != "Anna" {
		t.Error("others see the old name")
	}
}

func TestTheEndOfTheCallBridgeCutsGoodbyesShort(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, nil))
	alice.does("accept")
	if err := w.calls.DropLeg(t.Context(), alice.info().ID, APITeardown); err != nil {
		t.Fatal(err)
	}
	alice.does()
	w.calls.Close(t.Context())
	alice.does("hangup apiInitiatedTeardown")
}

func TestAScanOpensNoMedia(t *testing.T) {
	w := newWorld(t)
	full := space(t, fields{"callProfile": callProfileOf(t, fields{"participantLimit": "0"})})
	for _, target := range []Target{{Reject: UnknownDestination}, {}, {Entries: []Entry{{Space: full}}}} {
		w.calls.Arrive(Arrival{Line: &fakeLine{}, Media: w.mixer.Leg(uuid.NewString(), nil)}, target)
	}
	w.pass(lastWords)
	known := w.mixer.Leg("known", nil)
	if _, err := known.Put(t.Context(), streams); err != nil {
		t.Fatal(err)
	}
	for _, said := range w.test.Said() {
		if strings.HasPrefix(said, "putLeg") && said != "putLeg known" {
			t.Errorf("the engine was asked to %s", said)
		}
	}
}

func TestTheLengthOfACallIsThatOfTheMeetingItComesInto(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"passcode": "123", "callLegProfile": profile(t, fields{"maxCallDurationTime": "60"})})
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answers()
	w.pass(2 * time.Second)
	alice.presses("123#")
	carol := w.joins("carol", space(t, fields{"callLegProfile": profile(t, fields{"maxCallDurationTime": "300"})}))
	bob := w.joins("bob", carol.leg.call.space)
	w.pass(57 * time.Second)
	if alice.info().State != Connected {
		t.Fatalf("before its time the leg is %s", alice.info().State)
	}
	if _, err := w.calls.AddParticipant(t.Context(), alice.info().Call, fields{"movedParticipant": bob.info().Participant.String()}); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Second)
	if i := alice.info(); i.End != TimedOut {
		t.Errorf("after its time the leg that entered a passcode is %s and ended by %q", i.State, i.End)
	}
	if i := bob.info(); i.End != "" {
		t.Errorf("who was moved a moment ago is gone: %q", i.End)
	}
	w.pass(time.Minute)
	if i := bob.info(); i.End != TimedOut {
		t.Errorf("who was moved into a meeting of a minute is %s and ended by %q", i.State, i.End)
	}
}
