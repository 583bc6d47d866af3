package spaces

import (
	"unicode/utf8"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// checkPasscode holds a new or changed passcode against the policy in force (dialInSecurityProfile of the access method, the space, the
// tenant, system/profiles). No passcode has no characters, so it is too short where a length is asked for; but what has neither
// address nor call ID needs none. A space that was there before the policy can be changed in all other respects.
func checkPasscode(tx *store.Tx, d *store.Draft, tenant *store.Record) error {
	if len(ways(d)) == 0 {
		return nil
	}
	if before := d.Before(); before != nil && len(ways(before)) > 0 {
		moved := d.Object() == schema.CoSpace && d.Changed("tenant")
		if !moved && !d.Changed("passcode") && !d.Changed("dialInSecurityProfile") {
			return nil
		}
	}
	var ofSpace, ofMethod store.ID
	if d.Object() == schema.AccessMethod {
		ofMethod, _ = d.Ref("dialInSecurityProfile")
		if space := tx.Get(schema.CoSpace, d.Parent()); space != nil {
			ofSpace, _ = space.Ref("dialInSecurityProfile")
		}
	} else {
		ofSpace, _ = d.Ref("dialInSecurityProfile")
	}
	if utf8.RuneCountInString(d.Text("passcode")) < shortest(profiles.ForPasscodes(tx, tenant, ofSpace, ofMethod)) {
		return failure.PasscodeTooShort
	}
	return nil
}

// shortest returns the fewest characters of a passcode that a policy lets be written.
func shortest(policy profiles.Effective) int {
	if policy.Bool("allowOutOfPolicy") {
		return 0
	}
	n, _ := policy.Number("minPasscodeLength")
	return int(n)
}
