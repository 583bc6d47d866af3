package spaces

import (
	"context"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces/invitation"
	"rotunda/services/callbridge/store"
)

// Inviting returns the access method that invitations to a space tell of: its default one, or else the first public one that leads
// anywhere. nil stands for the space's own address and number.
func Inviting(v store.View, space *store.Record) *store.Record {
	if m := v.Ref(space, "defaultAccessMethod"); m != nil && m.Parent() == space.ID() {
		return m
	}
	for _, m := range v.Below(schema.AccessMethod, space.ID()) {
		if Visible(m, Anyone) && len(ways(m)) > 0 {
			return m
		}
	}
	return nil
}

// Invite writes the invitation to a space, by an access method or, where method is nil, as [Inviting] says. language is "de", "de_AT"
// or "" for English. The message is good even where err says why the template of the branding profile was not used, unless the
// language is not one: that is a *failure.Parameter of the caller's to make.
func Invite(ctx context.Context, v store.View, f invitation.Fetcher, space, method *store.Record, language string) (invitation.Message, error) {
	if method == nil {
		method = Inviting(v, space)
	}
	e := EntryOf(v, space, method)
	m := invitation.Meeting{Name: space.Text("name"), URI: e.URI, NumericID: e.CallID, Passcode: e.Passcode, WebBridges: e.Links, Numbers: e.Numbers}
	if len(e.Links) > 0 {
		m.Hyperlink = e.Links[0].Hyperlink
	}
	template := profiles.ForCallBranding(v, space, nil).Text("invitationTemplate")
	return invitation.Compose(ctx, f, template, language, m)
}
