package sip

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Remains are what is needed of a dialog to end it from another process, when the one that it belonged to was killed.
type Remains struct {
	CallID string `json:"i"`
	// Local and Remote are From and To of our requests, without tags.
	Local     string   `json:"l"`
	LocalTag  string   `json:"lt"`
	Remote    string   `json:"r"`
	RemoteTag string   `json:"rt,omitempty"`
	Target    string   `json:"t"`
	Routes    []string `json:"rs,omitempty"`
	// Transport is that of the far end's messages.
	Transport Transport `json:"p"`
	Seq       uint32    `json:"s"` // of our last request that is known of
}

// seqAfterwards is by how much the number of a BYE is higher than the last one that was noted: requests of ours that came after the note have had
// theirs.
const seqAfterwards = 10_000

// Note writes them down.
func (r Remains) Note() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("sip: strings and numbers are always JSON: " + err.Error())
	}
	return b
}

// ReadRemains reads what [Remains.Note] wrote. The file that it comes from may be anybody's, so it is looked at like a message from the network.
func ReadRemains(b []byte) (Remains, error) {
	var r Remains
	if err := json.Unmarshal(b, &r); err != nil {
		return Remains{}, fmt.Errorf("read what is left of a call: %w", err)
	}
	for _, s := range append([]string{r.CallID, r.Local, r.LocalTag, r.Remote, r.RemoteTag, r.Target}, r.Routes...) {
		if hasControl(s) {
			return Remains{}, errors.New("what is left of a call has control characters")
		}
	}
	if _, f := parseURI(r.Target); f != nil || r.CallID == "" || r.LocalTag == "" {
		return Remains{}, errors.New("what is left of a call names no far end")
	}
	for _, s := range append([]string{r.Local, r.Remote}, r.Routes...) {
		if _, f := parseAddress(s); f != nil {
			return Remains{}, fmt.Errorf("what is left of a call has the address %q", s)
		}
	}
	switch r.Transport {
	case UDP, TCP, TLS:
	default:
		return Remains{}, fmt.Errorf("what is left of a call came over %q", r.Transport)
	}
	return r, nil
}

// keep notes the dialog, or notes it anew when it has changed; c.mu is held.
func (c *Call) keep() {
	if c.a.o.Keep == nil {
		return
	}
	c.unkeep()
	c.forget = c.a.o.Keep(Remains{CallID: c.callID, Local: c.localValue, LocalTag: c.localTag, Remote: c.remoteValue, RemoteTag: c.remoteTag,
		Target: c.target, Routes: c.routes, Transport: c.path.transport, Seq: c.seq})
}

// unkeep takes the note back; c.mu is held.
func (c *Call) unkeep() {
	if c.forget != nil {
		c.forget()
		c.forget = nil
	}
}

// retarget takes a new Contact of the far end; c.mu is held.
func (c *Call) retarget(t string) {
	if t == c.target {
		return
	}
	if c.target = t; c.forget != nil {
		c.keep()
	}
}

// Bury ends a dialog of a process that is no more: its far end is sent a BYE. done hears whether the far end answered; it is called once, and must
// not wait. To be told apart from an orderly end, the BYE has a Reason.
func (a *Agent) Bury(r Remains, done func(error)) {
	c := &Call{a: a, callID: r.CallID, localTag: r.LocalTag, remoteTag: r.RemoteTag, localValue: r.Local, remoteValue: r.Remote, target: r.Target,
		routes: r.Routes, path: path{transport: r.Transport}, state: stateEnded, seq: min(r.Seq, 1<<30) + seqAfterwards}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.build("BYE")
	m.add("Reason", `SIP;cause=500;text="the server was restarted"`)
	c.submit(&outgoing{m: m, answer: func(r *message) {
		if done == nil {
			return
		}
		if r.local() {
			done(fmt.Errorf("no answer to BYE: %s", r.reason))
		} else {
			done(nil) // 481 is as good as 200: it has forgotten the call
		}
		done = nil
	}})
}
