package spaces

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces/invitation"
	"rotunda/services/callbridge/store"
)

func TestTheDomainIsThatOfTheHighestRuleForSpaces(t *testing.T) {
	s := open(t)
	if d := Domain(s, none); d != "" {
		t.Errorf("without rules the domain is %q", d)
	}
	tenant := mustPost(t, s, schema.Tenants, none, fields{"name": "t"})
	rule := func(f fields) { mustPost(t, s, schema.InboundDialPlanRule, none, f) }
	rule(fields{"domain": "ivr.example.com", "priority": "100", "resolveTocoSpaces": "false"})
	if d := Domain(s, none); d != "" {
		t.Errorf("with a rule for IVRs alone the domain is %q", d)
	}
	for _, c := range []struct {
		f         fields
		all, ours string
	}{
		{fields{"domain": "low.example.com"}, "low.example.com", "low.example.com"},
		{fields{"domain": "m.example.com", "priority": "10"}, "m.example.com", "m.example.com"},
		{fields{"domain": "Z.example.com", "priority": "10"}, "m.example.com", "m.example.com"},
		{fields{"domain": "B.example.com", "priority": "10"}, "b.example.com", "b.example.com"},
		{fields{"domain": "tenant.example.com", "priority": "20", "tenant": ref(tenant)}, "b.example.com", "tenant.example.com"},
	} {
		rule(c.f)
		if all, ours := Domain(s, none), Domain(s, tenant.ID()); all != c.all || ours != c.ours {
			t.Errorf("after %v the domain is %q, the tenant's %q; want %q and %q", c.f, all, ours, c.all, c.ours)
		}
		// Calls must arrive at the domain that invitations tell.
		plan := dialplan.Follow(s)
		for _, of := range []store.ID{none, tenant.ID()} {
			if first, _ := plan.Plan().InvitationDomain(of); !strings.EqualFold(first, Domain(s, of)) {
				t.Errorf("after %v the dial plan says %q, invitations %q", c.f, first, Domain(s, of))
			}
		}
		plan.Close()
	}
}

// web gives system/profiles a web bridge profile with two addresses and a number.
func web(t testing.TB, s *store.Store, f fields) *store.Record {
	p := mustPost(t, s, schema.WebBridgeProfile, none, f)
	mustPost(t, s, schema.WebBridgeAddress, p.ID(), fields{"label": "Inside", "address": "https://join.example.com/"})
	mustPost(t, s, schema.WebBridgeAddress, p.ID(), fields{"label": "Outside", "address": "https://meet.example.com:8443"})
	mustPost(t, s, schema.IVRNumber, p.ID(), fields{"label": "Oslo", "number": "+47 123"})
	mustPost(t, s, schema.Profiles, none, fields{"webBridgeProfile": ref(p)})
	return p
}

func TestHowAMeetingIsReached(t *testing.T) {
	s := open(t)
	r := mustPost(t, s, schema.CoSpace, none, fields{"name": "a", "uri": "room", "callId": "100", "passcode": "1", "secret": "s/1"})
	if e := EntryOf(s, r, nil); e.URI != "room" || e.CallID != "100" || e.Space != r.ID() || len(e.Links) != 0 {
		t.Errorf("without rules and web bridges it is %+v", e)
	}
	mustPost(t, s, schema.InboundDialPlanRule, none, fields{"domain": "example.com"})
	p := web(t, s, nil)
	e := EntryOf(s, r, nil)
	if e.URI != "room@example.com" || e.Passcode != "1" || len(e.Links) != 2 || len(e.Numbers) != 1 {
		t.Fatalf("it is %+v", e)
	}
	if want := "https://join.example.com/meeting/100?secret=s%2F1"; e.Links[0].Hyperlink != want {
		t.Errorf("the link is %s; want %s", e.Links[0].Hyperlink, want)
	}
	m := mustPost(t, s, schema.AccessMethod, r.ID(), fields{"callId": "300", "secret": "m"})
	if e := EntryOf(s, r, m); e.URI != "" || e.CallID != "300" || e.AccessMethod != m.ID() || e.Passcode != "" || e.Links[1].Hyperlink != "https://meet.example.com:8443/meeting/300?secret=m" {
		t.Errorf("by the access method it is %+v", e)
	}
	mustChange(t, s, p, fields{"allowSecrets": "false"})
	if e := EntryOf(s, r, nil); e.Links[0].Hyperlink != "https://join.example.com/meeting/100" {
		t.Errorf("without secrets the link is %s", e.Links[0].Hyperlink)
	}
	mustChange(t, s, p, fields{"resolveCoSpaceCallIds": "false"})
	if e := EntryOf(s, r, nil); e.Links[0].Hyperlink != "" || e.Links[0].Address == "" {
		t.Errorf("where the web app takes no call IDs the link is %s", e.Links[0].Hyperlink)
	}
}

func TestAccessQueries(t *testing.T) {
	s := open(t)
	mustPost(t, s, schema.InboundDialPlanRule, none, fields{"domain": "example.com"})
	web(t, s, nil)
	mustPost(t, s, schema.CoSpace, none, fields{"uri": "room", "callId": "100", "secret": "hidden"})
	for _, c := range []struct {
		uri, callID string
		want        Access
	}{
		{"room", "", Access{URI: "room@example.com", WebAddress: "https://join.example.com/"}},
		{"room@other.com", "", Access{URI: "room@other.com", WebAddress: "https://join.example.com/"}},
		{"", "100", Access{WebAddress: "https://join.example.com/meeting/100", IVR: "+47 123"}},
		{"", "999", Access{WebAddress: "https://join.example.com/meeting/999", IVR: "+47 123"}},
	} {
		if got, err := AccessQuery(s, c.uri, c.callID, none); err != nil || got != c.want {
			t.Errorf("%q, %q: %+v, %v; want %+v", c.uri, c.callID, got, err, c.want)
		}
	}
	if _, err := AccessQuery(s, "", "", none); !is(err, "uri") {
		t.Errorf("nothing asked for: %v", err)
	}
	if _, err := AccessQuery(s, "room", "", uuid.New()); !is(err, "tenantDoesNotExist") {
		t.Errorf("no such tenant: %v", err)
	}
}

func TestURIUsage(t *testing.T) {
	s := open(t)
	tenant := mustPost(t, s, schema.Tenants, none, fields{"name": "t"})
	r := mustPost(t, s, schema.CoSpace, none, fields{"secondaryUri": "room", "tenant": ref(tenant)})
	mustPost(t, s, schema.AccessMethod, r.ID(), fields{"uri": "side"})
	fred := user(t, s, "fred@example.com", nil)
	ivr := mustPost(t, s, schema.IVR, none, fields{"uri": "lobby"})
	for uri, want := range map[string]Usage{
		"room": {CoSpace: r}, "ROOM@example.com": {CoSpace: r}, "sip:side@example.com": {CoSpace: r}, "fred@example.com": {User: fred}, "Lobby@x": {IVR: ivr}, "fred": {}, "nobody@x": {},
	} {
		got, err := URIUsage(s, uri, none)
		same := func(a, b *store.Record) bool { return (a == nil) == (b == nil) && (a == nil || a.ID() == b.ID()) }
		if err != nil || !same(got.CoSpace, want.CoSpace) || !same(got.User, want.User) || !same(got.IVR, want.IVR) {
			t.Errorf("%s: %+v, %v; want %+v", uri, got, err, want)
		}
	}
	if got, _ := URIUsage(s, "room", tenant.ID()); got.CoSpace == nil {
		t.Error("the tenant does not find its own space")
	}
	if got, _ := URIUsage(s, "lobby", tenant.ID()); got.IVR != nil {
		t.Error("the tenant finds an IVR that is not its own")
	}
	if _, err := URIUsage(s, " ", none); !is(err, "uri") {
		t.Errorf("nothing asked for: %v", err)
	}
}

func TestInvitations(t *testing.T) {
	s := open(t)
	mustPost(t, s, schema.InboundDialPlanRule, none, fields{"domain": "example.com"})
	web(t, s, nil)
	r := mustPost(t, s, schema.CoSpace, none, fields{"name": "Weekly", "uri": "weekly", "callId": "100", "passcode": "4711", "secret": "abc"})
	ctx := context.Background()
	m, err := Invite(ctx, s, invitation.NewHTTP(nil), r, nil, "es_ES")
	if err != nil || m.Subject != "Invitación a Weekly" || m.Language != "es" {
		t.Errorf("subject %q in %q, %v", m.Subject, m.Language, err)
	}
	for _, want := range []string{"weekly@example.com", "100", "4711", "https://join.example.com/meeting/100?secret=abc", "Outside: https://meet.example.com:8443/meeting/100?secret=abc", "Oslo: +47 123"} {
		if !strings.Contains(m.Body, want) {
			t.Errorf("%q is missing in\n%s", want, m.Body)
		}
	}

	// The first public access method counts before the space itself, the default one before both.
	tells := func(want string) {
		t.Helper()
		if m, err := Invite(ctx, s, nil, s.Get(schema.CoSpace, r.ID()), nil, "en"); err != nil || !strings.Contains(m.Body, "Meeting ID: "+want+"\n") {
			t.Errorf("%v, and not of %s:\n%s", err, want, m.Body)
		}
	}
	private := mustPost(t, s, schema.AccessMethod, r.ID(), fields{"name": "a", "callId": "200", "scope": "private"})
	tells("100")
	mustPost(t, s, schema.AccessMethod, r.ID(), fields{"name": "b"})
	tells("100")
	mustPost(t, s, schema.AccessMethod, r.ID(), fields{"name": "c", "callId": "300", "passcode": "p"})
	mustPost(t, s, schema.AccessMethod, r.ID(), fields{"name": "d", "callId": "400", "passcode": "p"})
	tells("300")
	mustChange(t, s, r, fields{"defaultAccessMethod": ref(private)})
	tells("200")
	if err := remove(s, private); err != nil {
		t.Fatal(err)
	}
	tells("300")
	method := s.Below(schema.AccessMethod, r.ID())[2]
	if m, _ := Invite(ctx, s, nil, r, method, "en"); !strings.Contains(m.Body, "Meeting ID: 400\n") {
		t.Errorf("asked for one method, it tells of another:\n%s", m.Body)
	}

	if m, err := Invite(ctx, s, nil, r, nil, ""); err != nil || m.Language != "en" {
		t.Errorf("without a language it is in %q, %v", m.Language, err)
	}
	if _, err := Invite(ctx, s, nil, r, nil, "../x"); !is(err, "language") {
		t.Errorf("no language: %v", err)
	}

	// A template of one's own, by the branding profile.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l := r.URL.Query().Get("language"); l != "de_AT" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte("Subject: Ruf %name%\n%numeric_id%\n"))
	}))
	defer server.Close()
	branding := mustPost(t, s, schema.CallBrandingProfile, none, fields{"invitationTemplate": server.URL})
	mustPost(t, s, schema.Profiles, none, fields{"callBrandingProfile": ref(branding)})
	if m, err := Invite(ctx, s, invitation.NewHTTP(nil), r, nil, "de_AT"); err != nil || m.Subject != "Ruf Weekly" || m.Body != "300\n" {
		t.Errorf("by its own template it is %q %q, %v", m.Subject, m.Body, err)
	}
	if m, err := Invite(ctx, s, invitation.NewHTTP(nil), r, nil, "fr_FR"); err != nil || m.Subject != "Invitation à Weekly" {
		t.Errorf("where the server has no such language it is %q, %v", m.Subject, err)
	}
	server.Close()
	if m, err := Invite(ctx, s, invitation.NewHTTP(nil), r, nil, "de_AT"); err == nil || m.Subject != "Einladung zu Weekly" {
		t.Errorf("where the server is not there it is %q, %v; want ours and an error", m.Subject, err)
	}
}
