package meeting

import (
	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/store"
)

// Entry is one way into a space: the space itself (Method nil) or an access method of it.
type Entry = attendant.Entry

// Target is what an incoming call is for. Exactly one of Entries, Menu, Any, Forward and Reject is set.
type Target struct {
	// Entries are the ways ([attendant.EntriesFor]) into spaces that have the address that was called. Several, or one with a passcode, ask for it.
	Entries []Entry
	// Menu is the IVR that was called; Any one that no record describes.
	Menu *store.Record
	Any  bool
	// Forward makes a gateway call: the other side of it.
	Forward *Dial
	// Reject refuses the call.
	Reject Reason
	// Tenant is that of the rule or object that decided; a space's own tenant counts before it.
	Tenant ID
}
