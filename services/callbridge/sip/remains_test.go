package sip

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// book has the notes of an agent.
type book struct {
	mu    sync.Mutex
	notes map[*Remains]bool
}

func (b *book) keep(r Remains) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.notes == nil {
		b.notes = map[*Remains]bool{}
	}
	b.notes[&r] = true
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.notes, &r)
	}
}

func (b *book) all() (list []Remains) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range b.notes {
		list = append(list, *r)
	}
	return list
}

func TestCallsOfAKilledProcessAreEnded(t *testing.T) {
	t.Parallel()
	for _, by := range []Transport{UDP, TCP, TLS} {
		for _, dies := range []string{"caller", "callee"} {
			t.Run(string(by)+" "+dies, func(t *testing.T) {
				t.Parallel()
				var near, far book
				a := newEnd(t, withTLS, unhurried, func(o *Options) { o.Keep = near.keep })
				b := newEnd(t, withTLS, unhurried, func(o *Options) { o.Keep = far.keep })
				from := a.call(b.at(by))
				to := b.next()
				to.call.Accept([]byte("answer"))
				from.wants("answered answer", "confirmed")
				to.wants("confirmed")
				dead, left := &near, to
				if dies == "callee" {
					dead, left = &far, from
				}
				notes := dead.all()
				if len(notes) != 1 {
					t.Fatalf("want one note, got %+v", notes)
				}
				// What is read from a file is what was noted.
				r, err := ReadRemains(notes[0].Note())
				if err != nil || !reflect.DeepEqual(r, notes[0]) {
					t.Fatalf("want %+v, got %+v and %v", notes[0], r, err)
				}
				after := newEnd(t, withTLS, unhurried)
				told := make(chan error, 1)
				after.Bury(r, func(err error) { told <- err })
				if e := left.over(); !e.Remote || e.Reason != "the server was restarted" || e.Cause != 500 {
					t.Errorf("the far end is told %+v", e)
				}
				select {
				case err := <-told:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(patience):
					t.Error("nobody hears that the far end was told")
				}
				// Whoever is alive has taken the note back.
				for _, p := range []*party{from, to} {
					p.call.Hangup("")
				}
				if n := len(near.all()) + len(far.all()); n != 0 {
					t.Errorf("%d notes are left", n)
				}
				a.empty()
				b.empty()
			})
		}
	}
}

func TestAFarEndThatIsGoneToo(t *testing.T) {
	t.Parallel()
	a := newEnd(t)
	told := make(chan error, 1)
	// Nobody listens at the port of discard.
	a.Bury(Remains{CallID: "x", Local: "<sip:a@b>", LocalTag: "l", Remote: "<sip:c@d>", RemoteTag: "r", Target: "sip:c@127.0.0.1:9;transport=tcp", Transport: TCP}, func(err error) { told <- err })
	select {
	case err := <-told:
		if err == nil || !strings.Contains(err.Error(), "no answer to BYE") {
			t.Errorf("want no answer, got %v", err)
		}
	case <-time.After(patience):
		t.Error("it waits for ever")
	}
}

func TestWhatIsNoRemains(t *testing.T) {
	t.Parallel()
	good := Remains{CallID: "x", Local: "<sip:a@b>", LocalTag: "l", Remote: "<sip:c@d>", Target: "sip:c@d", Transport: UDP}
	if _, err := ReadRemains(good.Note()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Remains){
		"control characters": func(r *Remains) { r.CallID = "x\r\nVia: y" },
		"no target":          func(r *Remains) { r.Target = "" },
		"no tag":             func(r *Remains) { r.LocalTag = "" },
		"a route of nothing": func(r *Remains) { r.Routes = []string{""} },
		"no transport":       func(r *Remains) { r.Transport = "sctp" },
	} {
		r := good
		change(&r)
		if got, err := ReadRemains(r.Note()); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if _, err := ReadRemains([]byte("{")); err == nil {
		t.Error("half a note was read")
	}
}

// FuzzReadRemains reads whatever is in a file: what is taken can be written as a request that has no more lines than it should.
func FuzzReadRemains(f *testing.F) {
	f.Add(Remains{CallID: "x", Local: "\"A\" <sip:a@b>", LocalTag: "l", Remote: "<sip:c@d>", RemoteTag: "r", Target: "sip:c@d", Routes: []string{"<sip:p;lr>", "<sip:q>"}, Transport: TLS, Seq: 7}.Note())
	f.Add([]byte(`{"i":"x","l":"sip:a@b","lt":"t","r":"sip:a@b","t":"sip:c@d","p":"udp","s":4294967295}`))
	a, err := New(Options{timers: quick})
	if err != nil {
		f.Fatal(err)
	}
	defer a.close()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadRemains(b)
		if err != nil {
			return
		}
		c := &Call{a: a, callID: r.CallID, localTag: r.LocalTag, remoteTag: r.RemoteTag, localValue: r.Local, remoteValue: r.Remote, target: r.Target, routes: r.Routes, state: stateEnded}
		m := c.build("BYE")
		text := string(m.write(nil))
		if n := strings.Count(text, "\n"); n != len(m.headers)+3 {
			t.Errorf("%d lines of %d headers:\n%s", n, len(m.headers), text)
		}
	})
}
