package sip

import (
	"fmt"
	"slices"
	"testing"
)

func TestMessagesAreCountedByMethodAndClass(t *testing.T) {
	a := new(Agent)
	for _, m := range []string{"INVITE sip:a@b SIP/2.0\r\n", "INVITE sip:a@b SIP/2.0\r\n", "ODD sip:a SIP/2.0\r\n", "SIP/2.0 200 OK\r\n", "SIP/2.0 999 x\r\n", "SIP/2.0 ", "", "\r\n\r\n", "AVERYVERYLONGMETHOD x"} {
		a.figures.count(true, []byte(m))
	}
	a.figures.count(false, []byte("SIP/2.0 503 Service Unavailable\r\n"))
	var got []string
	add := func(direction, what string, n uint64) { got = append(got, fmt.Sprint(direction, " ", what, " ", n)) }
	a.Figures(add, add)
	slices.Sort(got)
	if want := "[received 2xx 1 received INVITE 2 received other 1 sent 5xx 1]"; fmt.Sprint(got) != want {
		t.Errorf("want %s, got %s", want, got)
	}
}
