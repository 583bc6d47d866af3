package profiles

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// put makes an object and returns it.
func put(t testing.TB, s *store.Store, o *schema.Object, parent store.ID, fields map[string]string) *store.Record {
	t.Helper()
	var id store.ID
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(o, parent)
		if o.Singleton {
			d = tx.Edit(tx.Only(o))
		}
		id = d.ID()
		for name, v := range fields {
			d.Set(name, v)
		}
		return tx.Put(d)
	})
	if err != nil {
		t.Fatalf("put %s: %v", o.Name, err)
	}
	if o.Singleton {
		return s.Only(o)
	}
	return s.Get(o, id)
}

func remove(t testing.TB, s *store.Store, r *store.Record) {
	t.Helper()
	if err := s.Write(context.Background(), func(tx *store.Tx) error { return tx.Delete(tx.Get(r.Object(), r.ID())) }); err != nil {
		t.Fatalf("delete %s: %v", r, err)
	}
}

func id(r *store.Record) string { return r.ID().String() }

// meeting is a space of a tenant with a profile at every place; each sets name, so that the trace shows which is which, its own field,
// and defaultLayout.
func meeting(t testing.TB, s *store.Store) (Leg, map[Scope]*store.Record) {
	layouts := map[Scope]string{Global: "allEqual", Tenant: "speakerOnly", CoSpace: "telepresence", AccessMethod: "stacked", CoSpaceUser: "onePlusFive", CallOut: "onePlusSeven", CallLeg: "onePlusNine"}
	own := map[Scope]string{Global: "muteSelfAllowed", Tenant: "videoMuteSelfAllowed", CoSpace: "changeLayoutAllowed", AccessMethod: "endCallAllowed", CoSpaceUser: "presentationContributionAllowed",
		CallOut: "presentationViewingAllowed", CallLeg: "addParticipantAllowed"}
	p := map[Scope]*store.Record{}
	for _, scope := range chain7 {
		p[scope] = put(t, s, schema.CallLegProfile, store.ID{}, map[string]string{"name": scope.String(), "defaultLayout": layouts[scope], own[scope]: "false"})
	}
	put(t, s, schema.Profiles, store.ID{}, map[string]string{"callLegProfile": id(p[Global])})
	tenant := put(t, s, schema.Tenants, store.ID{}, map[string]string{"name": "t", "callLegProfile": id(p[Tenant])})
	user := put(t, s, schema.User, store.ID{}, map[string]string{"userJid": "fred@example.com"})
	space := put(t, s, schema.CoSpace, store.ID{}, map[string]string{"name": "s", "tenant": id(tenant), "callLegProfile": id(p[CoSpace])})
	method := put(t, s, schema.AccessMethod, space.ID(), map[string]string{"callLegProfile": id(p[AccessMethod])})
	member := put(t, s, schema.CoSpaceUser, space.ID(), map[string]string{"userId": id(user), "callLegProfile": id(p[CoSpaceUser])})
	return Leg{Space: space, AccessMethod: method, Member: member, CallOut: Settings{Profile: p[CallOut].ID()}, Own: Settings{Profile: p[CallLeg].ID()}}, p
}

func TestTheChainOfALeg(t *testing.T) {
	s := open(t)
	leg, p := meeting(t, s)
	e := ForLeg(s, leg)
	if len(e.Levels()) != 7 {
		t.Fatalf("the trace has %d levels; want 7", len(e.Levels()))
	}
	for i, l := range e.Levels() {
		if l.Scope != chain7[i] || l.Profile.ID() != p[chain7[i]].ID() {
			t.Errorf("level %d is %s with %s; want %s", i, l.Scope, l.Profile.Text("name"), chain7[i])
		}
	}
	// Each level's own field comes from it, whatever stands below.
	for field, want := range map[string]Scope{"muteSelfAllowed": Global, "videoMuteSelfAllowed": Tenant, "changeLayoutAllowed": CoSpace, "endCallAllowed": AccessMethod,
		"presentationContributionAllowed": CoSpaceUser, "presentationViewingAllowed": CallOut, "addParticipantAllowed": CallLeg, "defaultLayout": CallLeg, "callLockAllowed": Nowhere} {
		if got := e.From(field); got != want {
			t.Errorf("%s is from %q; want %q", field, got, want)
		}
	}
	// Taking levels off from below shows the next one.
	leg.Own = Settings{Fields: map[string]string{"muteSelfAllowed": "true"}}
	e = ForLeg(s, leg)
	if e.Text("defaultLayout") != "onePlusSeven" || e.From("muteSelfAllowed") != CallLeg || !e.Bool("muteSelfAllowed") {
		t.Errorf("with a field of its own the leg has %s, and muteSelfAllowed from %q", e.Text("defaultLayout"), e.From("muteSelfAllowed"))
	}
	leg.CallOut, leg.Own = Settings{}, Settings{}
	for _, want := range []string{"onePlusFive", "stacked", "telepresence"} {
		if got := ForLeg(s, leg).Text("defaultLayout"); got != want {
			t.Errorf("the layout is %s; want %s", got, want)
		}
		if leg.Member != nil {
			leg.Member = nil
		} else {
			leg.AccessMethod = nil
		}
	}
	if got := ForLeg(s, Leg{Tenant: s.Ref(leg.Space, "tenant")}).Text("defaultLayout"); got != "speakerOnly" {
		t.Errorf("a forwarded call of the tenant has the layout %s; want speakerOnly", got)
	}
	if got := ForLeg(s, Leg{}).Text("defaultLayout"); got != "allEqual" {
		t.Errorf("a forwarded call has the layout %s; want allEqual", got)
	}
}

func TestAProfileThatIsGoneCountsAsNone(t *testing.T) {
	s := open(t)
	leg, p := meeting(t, s)
	leg.CallOut, leg.Own, leg.Member = Settings{}, Settings{Profile: p[CallLeg].ID()}, nil
	remove(t, s, p[CallLeg])
	remove(t, s, p[AccessMethod])
	e := ForLeg(s, leg)
	if e.Text("defaultLayout") != "telepresence" || e.Text("endCallAllowed") != "true" {
		t.Errorf("the layout is %s, endCallAllowed %s; want those of the space", e.Text("defaultLayout"), e.Text("endCallAllowed"))
	}
	// What a leg has keeps what it was resolved to.
	if before := ForLeg(s, leg); before.Text("changeLayoutAllowed") != "false" {
		t.Error("changeLayoutAllowed of the space does not count")
	} else if remove(t, s, p[CoSpace]); before.Text("changeLayoutAllowed") != "false" || ForLeg(s, leg).Text("changeLayoutAllowed") != "true" {
		t.Error("a deleted profile changed what was resolved, or counts still")
	}
}

func TestTheChainsOfTheOtherProfiles(t *testing.T) {
	s := open(t)
	none := store.ID{}
	attach := map[string]string{}
	level := func(o *schema.Object, field string, values ...string) []*store.Record {
		var l []*store.Record
		for _, v := range values {
			l = append(l, put(t, s, o, none, map[string]string{field: v}))
		}
		return l
	}
	call := level(schema.CallProfile, "participantLimit", "100", "50", "10")
	branding := level(schema.CallBrandingProfile, "invitationTemplate", "http://g/", "http://t/", "http://s/")
	dtmf := level(schema.DTMFProfile, "endCall", "*1", "*2")
	ivrs := level(schema.IVRBrandingProfile, "resourceLocation", "http://g/", "http://t/", "http://i/")
	users := level(schema.UserProfile, "hasLicense", "false", "false", "true")
	security := level(schema.DialInSecurityProfile, "minPasscodeLength", "4", "5", "6", "7")
	web := level(schema.WebBridgeProfile, "allowSecrets", "true", "true", "false")
	compat := level(schema.CompatibilityProfile, "sipUdt", "false")
	global := map[string]string{"callProfile": id(call[0]), "callBrandingProfile": id(branding[0]), "dtmfProfile": id(dtmf[0]), "ivrBrandingProfile": id(ivrs[0]), "userProfile": id(users[0]),
		"dialInSecurityProfile": id(security[0]), "webBridgeProfile": id(web[0]), "compatibilityProfile": id(compat[0])}
	for k, v := range map[string]string{"name": "t", "callProfile": id(call[1]), "callBrandingProfile": id(branding[1]), "dtmfProfile": id(dtmf[1]), "ivrBrandingProfile": id(ivrs[1]),
		"userProfile": id(users[1]), "dialInSecurityProfile": id(security[1]), "webBridgeProfile": id(web[1])} {
		attach[k] = v
	}
	tenant := put(t, s, schema.Tenants, none, attach)
	space := put(t, s, schema.CoSpace, none, map[string]string{"tenant": id(tenant), "callProfile": id(call[2]), "callBrandingProfile": id(branding[2]), "dialInSecurityProfile": id(security[2])})
	bare := put(t, s, schema.CoSpace, none, map[string]string{"tenant": id(tenant)})
	ivr := put(t, s, schema.IVR, none, map[string]string{"uri": "ivr", "tenant": id(tenant), "ivrBrandingProfile": id(ivrs[2])})
	user := put(t, s, schema.User, none, map[string]string{"userJid": "a@b", "tenant": id(tenant), "userProfile": id(users[2])})
	bridge := put(t, s, schema.WebBridge, none, map[string]string{"url": "c2w://a:1", "tenant": id(tenant), "webBridgeProfile": id(web[2])})

	check := func(what string, e Effective, field, want string, from Scope) {
		t.Helper()
		if e.Text(field) != want || e.From(field) != from {
			t.Errorf("%s: %s is %q from %q; want %q from %q", what, field, e.Text(field), e.From(field), want, from)
		}
	}
	check("nothing is attached", ForCall(s, nil, nil), "recordingMode", "manual", Nowhere)
	put(t, s, schema.Profiles, none, global)
	check("space", ForCall(s, space, nil), "participantLimit", "10", CoSpace)
	check("space without one", ForCall(s, bare, nil), "participantLimit", "50", Tenant)
	check("no tenant", ForCall(s, nil, nil), "participantLimit", "100", Global)
	check("space", ForCallBranding(s, space, nil), "invitationTemplate", "http://s/", CoSpace)
	check("space without one", ForCallBranding(s, bare, nil), "invitationTemplate", "http://t/", Tenant)
	check("tenant", ForDTMF(s, tenant), "endCall", "*2", Tenant)
	check("no tenant", ForDTMF(s, nil), "endCall", "*1", Global)
	check("ivr", ForIVR(s, ivr), "resourceLocation", "http://i/", IVR)
	check("user", ForUser(s, user), "hasLicense", "true", User)
	check("compatibility", ForCompatibility(s), "sipUdt", "false", Global)
	check("web bridge", ForWebBridge(s, bridge, nil), "allowSecrets", "false", WebBridge)
	check("meetings of a tenant", ForWebBridge(s, nil, tenant), "allowSecrets", "true", Tenant)
	check("passcodes", ForPasscodes(s, tenant, security[2].ID(), security[3].ID()), "minPasscodeLength", "7", AccessMethod)
	check("passcodes", ForPasscodes(s, tenant, security[2].ID(), none), "minPasscodeLength", "6", CoSpace)
	check("passcodes", ForPasscodes(s, tenant, none, none), "minPasscodeLength", "5", Tenant)
	check("passcodes", ForPasscodes(s, nil, none, none), "minPasscodeLength", "4", Global)
}

func TestAddressesAndNumbersAreInheritedAsAWhole(t *testing.T) {
	s := open(t)
	none := store.ID{}
	global := put(t, s, schema.WebBridgeProfile, none, nil)
	own := put(t, s, schema.WebBridgeProfile, none, nil)
	put(t, s, schema.Profiles, none, map[string]string{"webBridgeProfile": id(global)})
	tenant := put(t, s, schema.Tenants, none, map[string]string{"name": "t", "webBridgeProfile": id(own)})
	put(t, s, schema.WebBridgeAddress, global.ID(), map[string]string{"label": "a", "address": "https://a"})
	put(t, s, schema.WebBridgeAddress, global.ID(), map[string]string{"label": "b", "address": "https://b"})
	put(t, s, schema.IVRNumber, global.ID(), map[string]string{"label": "x", "number": "1"})
	put(t, s, schema.IVRNumber, own.ID(), map[string]string{"label": "y", "number": "2"})
	e := ForWebBridge(s, nil, tenant)
	if l := e.Addresses(s); len(l) != 2 || l[0].Text("address") != "https://a" {
		t.Errorf("there are %d addresses; want the 2 of system/profiles", len(l))
	}
	if l := e.IVRNumbers(s); len(l) != 1 || l[0].Text("number") != "2" {
		t.Errorf("there are %d numbers; want the tenant's own", len(l))
	}
	if l := ForWebBridge(s, nil, nil).IVRNumbers(s); len(l) != 1 || l[0].Text("number") != "1" {
		t.Errorf("without a tenant there are %d numbers; want 1", len(l))
	}
}

func BenchmarkForLeg(b *testing.B) {
	s := open(b)
	leg, _ := meeting(b, s)
	b.ReportAllocs()
	for b.Loop() {
		ForLeg(s, leg)
	}
}
