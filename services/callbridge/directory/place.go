package directory

import (
	"strings"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// placed is what a person is to become.
type placed struct {
	// user is the one that the entry has; nil where it is new.
	user *store.Record
	// elsewhere says that the entry is another source's: one that stands before this one, or this entry was seen already.
	elsewhere bool
	// taken says that somebody else has the JID.
	taken error
}

// members is a set of users.
type members interface{ has(store.ID) bool }

type claims map[store.ID]struct{}

func (c claims) has(id store.ID) bool { _, ok := c[id]; return ok }

// overlay is the users of a run and those of a transaction that goes on.
type overlay struct{ run, now claims }

func (o overlay) has(id store.ID) bool { return o.run.has(id) || o.now.has(id) }

// place finds the user of a person: by the GUID of the directory, then by the JID. Own is the user that is known to be the person's,
// when this is tried again. Adopt gives the user of an entry that is gone to a new one with the same JID: the directory made the account
// anew, and the person keeps the space.
func (x *run) place(v store.View, claimed members, s *source, p person, own store.ID, adopt bool) placed {
	var byGUID, byJID *store.Record
	if p.guid != "" {
		if found := v.Lookup(schema.User, "directoryGuid", p.guid); len(found) > 0 {
			byGUID = found[0]
		}
	}
	if found := v.Find("userJid", p.jid); len(found) > 0 {
		byJID = found[0]
	}
	user := byGUID
	if own != (store.ID{}) {
		user = v.Get(schema.User, own)
	}
	if user == nil && byJID != nil && (p.guid == "" || !byJID.Has("directoryGuid")) {
		// Without a GUID on either side, the JID says who it is.
		user = byJID
	}
	if user != nil {
		switch {
		case user.ID() != own && claimed.has(user.ID()):
			if sameEntry(user, p) {
				return placed{elsewhere: true}
			}
			return placed{taken: clashf("the JID %s is that of %s, too", clip(p.jid), clipTo(user.Text("distinguishedName"), 200))}
		case x.before(user, s):
			if sameEntry(user, p) {
				return placed{elsewhere: true}
			}
			return placed{taken: clashf("the JID %s is that of %s, from another source", clip(p.jid), clipTo(user.Text("distinguishedName"), 200))}
		case byJID != nil && byJID.ID() != user.ID():
			return placed{user: user, taken: clashf("the JID %s is that of %s, too", clip(p.jid), clipTo(byJID.Text("distinguishedName"), 200))}
		}
		return placed{user: user}
	}
	if byJID == nil {
		return placed{}
	}
	if adopt && !claimed.has(byJID.ID()) && x.removes(byJID) {
		return placed{user: byJID}
	}
	return placed{taken: clashf("the JID %s is that of %s, too", clip(p.jid), clipTo(byJID.Text("distinguishedName"), 200))}
}

// sameEntry says whether a user came from the entry.
func sameEntry(u *store.Record, p person) bool {
	if g := u.Text("directoryGuid"); g != "" && p.guid != "" {
		return g == p.guid
	}
	return strings.EqualFold(u.Text("distinguishedName"), p.dn)
}

// before says whether a user is that of a source which stands before this one and is not read in this run: it decides when it is. One that
// was read and no longer has the entry lets go of it.
func (x *run) before(u *store.Record, s *source) bool {
	id, ok := u.Ref("ldapSource")
	if !ok || id.String() == s.id {
		return false
	}
	mine, _ := store.ParseID(s.id)
	theirs, exists := x.positions[id]
	if !exists || theirs > x.positions[mine] {
		return false
	}
	for _, r := range x.sources {
		if r.ID() == id {
			return x.unread(id)
		}
	}
	return true
}

// removes says whether the run takes a user away whose entry it has not seen: users of the sources that it read, and of
// sources that are gone when it is one of everything or of their tenant.
func (x *run) removes(u *store.Record) bool {
	id, ok := u.Ref("ldapSource")
	if _, exists := x.positions[id]; ok && exists {
		for _, r := range x.sources {
			if r.ID() == id {
				return !x.unread(id)
			}
		}
		return false
	}
	if x.sync.Has("ldapSource") {
		return false
	}
	return !x.sync.Has("tenant") || u.Text("tenant") == x.sync.Text("tenant")
}
