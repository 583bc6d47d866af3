package spaces

import (
	"context"

	"rotunda/services/callbridge/failure"
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

// Invite writes the invitation to a space, by an access method or, where method is nil, as [Inviting] says. language is as clients send
// it, "de", "de_AT" or "" for English; one that is none gives a *failure.Parameter. With any other error the message is good, and the
// error says why the template of the branding profile was not used.
func Invite(ctx context.Context, v store.View, f invitation.Fetcher, space, method *store.Record, language string) (invitation.Message, error) {
	language, err := invitation.ParseLanguage(language)
	if err != nil {
		return invitation.Message{}, &failure.Parameter{Name: "language", Fault: failure.Invalid, Why: err.Error()}
	}
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
