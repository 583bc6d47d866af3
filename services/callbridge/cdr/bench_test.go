package cdr

import (
	"testing"

	"rotunda/services/callbridge/meeting"
)

// BenchmarkChange is what a change costs that no record tells of: somebody speaks, and a thousand layouts change.
func BenchmarkChange(b *testing.B) {
	br := &bridge{}
	New(Options{Control: br})
	l := meeting.LegInfo{ID: leg(1), Call: call(1), Kind: "sip", Name: "Anna", Remote: "anna@example.com", SIPID: "call-1@192.0.2.7", Group: leg(1), State: meeting.Connected}
	br.leg(meeting.LegBegan, l)
	change := meeting.Change{Kind: meeting.LegChanged, Leg: &l}
	b.ReportAllocs()
	for b.Loop() {
		br.tell(change)
	}
}

// BenchmarkRecord is what a record costs whoever tells of the change, with four receivers.
func BenchmarkRecord(b *testing.B) {
	br := &bridge{}
	r := New(Options{Control: br})
	var places []Place
	for i := range maxReceivers {
		places = append(places, Place{number(0xfe, i), "http://127.0.0.1:1/"})
	}
	r.follow(places)
	l := meeting.LegInfo{ID: leg(1), Call: call(1), Kind: "sip", Name: "Anna", Remote: "anna@example.com", SIPID: "call-1@192.0.2.7", Group: leg(1), State: meeting.Connected}
	br.leg(meeting.LegBegan, l)
	b.ReportAllocs()
	for b.Loop() {
		l.CanMove = !l.CanMove
		br.leg(meeting.LegChanged, l)
	}
}
