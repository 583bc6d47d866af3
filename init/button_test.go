package main

import (
	"encoding/binary"
	"testing"
)

func event(kind, code uint16, value uint32) []byte {
	b := make([]byte, 24)
	binary.NativeEndian.PutUint16(b[16:], kind)
	binary.NativeEndian.PutUint16(b[18:], code)
	binary.NativeEndian.PutUint32(b[20:], value)
	return b
}

func TestOnlyAPressOfThePowerKeyCounts(t *testing.T) {
	join := func(events ...[]byte) (all []byte) {
		for _, e := range events {
			all = append(all, e...)
		}
		return all
	}
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"press after a synchronisation": {join(event(0, 0, 0), event(1, 116, 1)), true},
		"release":                       {event(1, 116, 0), false},
		"another key":                   {event(1, 30, 1), false},
		"half an event":                 {event(1, 116, 1)[:20], false},
		"nothing":                       {nil, false},
	} {
		if got := powerPressed(c.b); got != c.want {
			t.Errorf("%s: want %v, got %v", name, c.want, got)
		}
	}
}
