package events

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"rotunda/services/callbridge/meeting"
)

func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"index":3,"type":"calls",` + allOfList + `}]}}`,
		`{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"callRoster","call":"` + one + `",` + allOfRoster + `}]}}`,
		`{"type":"messageAck","messageAck":{"messageId":1,"status":"success"}}`,
		`{"type":"message","message":{"messageId":-9223372036854775808,"type":"subscribeRequest","subscriptions":[]}}`,
		`{"type":"message","message":{"messageId":1e3}}`, `{"message":null}`, `null`, `{"type":"\ud800"}`, "{\"type\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(b)
		answer := acknowledge(m.id, err)
		if !json.Valid(answer) || len(answer) > 1024 {
			t.Errorf("%q: the answer is no JSON of a few words: %s", b, answer)
		}
		if err != nil {
			return
		}
		if m.isAck == (m.id != nil) {
			t.Errorf("%q: want either an acknowledgement or a request, got %+v", b, m)
		}
		for _, w := range m.want {
			if w.kind == nil || w.kind.one == (w.call == meeting.ID{}) || len(w.elements) > len(w.kind.elements) {
				t.Errorf("%q: want a whole subscription, got %+v", b, w)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "Anna", `a"b\c`, "\x00\x1f\x7f", "ü \u2028 \U0001f600", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(text(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if utf8.ValidString(s) && got != s {
			t.Errorf("want %q, got %q", s, got)
		}
	})
}
