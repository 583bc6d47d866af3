package meeting

import (
	"testing"
	"time"

	"rotunda/services/media/control"
)

func TestMessages(t *testing.T) {
	w := newWorld(t)
	w.joins("alice", space(t, nil))
	id := w.only().ID
	shows := func(want control.Message) {
		t.Helper()
		if got := w.conference().Message; got != want {
			t.Errorf("want %+v, got %+v", want, got)
		}
		if k := w.only(); k.Message != want.Text {
			t.Errorf("want %q, the call says %q", want.Text, k.Message)
		}
	}
	set := func(f fields) {
		t.Helper()
		if err := w.calls.UpdateCall(t.Context(), id, f); err != nil {
			t.Fatal(err)
		}
	}
	set(fields{"messageText": "hello"}) // a duration of 0 shows nothing
	shows(control.Message{})
	set(fields{"messageDuration": "10", "messagePosition": "top"})
	shows(control.Message{Text: "hello", Position: "top"})
	if k := w.only(); k.MessageUntil.Sub(w.clock.Now()) != 10*time.Second || k.MessagePermanent {
		t.Errorf("the call says %+v", k)
	}
	w.pass(9 * time.Second)
	shows(control.Message{Text: "hello", Position: "top"})
	set(fields{"messageText": "again"}) // from now on
	w.pass(9 * time.Second)
	shows(control.Message{Text: "again", Position: "top"})
	w.kinds()
	w.pass(time.Second)
	shows(control.Message{})
	if got := w.kinds(); len(got) != 1 || got[0] != CallChanged {
		t.Errorf("its end is known as %v", got)
	}
	set(fields{"messageText": "stays", "messageDuration": "permanent", "messagePosition": "bottom"})
	w.pass(100 * time.Hour)
	shows(control.Message{Text: "stays", Position: "bottom"})
	if !w.only().MessagePermanent {
		t.Error("the call does not say that it stays")
	}
	set(fields{"messageText": ""})
	shows(control.Message{})
}

func TestMissingLicences(t *testing.T) {
	for _, c := range []struct {
		name string
		time time.Duration
	}{{"for a while", 30 * time.Second}, {"for ever", 0}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.licence = LicenceEffects{Message: "out of compliance", MessageTime: c.time, Prompt: true}
			alice := w.joins("alice", space(t, nil))
			if got := alice.put().View.Message.Text; got != "out of compliance" {
				t.Errorf("alice reads %q", got)
			}
			alice.played()
			alice.hears("licence_expired", "cospace_join", "only_participant")
			w.pass(31 * time.Second)
			want := "out of compliance"
			if c.time > 0 {
				want = ""
			}
			if got := alice.put().View.Message.Text; got != want {
				t.Errorf("after 31 s alice reads %q, want %q", got, want)
			}
		})
	}
}

func TestEncryptedCallsAreRefusedWithoutLicence(t *testing.T) {
	w := newWorld(t)
	w.licence.RefuseEncrypted = true
	s := space(t, nil)
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answersWith(MediaInfo{Audio: true, Encrypted: true})
	alice.does("accept", "hangup error")
	bob := w.joins("bob", s)
	bob.does("accept")
	bob.leg.Changed(Identity{}, MediaInfo{Audio: true, Encrypted: true})
	bob.does("hangup error")
}
