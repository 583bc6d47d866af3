package attendant

import (
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Entry is one way into a space: the space itself (Method nil) or an access method of it.
type Entry struct{ Space, Method *store.Record }

// passcode of the way; "" for none.
func (e Entry) passcode() string { return e.by().Text("passcode") }

// by is what has the address, the number and the passcode.
func (e Entry) by() *store.Record {
	if e.Method != nil {
		return e.Method
	}
	return e.Space
}

// Entries returns the ways in that the user part of an address leads strangers to, all of one space: those that share it differ in
// their passcodes. A tenant bounds the search to its spaces; the zero ID looks everywhere. Spaces that only members may come into
// are not among them.
func Entries(v store.View, user string, tenant store.ID) []Entry {
	return EntriesFor(v, user, tenant, store.ID{})
}

// EntriesFor is Entries for a user who is known: spaces whose member the user is are found too. The zero ID is a stranger, and so is
// everybody who was not proven to be somebody: a From header proves nothing.
func EntriesFor(v store.View, user string, tenant, caller store.ID) []Entry {
	return entries(v, "coSpaceUri", user, caller, func(space *store.Record) bool {
		of := v.Ref(space, "tenant")
		return tenant == (store.ID{}) || of != nil && of.ID() == tenant
	})
}

// ByCallID returns the ways in that a meeting ID means to strangers, of the spaces whose tenants are in a tenant group; those of no tenant
// and of tenants without a group for the zero ID.
func ByCallID(v store.View, id string, group store.ID) []Entry {
	return ByCallIDFor(v, id, group, store.ID{})
}

// ByCallIDFor is ByCallID for a user who is known, as [EntriesFor].
func ByCallIDFor(v store.View, id string, group, caller store.ID) []Entry {
	return entries(v, "coSpaceCallId", id, caller, func(space *store.Record) bool {
		var of store.ID
		if t := v.Ref(space, "tenant"); t != nil {
			if g := v.Ref(t, "tenantGroup"); g != nil {
				of = g.ID()
			}
		}
		return of == group
	})
}

// Group is the tenant group whose meetings an IVR reaches; the zero ID for nil, an IVR without record, and for one without a group. It
// returns false where the IVR takes no meeting IDs.
func Group(ivr *store.Record) (store.ID, bool) {
	if ivr == nil {
		return store.ID{}, true
	}
	group, _ := ivr.Ref("tenantGroup")
	return group, ivr.Bool("resolveCoSpaceCallIds")
}

// entries looks an index up. Uniqueness sees to it that all that remain belong to one space; if two databases that were merged do not keep
// to it, the first space is meant.
func entries(v store.View, index, value string, caller store.ID, reached func(space *store.Record) bool) (l []Entry) {
	for _, r := range v.Find(index, value) {
		e := Entry{Space: r}
		if r.Object() == schema.AccessMethod {
			e = Entry{Space: v.Get(schema.CoSpace, r.Parent()), Method: r}
		}
		if e.Space == nil || !reached(e.Space) || len(l) > 0 && l[0].Space.ID() != e.Space.ID() {
			continue
		}
		if e.Space.Bool("nonMemberAccess") || Member(v, e.Space.ID(), caller) != nil {
			l = append(l, e)
		}
	}
	return l
}

// Member returns the coSpaceUser that a user is in a space; nil when the user is no member.
func Member(v store.View, space, user store.ID) *store.Record {
	if user == (store.ID{}) {
		return nil
	}
	for _, m := range v.Lookup(schema.CoSpaceUser, "userId", user.String()) {
		if m.Parent() == space {
			return m
		}
	}
	return nil
}
