package spaces

import (
	"context"
	"strings"
	"testing"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

func instantiate(s *store.Store, template *store.Record, w Wish) (*store.Record, error) {
	var id store.ID
	err := s.Write(context.Background(), func(tx *store.Tx) (err error) {
		id, err = Instantiate(tx, template, w)
		return err
	})
	return s.Get(schema.CoSpace, id), err
}

func TestSpacesAreMadeFromTemplates(t *testing.T) {
	s := open(t)
	tenant := mustPost(t, s, schema.Tenants, none, fields{"name": "t"})
	fred := user(t, s, "fred@example.com", fields{"tenant": ref(tenant)})
	call := mustPost(t, s, schema.CallProfile, none, nil)
	host := mustPost(t, s, schema.CallLegProfile, none, nil)
	guest := mustPost(t, s, schema.CallLegProfile, none, fields{"needsActivation": "true"})
	template := mustPost(t, s, schema.CoSpaceTemplate, none, fields{"name": "Team", "callProfile": ref(call), "callLegProfile": ref(guest)})
	hosts := mustPost(t, s, schema.AccessMethodTemplate, template.ID(), fields{"name": "Host", "uriGenerator": "$.space", "callLegProfile": ref(host), "generateUniqueCallId": "true", "scope": "member"})
	guests := mustPost(t, s, schema.AccessMethodTemplate, template.ID(), fields{"name": "Guest", "uriGenerator": "$.space"})
	template = mustChange(t, s, template, fields{"defaultAccessMethodTemplate": ref(guests)})
	if n := shown(ShowCoSpaceTemplate(s, template, false), "numAccessMethodTemplates"); n != "2" {
		t.Errorf("numAccessMethodTemplates is %q; want 2", n)
	}
	other := mustPost(t, s, schema.CoSpaceTemplate, none, fields{"name": "Other"})
	if _, err := change(s, other, fields{"defaultAccessMethodTemplate": ref(hosts)}); !is(err, "coSpaceAccessMethodTemplateDoesNotExist") {
		t.Errorf("another template's access method: %v", err)
	}

	r, err := instantiate(s, template, Wish{Name: "Weekly Sync (EU)", Owner: fred})
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"name": "Weekly Sync (EU)", "ownerId": ref(fred), "tenant": ref(tenant), "callProfile": ref(call), "callLegProfile": ref(guest), "uri": "", "callId": "",
		"nonMemberAccess": "true", "coSpaceTemplate": ref(template)} {
		if got := r.Text(field); got != want {
			t.Errorf("the space's %s is %q; want %q", field, got, want)
		}
	}
	methods := s.Below(schema.AccessMethod, r.ID())
	if len(methods) != 2 {
		t.Fatalf("there are %d access methods; want 2", len(methods))
	}
	g, h := methods[0], methods[1]
	if g.Text("uri") != "weekly.sync.eu.space" || h.Text("uri") != "weekly.sync.eu.space" || g.Text("passcode") == h.Text("passcode") {
		t.Errorf("the addresses are %q with %q and %q with %q; want one, told apart by the passcode", g.Text("uri"), g.Text("passcode"), h.Text("uri"), h.Text("passcode"))
	}
	if !callIDForm.MatchString(h.Text("callId")) || !secretForm.MatchString(h.Text("secret")) || g.Has("callId") {
		t.Errorf("the host's call ID is %q, the guest's %q", h.Text("callId"), g.Text("callId"))
	}
	if h.Text("callLegProfile") != ref(host) || h.Text("scope") != "member" || g.Text("scope") != "public" || r.Text("defaultAccessMethod") != ref(g) {
		t.Error("profile, scope or default are not those of the templates")
	}
	if m := MemberOf(s, r.ID(), fred.ID()); m == nil || !m.Bool("canDestroy") || m.Bool("canDeleteAllMessages") {
		t.Error("the owner is no member with the rights of the app")
	}

	// The same name again gets another address; an address that is asked for must be free.
	again, err := instantiate(s, template, Wish{Name: "Weekly sync EU"})
	if err != nil {
		t.Fatal(err)
	}
	if uri := s.Below(schema.AccessMethod, again.ID())[0].Text("uri"); uri != "weekly.sync.eu.2.space" {
		t.Errorf("the second address is %q", uri)
	}
	if _, err := instantiate(s, template, Wish{Name: "x", Base: "Weekly.Sync.eu"}); !is(err, "duplicateCoSpaceUri") {
		t.Errorf("an address that is taken: %v", err)
	}
	for _, bad := range []string{"a@b", "a b", strings.Repeat("x", 195)} {
		if _, err := instantiate(s, template, Wish{Base: bad}); !is(err, "uri") {
			t.Errorf("the address %.20q: %v; want a fault of uri", bad, err)
		}
	}
	if r, err = instantiate(s, template, Wish{Base: "own"}); err != nil || r.Text("name") != "Team" || s.Below(schema.AccessMethod, r.ID())[0].Text("uri") != "own.space" {
		t.Errorf("with an address of its own: %v, %v", r, err)
	}
}

func TestATemplateWithoutWaysInMakesASpaceThatCanBeReached(t *testing.T) {
	s := open(t)
	policy := mustPost(t, s, schema.DialInSecurityProfile, none, fields{"minPasscodeLength": "8"})
	template := mustPost(t, s, schema.CoSpaceTemplate, none, fields{"name": "会議", "dialInSecurityProfile": ref(policy)})
	r, err := instantiate(s, template, Wish{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Text("uri")) != 8 || !callIDForm.MatchString(r.Text("callId")) || len(r.Text("passcode")) != 8 || r.Text("dialInSecurityProfile") != ref(policy) {
		t.Errorf("uri %q, call ID %q, a passcode of %d digits", r.Text("uri"), r.Text("callId"), len(r.Text("passcode")))
	}
	mustPost(t, s, schema.AccessMethodTemplate, template.ID(), fields{"name": "a", "uriGenerator": "$"})
	mustPost(t, s, schema.AccessMethodTemplate, template.ID(), fields{"name": "b"})
	if r, err = instantiate(s, template, Wish{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	m := s.Below(schema.AccessMethod, r.ID())
	if len(m[0].Text("passcode")) != 8 || m[1].Has("passcode") || r.Has("uri") {
		t.Errorf("passcodes of %d and %d digits; want 8, and none where there is no way in", len(m[0].Text("passcode")), len(m[1].Text("passcode")))
	}
}

func TestTemplatesOfUsers(t *testing.T) {
	s := open(t)
	fred := user(t, s, "fred@example.com", nil)
	template := mustPost(t, s, schema.CoSpaceTemplate, none, fields{"name": "Team"})
	if MayUse(s, fred.ID(), template.ID()) {
		t.Error("a user may use a template that nobody gave")
	}
	own := mustPost(t, s, schema.UserCoSpaceTemplate, fred.ID(), fields{"coSpaceTemplate": ref(template)})
	if !MayUse(s, fred.ID(), template.ID()) {
		t.Error("a user may not use a template")
	}
	if _, err := post(s, schema.UserCoSpaceTemplate, fred.ID(), fields{"coSpaceTemplate": ref(template)}); !is(err, "duplicateUserCoSpaceTemplate") {
		t.Errorf("the same template again: %v", err)
	}
	if err := RemoveUserTemplate(nil, own); err != nil {
		t.Errorf("taking it away: %v", err)
	}
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.Edit(own)
		d.SetBool("autoGenerated", true)
		return tx.Put(d)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveUserTemplate(nil, s.Get(schema.UserCoSpaceTemplate, own.ID())); err != failure.UserCoSpaceTemplateDeletionProhibited {
		t.Errorf("taking away the directory's: %v", err)
	}
}

func TestSlugs(t *testing.T) {
	for name, want := range map[string]string{"Weekly sync (EU)": "weekly.sync.eu", "  --a--B  ": "a.b", "": "", "会議": "", "Köln 7": "kln.7", strings.Repeat("ab ", 30): strings.TrimRight(strings.Repeat("ab.", 14)[:40], ".")} {
		if got := slug(name, 100); got != want {
			t.Errorf("%q becomes %q; want %q", name, got, want)
		}
	}
	if got := slug("abc def", 4); got != "abc" {
		t.Errorf("with room for 4 it is %q", got)
	}
}
