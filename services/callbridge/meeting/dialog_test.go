package meeting

import (
	"slices"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/media/control"
)

func TestTheWayThroughAnIVRAndAPasscode(t *testing.T) {
	w := newWorld(t)
	id := digits(t)
	s := space(t, fields{"callId": id, "passcode": "4711"})
	ivr := put(t, schema.IVR, ID{}, fields{"uri": uri(t)})
	alice := w.arrives("alice", Target{Menu: ivr})
	alice.does("accept")
	alice.answers()
	if i := alice.info(); !i.Menu || i.Call != (ID{}) || i.Participant != (ID{}) || i.State != Connected {
		t.Errorf("in the menu the leg is %+v", i)
	}
	if got := w.kinds(); !slices.Equal(got, []Kind{LegBegan, LegChanged}) {
		t.Errorf("the changes are %v", got)
	}
	alice.hears("ivr_welcome ivr_id_entry")
	if v := alice.put().View; v.Screen != "welcome" || v.Title == "" {
		t.Errorf("the screen shows %+v", v)
	}
	alice.presses("999#")
	alice.hears("ivr_id_incorrect_try_again")
	alice.presses(id + "#")
	alice.hears("passcode_entry")
	alice.presses("47")
	if v := alice.put().View; v.Title != "Enter the passcode, then #\n••" {
		t.Errorf("the screen shows %q", v.Title)
	}
	w.kinds()
	alice.presses("11#")
	if got, want := w.kinds(), []Kind{CallBegan, ParticipantBegan, LegChanged}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	if i := alice.info(); i.Menu != false || i.Space != s.ID() || alice.put().Conference != i.Call.String() || alice.put().View.Screen != "" {
		t.Errorf("the leg is %+v", i)
	}
	if w.only().Name != "weekly" {
		t.Error("it is another meeting")
	}
}

// Keys come by media and the ACK by signalling: whoever types at once, as scripts do, is ahead of it.
func TestKeysBeforeTheACKCount(t *testing.T) {
	w := newWorld(t)
	id := digits(t)
	s := space(t, fields{"callId": id, "passcode": "4711"})
	alice := w.arrives("alice", Target{Menu: put(t, schema.IVR, ID{}, fields{"uri": uri(t)})})
	alice.does("accept")
	alice.presses(id + "#47")
	alice.answers()
	alice.presses("11#")
	if i := alice.info(); i.Menu || i.Space != s.ID() {
		t.Errorf("the leg is %+v", i)
	}
}

// digits is a number that no other test has.
func digits(t testing.TB) string {
	id := fresh()
	var b []byte
	for _, c := range id[:12] {
		b = append(b, '0'+c%10)
	}
	return string(b)
}

func TestThreeWrongPasscodesEndTheCall(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"passcode": "4711"})
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answers()
	alice.does("accept")
	alice.hears("welcome passcode_entry")
	for range 3 {
		alice.presses("1#")
	}
	alice.hears("passcode_incorrect_goodbye")
	alice.does()
	alice.played()
	alice.does("hangup incorrectPasscode")
	if len(w.calls.Calls()) != 0 {
		t.Error("there is a call")
	}
}

func TestAPasscodeChoosesTheWayIn(t *testing.T) {
	for _, c := range []struct {
		mode, keys string
		wait       time.Duration
		host       bool
	}{{"required", "1234#", 0, true}, {"required", "#", 0, false}, {"timeout", "1234#", 0, true}, {"timeout", "", 8 * time.Second, false}} {
		w := newWorld(t)
		s := space(t, fields{"callProfile": callProfileOf(t, fields{"passcodeMode": c.mode, "passcodeTimeout": "7"})})
		m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "passcode": "1234"})
		alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}, {Space: s, Method: m}}})
		alice.answers()
		alice.played()
		alice.presses(c.keys)
		w.pass(c.wait)
		if i := alice.info(); i.Call == (ID{}) || (i.Method == m.ID()) != c.host {
			t.Errorf("%s %q: the leg is %+v", c.mode, c.keys, i)
		}
	}
}

func TestNobodyStaysInAMenuForEver(t *testing.T) {
	w := newWorld(t)
	alice := w.arrives("alice", Target{Any: true})
	alice.answers()
	alice.does("accept")
	for range 10 {
		alice.played()
		w.pass(45 * time.Second)
	}
	alice.does("hangup ivrTimeout")
	if len(w.calls.Legs(ID{})) != 0 {
		t.Error("the leg is still there")
	}
}

func TestPromptsThatCannotBePlayedHoldNobodyUp(t *testing.T) {
	w := newWorld(t)
	w.test.Refuse(func(ask, _ string) error {
		if ask == "play" {
			return control.Errorf(control.CodeInvalid, "no such file")
		}
		return nil
	})
	alice := w.arrives("alice", Target{Any: true})
	alice.answers()
	for range 10 {
		w.pass(45 * time.Second)
	}
	if len(w.calls.Legs(ID{})) != 0 {
		t.Error("the leg is still there")
	}
}

func TestAFullMeetingIsToldToThoseWhoAreAnswered(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"passcode": "1", "callProfile": callProfileOf(t, fields{"participantLimit": "0"})})
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answers()
	alice.does("accept")
	alice.presses("1#")
	if i := alice.info(); i.End != ParticipantLimit || i.State != Gone {
		t.Errorf("the leg is %+v", i)
	}
	alice.does()
	alice.hears("meeting_full")
	alice.played()
	alice.does("hangup participantLimitReached")
}
