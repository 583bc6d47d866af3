package sip

import (
	"bytes"
	"sync/atomic"
)

// countedMethods are those of RFC 3261 and what is in use beside; others are counted together.
var countedMethods = []string{"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK", "REFER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "other"}

// figures count messages as they go over the network, repeated ones included. The first index is 1 for what came in.
type figures struct {
	requests  [2][14]atomic.Uint64
	responses [2][7]atomic.Uint64
}

// count takes the first line of a message.
func (f *figures) count(in bool, message []byte) {
	way := 0
	if in {
		way = 1
	}
	if rest, ok := bytes.CutPrefix(message, []byte("SIP/2.0 ")); ok {
		if len(rest) > 0 && rest[0] >= '1' && rest[0] <= '6' {
			f.responses[way][rest[0]-'0'].Add(1)
		}
		return
	}
	method, _, ok := bytes.Cut(message[:min(len(message), 16)], []byte(" "))
	if !ok {
		// A keep-alive, or no SIP.
		return
	}
	i := 0
	for i < len(countedMethods)-1 && string(method) != countedMethods[i] {
		i++
	}
	f.requests[way][i].Add(1)
}

// Figures gives each count that is not 0: direction is received or sent, what a method, or a class as 2xx.
func (a *Agent) Figures(request, response func(direction, what string, n uint64)) {
	for way, direction := range []string{"sent", "received"} {
		for i, method := range countedMethods {
			if n := a.figures.requests[way][i].Load(); n > 0 {
				request(direction, method, n)
			}
		}
		for class := range a.figures.responses[way] {
			if n := a.figures.responses[way][class].Load(); n > 0 {
				response(direction, string(rune('0'+class))+"xx", n)
			}
		}
	}
}
