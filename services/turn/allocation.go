package turn

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pion/stun/v4"
)

// maxRoutes bounds the permissions and the channels of one allocation. ICE pairs a relay with a dozen candidates or two; a
// client that wants more is looking for something else.
const maxRoutes = 64

// grant is somebody who has shown a key: for the life of an allocation it is the same one, whatever becomes of the
// credentials meanwhile.
type grant struct {
	user string
	key  []byte
	// limited is true for a time-limited user name.
	limited bool
}

// allocation is what this package knows of one of pion's, by the relay port.
type allocation struct {
	grant
	site   *site
	client address
	port   uint16
	// advertised is the relay address as the client was told.
	advertised address
	// extra is what pion's answer to the client's Allocate request lacks: the token of the port above, if it was reserved with
	// this one, and that the client's second address family is not to be had.
	extra []stun.RawAttribute

	mu     sync.Mutex
	routes atomic.Pointer[routes]

	// fast is set for an allocation of the fast path.
	fast *fastRelay
}

// routes are the channels and permissions of an allocation. They never change, a change is a copy, so that every core may
// read those of every allocation without a lock.
type routes struct {
	channels  []channel
	permitted []ip
}

// channel is a channel number bound to a peer.
type channel struct {
	number uint16
	peer   address
	// to is the peer's address for the kernel.
	to sockaddr
	// relayed tells that the peer may be another relay of ours.
	relayed bool
}

var noRoutes = &routes{}

// byNumber and byPeer go through a list: it has one or two entries, and the most common comes first.
func (r *routes) byNumber(number uint16) *channel {
	for i := range r.channels {
		if r.channels[i].number == number {
			return &r.channels[i]
		}
	}
	return nil
}

func (r *routes) byPeer(peer address) *channel {
	for i := range r.channels {
		if r.channels[i].peer == peer {
			return &r.channels[i]
		}
	}
	return nil
}

func (r *routes) permits(i ip) bool { return slices.Contains(r.permitted, i) }

// change makes a copy, lets edit change it and puts it in place.
func (a *allocation) change(edit func(*routes)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.routes.Load()
	r := &routes{channels: slices.Clone(old.channels), permitted: slices.Clone(old.permitted)}
	edit(r)
	a.routes.Store(r)
}

func (a *allocation) permit(i ip) {
	a.change(func(r *routes) {
		if !r.permits(i) {
			r.permitted = append(r.permitted, i)
		}
	})
}

func (a *allocation) forbid(i ip) {
	a.change(func(r *routes) {
		r.permitted = slices.DeleteFunc(r.permitted, func(p ip) bool { return p == i })
	})
}

func (a *allocation) bind(c channel) {
	a.change(func(r *routes) {
		r.channels = append(slices.DeleteFunc(r.channels, func(o channel) bool { return o.number == c.number }), c)
	})
}

func (a *allocation) unbind(number uint16) {
	a.change(func(r *routes) {
		r.channels = slices.DeleteFunc(r.channels, func(c channel) bool { return c.number == number })
	})
}

// full tells whether a message would open more ways than an allocation may have.
func (r *routes) full(m *message) bool {
	fresh := 0
	for _, p := range m.peers[:m.peerCount] {
		if !r.permits(p.ip) {
			fresh++
		}
	}
	if len(r.permitted)+fresh > maxRoutes {
		return true
	}
	return m.method == methodChannelBind && len(r.channels) >= maxRoutes && r.byNumber(m.channel) == nil
}
