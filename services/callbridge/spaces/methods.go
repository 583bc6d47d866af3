package spaces

import (
	"strings"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// PrepareAccessMethod applies the rules to an access method that a client makes or changes.
func PrepareAccessMethod(tx *store.Tx, d *store.Draft, orders map[string]string) error {
	if orders["regenerateSecret"] == "true" {
		d.Set("secret", newSecret())
	}
	space := tx.Get(schema.CoSpace, d.Parent())
	if space == nil {
		return failure.Code(schema.CoSpace.Missing)
	}
	if err := checkPasscode(tx, d, tx.Ref(space, "tenant")); err != nil {
		return err
	}
	return Complete(tx, d)
}

// way is one way into a space: an address or a call ID, with the passcode that goes with it.
type way struct {
	callID          bool
	value, passcode string
}

// texts is what *store.Record and *store.Draft have in common.
type texts interface {
	ID() store.ID
	Object() *schema.Object
	Text(field string) string
}

// ways are those of a space or of an access method.
func ways(of texts) []way {
	var l []way
	add := func(field string, callID bool) {
		if s := of.Text(field); s != "" {
			l = append(l, way{callID: callID, value: strings.ToLower(s), passcode: of.Text("passcode")})
		}
	}
	add("uri", false)
	if of.Object() == schema.CoSpace {
		add("secondaryUri", false)
	}
	add("callId", true)
	return l
}

// checkPairs compares a space or an access method with the others of its family. Whoever dials a number that several of them have is
// told apart by the passcode alone.
func checkPairs(tx *store.Tx, d *store.Draft) error {
	mine := ways(d)
	if len(mine) == 0 {
		return nil
	}
	if d.Object() == schema.CoSpace && d.Text("uri") != "" && strings.EqualFold(d.Text("uri"), d.Text("secondaryUri")) {
		return failure.Code(schema.CoSpace.Unique[0].Code)
	}
	root := d.ID()
	var family []texts
	if d.Object() == schema.AccessMethod {
		root = d.Parent()
		if space := tx.Get(schema.CoSpace, root); space != nil {
			family = append(family, space)
		}
	} else if d.Before() == nil {
		return nil // a new space has no access methods
	}
	for _, m := range tx.Below(schema.AccessMethod, root) {
		// Getting it by its ID sees to it that no other Call Bridge changes its passcode meanwhile.
		if m = tx.Get(schema.AccessMethod, m.ID()); m != nil {
			family = append(family, m)
		}
	}
	for _, other := range family {
		if other.ID() == d.ID() {
			continue
		}
		for _, theirs := range ways(other) {
			for _, w := range mine {
				if w != theirs {
					continue
				}
				if w.callID {
					return failure.DuplicateCoSpaceIDPasscode
				}
				return failure.DuplicateCoSpaceURIPasscode
			}
		}
	}
	return nil
}

// Audience is how somebody who looks at a space belongs to it.
type Audience uint8

// The audiences, wider ones first: everybody, users who can look the space up in the directory, members and the owner.
const (
	Anyone Audience = iota
	DirectoryUser
	Member
)

// Visible says whether somebody is shown an access method. Clients up to 3.0 say private for what later ones call member; both are
// kept as they were sent, and mean the same.
func Visible(method *store.Record, to Audience) bool {
	switch method.Text("scope") {
	case "private", "member":
		return to == Member
	case "directory":
		return to >= DirectoryUser
	}
	return true
}
