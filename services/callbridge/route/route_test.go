package route

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/licence"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// bridge is a Call Bridge's objects and its router.
type bridge struct {
	*testing.T
	store   *store.Store
	plan    *dialplan.Live
	router  *Router
	log     bytes.Buffer
	tracing bool
	made    []*store.Record
}

func open(t *testing.T) *bridge {
	t.Helper()
	b := &bridge{T: t}
	machine := uuid.New()
	var err error
	if b.store, err = store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: machine}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.store.Close)
	b.plan = dialplan.Follow(b.store)
	t.Cleanup(b.plan.Close)
	b.router = New(Options{Plan: b.plan.Plan, View: func() store.View { return b.store }, Machine: machine, Tracing: func() bool { return b.tracing },
		Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	return b
}

func (b *bridge) put(o *schema.Object, parent store.ID, fields map[string]string) *store.Record {
	b.Helper()
	var id store.ID
	if err := b.store.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(o, parent)
		id = d.ID()
		for name, v := range fields {
			d.Set(name, v)
		}
		return tx.Put(d)
	}); err != nil {
		b.Fatalf("put %s %v: %v", o.Name, fields, err)
	}
	r := b.store.Get(o, id)
	b.made = append(b.made, r)
	return r
}

// rules puts dial plan rules, and waits until the plan has them.
func (b *bridge) rules(o *schema.Object, rules ...map[string]string) (ids []store.ID) {
	b.Helper()
	for _, r := range rules {
		ids = append(ids, b.put(o, store.ID{}, r).ID())
	}
	return ids
}

func (b *bridge) space(fields map[string]string) *store.Record {
	all := map[string]string{"name": "a space", "nonMemberAccess": "true"}
	for k, v := range fields {
		all[k] = v
	}
	return b.put(schema.CoSpace, store.ID{}, all)
}

// say is what becomes of a call in a few words.
func (b *bridge) say(t meeting.Target) string {
	name := func(r *store.Record) string {
		if n := r.Text("name"); n != "" {
			return n
		}
		return r.Text("uri")
	}
	switch {
	case t.Reject != "":
		return "refused: " + string(t.Reject)
	case t.Menu != nil:
		return "IVR " + t.Menu.Text("uri")
	case t.Forward != nil:
		mode := "by plan"
		if t.Forward.PreserveFrom {
			mode = "preserved"
		}
		return "forward " + t.Forward.To + ", caller " + mode
	case len(t.Entries) > 0:
		s := "space " + name(t.Entries[0].Space)
		for _, e := range t.Entries {
			if e.Method != nil {
				s += " by " + name(e.Method)
			}
		}
		return s
	}
	return "nothing"
}

func (b *bridge) call(to string) meeting.Target {
	return b.router.Target(Call{Called: to, From: "anna@vc.example.com", Name: "Anna", Vouched: true, Source: netip.MustParseAddrPort("192.0.2.1:5060"), MaxForwards: 70})
}

func (b *bridge) wants(rows [][2]string) {
	b.Helper()
	for _, row := range rows {
		if got := b.say(b.call(row[0])); got != row[1] {
			b.Errorf("%s: want %s, got %s", row[0], row[1], got)
		}
	}
}

// settle waits until the plan has seen what was written: the store tells of changes a moment after they are made.
func (b *bridge) settle(to, want string) {
	b.Helper()
	for limit := time.Now().Add(10 * time.Second); b.say(b.call(to)) != want; {
		if time.Now().After(limit) {
			b.Fatalf("%s: want %s, got %s", to, want, b.say(b.call(to)))
		}
		<-time.After(time.Millisecond)
	}
}

func TestGuide72TheSpaceOfTheExample(t *testing.T) {
	b := open(t)
	b.space(map[string]string{"name": "Call 001", "uri": "88001"})
	b.put(schema.IVR, store.ID{}, map[string]string{"uri": "7772"})
	b.rules(schema.InboundDialPlanRule, map[string]string{"domain": "meetingserver.example.com", "resolveTocoSpaces": "true", "resolveToIvrs": "true", "resolveToUsers": "true"})
	b.settle("sip:88001@other.example.com", "refused: unknownDestination")
	b.wants([][2]string{
		{"sip:88001@meetingserver.example.com", "space Call 001"},
		{"sips:88001@meetingserver.example.com", "space Call 001"},
		{"sip:88001@MEETINGSERVER.Example.com:5061;transport=tls", "space Call 001"},
		{"sip:%38%38001@meetingserver.example.com", "space Call 001"},
		{"sip:7772@meetingserver.example.com", "IVR 7772"},
		{"sip:88002@meetingserver.example.com", "refused: unknownDestination"},
		{"sip:88001@192.0.2.9", "refused: unknownDestination"},
		{"tel:+4488001", "refused: unknownDestination"},
		{"sip:meetingserver.example.com", "refused: unknownDestination"},
		{"not an address", "refused: unknownDestination"},
	})
}

func TestGuide622CallMatching(t *testing.T) {
	b := open(t)
	// No rules: every domain is matched.
	b.space(map[string]string{"name": "name space", "uri": "name.space"})
	b.wants([][2]string{
		{"sip:name.space@meetingserver.example.com", "space name space"},
		{"sip:Name.Space@192.0.2.9", "space name space"},
		{"sip:nobody@192.0.2.9", "refused: unknownDestination"},
	})
	// A rule for each domain that is expected; those of addresses come after that of the deployment.
	b.rules(schema.InboundDialPlanRule,
		map[string]string{"domain": "meetingserver.example.com", "resolveTocoSpaces": "true", "priority": "100"},
		map[string]string{"domain": "192.0.2.9", "resolveTocoSpaces": "true", "priority": "10"},
		map[string]string{"domain": "lync.example.com", "resolveTocoSpaces": "false", "priority": "1"})
	b.settle("sip:name.space@elsewhere.example.com", "refused: unknownDestination")
	b.wants([][2]string{
		{"sip:name.space@meetingserver.example.com", "space name space"},
		{"sip:name.space@192.0.2.9", "space name space"},
		{"sip:name.space@lync.example.com", "refused: unknownDestination"},
	})
}

func TestGuide623CallForwarding(t *testing.T) {
	b := open(t)
	b.space(map[string]string{"name": "weekly", "uri": "weekly"})
	b.rules(schema.InboundDialPlanRule, map[string]string{"domain": "meetingserver.example.com", "resolveTocoSpaces": "true"})
	b.rules(schema.ForwardingDialPlanRule,
		map[string]string{"matchPattern": "lync.example.com", "action": "forward", "callerIdMode": "regenerate", "priority": "10"},
		map[string]string{"matchPattern": "exa*.com", "action": "forward", "callerIdMode": "preserve", "priority": "5", "uriParameters": "forward"},
		map[string]string{"matchPattern": "*.rewritten.org", "action": "forward", "destinationDomain": "vc.example.com", "priority": "5"},
		map[string]string{"matchPattern": "caught.exa*.com", "action": "reject", "priority": "20"},
		map[string]string{"matchPattern": "exact.com", "action": "reject", "priority": "1"})
	b.settle("sip:x@lync.example.com", "forward x@lync.example.com, caller by plan")
	b.wants([][2]string{
		{"sip:weekly@meetingserver.example.com", "space weekly"},
		// What call matching does not find goes on to forwarding, of the same domain too.
		{"sip:nobody@meetingserver.example.com", "refused: unknownDestination"},
		{"sip:roberta.smith@example.com", "forward roberta.smith@example.com, caller preserved"},
		{"sip:roberta.smith@example.com;method=x?Subject=y", "forward roberta.smith@example.com;method=x, caller preserved"},
		{"sip:x@lync.example.com;foo=bar", "forward x@lync.example.com, caller by plan"},
		{"sip:x@a.rewritten.org:5070", "forward x@vc.example.com, caller by plan"},
		{"sip:x@caught.example.com", "refused: remoteRejected"},
		// The rule with the higher priority counts where two match.
		{"sip:x@exact.com", "forward x@exact.com, caller preserved"},
		{"sip:x@example.org", "refused: unknownDestination"},
	})
	d := b.call("sip:x@lync.example.com").Forward
	if d == nil || !d.Forwarded || d.From != "anna@vc.example.com" || d.FromName != "Anna" || d.PreserveFrom {
		t.Errorf("want a forwarded call of Anna, got %+v", d)
	}
}

func TestGuide83SIPAndOtherEndpointsByGateway(t *testing.T) {
	b := open(t)
	b.rules(schema.ForwardingDialPlanRule,
		map[string]string{"matchPattern": "vc.exa*.com", "action": "forward", "callerIdMode": "regenerate", "priority": "2"},
		map[string]string{"matchPattern": "exa*.com", "action": "forward", "callerIdMode": "regenerate", "priority": "1"})
	b.settle("sip:meetingroom1@vc.example.com", "forward meetingroom1@vc.example.com, caller by plan")
	b.wants([][2]string{{"sip:roberta.smith@example.com", "forward roberta.smith@example.com, caller by plan"}})
	// Then the outbound rules: the caller ID has the domain of the rule.
	b.rules(schema.OutboundDialPlanRule,
		map[string]string{"domain": "vc.example.com", "sipProxy": "vcs.example.com", "localFromDomain": "meetingserver.example.com", "trunkType": "sip", "priority": "1"})
	d := b.call("sip:meetingroom1@vc.example.com").Forward
	for limit := time.Now().Add(10 * time.Second); ; {
		from, _ := dialplan.ParseAddress(d.From)
		out := b.plan.Plan().Outgoing(dialplan.Call{To: d.To, Forwarded: d.Forwarded, From: from, PreserveCaller: d.PreserveFrom, Tenant: d.Tenant}, nil)
		if len(out.Attempts) == 1 {
			if a := out.Attempts[0]; a.Next.Name != "vcs.example.com" || a.From.String() != "anna@meetingserver.example.com" || a.To.String() != "meetingroom1@vc.example.com" {
				t.Errorf("want the call by the VCS from this server's domain, got %+v", a)
			}
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("no way out: %s", out.Why)
		}
		<-time.After(time.Millisecond)
	}
}

func TestGuide84UsersAndTheirOtherClients(t *testing.T) {
	b := open(t)
	fred := b.put(schema.User, store.ID{}, map[string]string{"userJid": "fred@example.com"})
	b.put(schema.User, store.ID{}, map[string]string{"userJid": "gina@example.com"})
	b.space(map[string]string{"name": "Gina's", "uri": "gina"})
	b.rules(schema.InboundDialPlanRule, map[string]string{"domain": "example.com", "resolveTocoSpaces": "true", "resolveToUsers": "true"})
	b.rules(schema.ForwardingDialPlanRule, map[string]string{"matchPattern": "lync.example.com", "action": "forward"})
	b.settle("sip:fred@lync.example.com", "forward fred@lync.example.com, caller by plan")
	b.wants([][2]string{
		// Nobody is signed in: fred is known and cannot be reached, and gina's space takes the call.
		{"sip:fred@example.com", "refused: ringingTimeout"},
		{"sip:gina@example.com", "space Gina's"},
		{"sip:hans@example.com", "refused: unknownDestination"},
	})
	app := b.space(map[string]string{"name": "fred's app"})
	b.router.o.Reach = func(user *store.Record) (meeting.Target, bool) {
		return meeting.Target{Entries: []meeting.Entry{{Space: app}}}, user.ID() == fred.ID()
	}
	b.wants([][2]string{
		{"sip:Fred@example.com", "space fred's app"},
		{"sip:fred@lync.example.com", "forward fred@lync.example.com, caller by plan"},
		{"sip:gina@example.com", "space Gina's"},
	})
}

// TestGuide84WithoutRulesTheDomainIsIgnored: the trap of the chapter, which its rules are there to avoid.
func TestGuide84WithoutRulesTheDomainIsIgnored(t *testing.T) {
	b := open(t)
	b.put(schema.User, store.ID{}, map[string]string{"userJid": "fred@example.com"})
	for _, jid := range []string{"gina@example.com", "gina@example.org", "fre@example.com", "frederic@example.com"} {
		b.put(schema.User, store.ID{}, map[string]string{"userJid": jid})
	}
	b.router.o.Reach = func(user *store.Record) (meeting.Target, bool) {
		return meeting.Target{Entries: []meeting.Entry{{Space: user}}}, true
	}
	for _, c := range [][2]string{
		{"sip:fred@lync.example.com", "fred@example.com"},
		{"sip:FRED@192.0.2.1", "fred@example.com"},
		{"sip:gina@example.org", "gina@example.org"},
		// Several have the name, and none is meant more than another.
		{"sip:gina@lync.example.com", ""},
		{"sip:fr@example.com", ""},
	} {
		got := ""
		if target, _ := b.router.decide(Call{Called: c[0]}); len(target.Entries) == 1 {
			got = target.Entries[0].Space.Text("userJid")
		}
		if got != c[1] {
			t.Errorf("%s reaches %q, want %q", c[0], got, c[1])
		}
	}
}

// TestGuide82OneCallByBothDomains: endpoints of one call control dial one domain, those of another one the other, and meet.
func TestGuide82OneCallByBothDomains(t *testing.T) {
	b := open(t)
	b.space(map[string]string{"name": "Call 001", "uri": "call.001", "callId": "88001"})
	b.rules(schema.InboundDialPlanRule,
		map[string]string{"domain": "meetingserver.example.com", "resolveTocoSpaces": "true", "priority": "100"},
		map[string]string{"domain": "example.com", "resolveTocoSpaces": "true"})
	b.settle("sip:88001@elsewhere.example.com", "refused: unknownDestination")
	b.wants([][2]string{
		{"sip:88001@meetingserver.example.com", "space Call 001"},
		{"sip:88001@example.com", "space Call 001"},
		{"sip:call.001@example.com", "space Call 001"},
		{"sip:88001@sub.example.com", "refused: unknownDestination"},
	})
}

func TestSpacesAreFoundByAllTheirAddresses(t *testing.T) {
	b := open(t)
	user := b.put(schema.User, store.ID{}, map[string]string{"userJid": "anna@vc.example.com"})
	weekly := b.space(map[string]string{"name": "weekly", "uri": "weekly", "secondaryUri": "week", "callId": "123456", "passcode": "1"})
	b.put(schema.AccessMethod, weekly.ID(), map[string]string{"name": "host", "uri": "weekly", "callId": "123456", "passcode": "2"})
	b.put(schema.AccessMethod, weekly.ID(), map[string]string{"name": "guest", "uri": "weekly.guest"})
	closed := b.space(map[string]string{"name": "closed", "uri": "closed", "nonMemberAccess": "false"})
	b.wants([][2]string{
		{"sip:weekly@x.com", "space weekly by host"},
		{"sip:week@x.com", "space weekly"},
		{"sip:weekly.guest@x.com", "space weekly by guest"},
		// Guide 8.2 dials a call ID.
		{"sip:123456@x.com", "space weekly by host"},
		{"sip:closed@x.com", "refused: unknownDestination"},
	})
	if n := len(b.call("sip:weekly@x.com").Entries); n != 2 {
		t.Errorf("two ways in share the address and differ in passcodes: want 2 entries, got %d", n)
	}
	b.put(schema.CoSpaceUser, closed.ID(), map[string]string{"userId": user.ID().String()})
	b.wants([][2]string{{"sip:closed@x.com", "space closed"}})
	// Anybody can write a member's address into From.
	stranger := Call{Called: "sip:closed@x.com", From: "anna@vc.example.com", Source: netip.MustParseAddrPort("192.0.2.66:5060"), MaxForwards: 70}
	if got := b.say(b.router.Target(stranger)); got != "refused: unknownDestination" {
		t.Errorf("somebody for whom nobody vouches: want unknownDestination, got %s", got)
	}
}

func TestRulesOfATenantSeeItsObjectsAlone(t *testing.T) {
	b := open(t)
	acme, other := b.put(schema.Tenants, store.ID{}, map[string]string{"name": "Acme"}), b.put(schema.Tenants, store.ID{}, map[string]string{"name": "Other"})
	of := func(r *store.Record, fields map[string]string) map[string]string {
		fields["tenant"] = r.ID().String()
		return fields
	}
	b.space(of(acme, map[string]string{"name": "acme's", "uri": "one", "callId": "111"}))
	b.space(of(other, map[string]string{"name": "other's", "uri": "two", "callId": "222"}))
	b.space(map[string]string{"name": "nobody's", "uri": "three"})
	b.put(schema.IVR, store.ID{}, of(acme, map[string]string{"uri": "900"}))
	b.put(schema.IVR, store.ID{}, of(other, map[string]string{"uri": "901"}))
	b.rules(schema.InboundDialPlanRule,
		of(acme, map[string]string{"domain": "acme.com", "resolveTocoSpaces": "true", "resolveToIvrs": "true"}),
		map[string]string{"domain": "all.com", "resolveTocoSpaces": "true", "resolveToIvrs": "true"})
	b.rules(schema.ForwardingDialPlanRule, of(acme, map[string]string{"matchPattern": "out.com", "action": "forward"}))
	b.settle("sip:three@acme.com", "refused: unknownDestination")
	b.wants([][2]string{
		{"sip:one@acme.com", "space acme's"}, {"sip:two@acme.com", "refused: unknownDestination"}, {"sip:two@all.com", "space other's"}, {"sip:three@all.com", "space nobody's"},
		{"sip:900@acme.com", "IVR 900"}, {"sip:901@acme.com", "refused: unknownDestination"}, {"sip:901@all.com", "IVR 901"},
		{"sip:111@acme.com", "space acme's"}, {"sip:222@acme.com", "refused: unknownDestination"},
	})
	for to, want := range map[string]store.ID{"sip:one@acme.com": acme.ID(), "sip:two@all.com": other.ID(), "sip:three@all.com": {}, "sip:900@acme.com": acme.ID(), "sip:x@out.com": acme.ID()} {
		if got := b.call(to); got.Tenant != want {
			t.Errorf("%s: want tenant %v, got %v", to, want, got.Tenant)
		}
	}
	if d := b.call("sip:x@out.com").Forward; d == nil || d.Tenant != acme.ID() {
		t.Errorf("a forwarded call belongs to the rule's tenant: got %+v", d)
	}
}

func TestACallThatComesBackIsNotForwardedAgain(t *testing.T) {
	b := open(t)
	b.rules(schema.ForwardingDialPlanRule, map[string]string{"matchPattern": "exa*.com", "action": "forward"})
	b.settle("sip:x@example.com", "forward x@example.com, caller by plan")
	first := Call{Called: "sip:x@example.com", MaxForwards: 70, Forwarded: []string{"of-another-bridge", `bad "one", second`}}
	d := b.router.Target(first).Forward
	header := func(d *meeting.Dial, name string) (values []string) {
		for _, h := range d.Headers {
			if h[0] == name {
				values = append(values, h[1])
			}
		}
		return values
	}
	if d == nil || len(header(d, Trail)) != 3 || header(d, Trail)[0] != "of-another-bridge" || header(d, "Max-Forwards")[0] != "69" {
		t.Fatalf("want the trail with what was there and one more, and a hop less: got %+v", d)
	}
	for what, c := range map[string]Call{
		"the same call":     {Called: "sip:X@example.com", MaxForwards: 69, Forwarded: header(d, Trail)},
		"too long a trail":  {Called: "sip:y@example.com", MaxForwards: 69, Forwarded: []string{"1,2,3,4", "5,6", "7,8,9,10,11"}},
		"a call at its end": {Called: "sip:y@example.com", MaxForwards: 1},
	} {
		if got := b.say(b.router.Target(c)); got != "refused: unknownDestination" {
			t.Errorf("%s: want a refusal, got %s", what, got)
		}
	}
	if got := b.say(b.router.Target(Call{Called: "sip:other@example.com", MaxForwards: 69, Forwarded: header(d, Trail)})); got != "forward other@example.com, caller by plan" {
		t.Errorf("another address may be forwarded: got %s", got)
	}
}

func TestEachDecisionIsALineAndTracingShowsTheRules(t *testing.T) {
	b := open(t)
	b.space(map[string]string{"name": "weekly", "uri": "weekly"})
	b.rules(schema.InboundDialPlanRule, map[string]string{"domain": "meet.example.com", "resolveTocoSpaces": "true"}, map[string]string{"domain": "other.example.com", "resolveTocoSpaces": "true"})
	b.settle("sip:weekly@meet.example.com", "space weekly")
	b.log.Reset()
	b.call("sip:weekly@meet.example.com")
	if text := b.log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "weekly@meet.example.com") || !strings.Contains(text, "verdict=\"space ") || !strings.Contains(text, "192.0.2.1:5060") {
		t.Errorf("want one line with the call and its space, got %s", text)
	}
	b.log.Reset()
	b.tracing = true
	b.call("sip:weekly@meet.example.com")
	if text := b.log.String(); !strings.Contains(text, "other.example.com passed over") || !strings.Contains(text, "meet.example.com matches") {
		t.Errorf("want the rules that were looked at, got %s", text)
	}
}

func TestRefusalsDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1000, 0)
	r := New(Options{Plan: func() *dialplan.Plan { return dialplan.Compile(dialplan.Rules{}) }, View: func() store.View { return nothing{} },
		Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
	for range 5000 {
		r.Target(Call{Called: "sip:x@example.com"})
	}
	if n := strings.Count(log.String(), "\n"); n != mostRefusals {
		t.Errorf("5000 refusals at once: want %d lines, got %d", mostRefusals, n)
	}
	log.Reset()
	now = now.Add(time.Second)
	for range 5000 {
		r.Target(Call{Called: "sip:x@example.com"})
	}
	if n := strings.Count(log.String(), "\n"); n != refusalsASec || !strings.Contains(log.String(), `line"=4900`) {
		t.Errorf("a second later: want %d lines, the first with the number of those left out, got %d: %s", refusalsASec, n, log.String())
	}
}

func TestWithoutTheDatabaseCallsAreRefusedForNow(t *testing.T) {
	r := New(Options{Plan: func() *dialplan.Plan { return nil }, View: func() store.View { return nil }})
	if got := r.Target(Call{Called: "sip:x@example.com"}); got.Reject != meeting.Failed {
		t.Errorf("want a refusal that is no fault of the caller's, got %+v", got)
	}
}

func TestGuide1712EffectsOfLicences(t *testing.T) {
	e := Effects(licence.Enforcement{Alarm: licence.ExpiredAlarm, Message: "out of compliance", MessageTime: 30 * time.Second, Prompt: "out of compliance", Customizations: true, Recordings: 2})
	if e.Message != "out of compliance" || e.MessageTime != 30*time.Second || !e.Prompt || e.RefuseEncrypted || e.NoCustomizations {
		t.Errorf("expired: want text for 30 s and a prompt, got %+v", e)
	}
	if recording, stream := e.MayStart(1, 0); !recording || !stream {
		t.Error("one of two recordings runs: want another one, or a stream, to be allowed")
	}
	if recording, _ := e.MayStart(1, 1); recording {
		t.Error("both licences are in use: want no further recording")
	}
	e = Effects(licence.Enforcement{Alarm: licence.UnlicensedAlarm, Message: "out of compliance", Prompt: "out of compliance", RefuseEncrypted: true})
	if e.MessageTime != 0 || !e.RefuseEncrypted || !e.NoCustomizations {
		t.Errorf("without a licence: want a text that stays, and no encrypted calls, got %+v", e)
	}
	if recording, stream := e.MayStart(0, 0); recording || stream {
		t.Error("without a licence nothing is recorded")
	}
	if e := Effects(licence.Enforcement{Customizations: true}); e.Message != "" || e.Prompt || e.RefuseEncrypted || e.NoCustomizations {
		t.Errorf("with all licences nobody notices anything, got %+v", e)
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"sip:88001@example.com", "sips:%61%40b@[::1]:5061;x=y?h=v", "tel:+1", "%", "sip:@", "sip:a%zz@b"} {
		f.Add(s, "1,2,3")
	}
	plan := dialplan.Compile(dialplan.Rules{Forwarding: []dialplan.ForwardingRule{{Pattern: "*.com"}}, Inbound: []dialplan.InboundRule{{Domain: "a.com"}}})
	r := New(Options{Plan: func() *dialplan.Plan { return plan }, View: func() store.View { return nothing{} }})
	f.Fuzz(func(t *testing.T, called, trail string) {
		got := r.Target(Call{Called: called, Forwarded: []string{trail}, MaxForwards: 70})
		if (got.Reject == "") == (got.Forward == nil) {
			t.Errorf("want a refusal or a forwarded call, got %+v", got)
		}
		if got.Forward != nil && len(got.Forward.Headers) > maxTrail+2 {
			t.Errorf("the trail grew to %d", len(got.Forward.Headers))
		}
	})
}

// nothing is a view without objects.
type nothing struct{ store.View }

func (nothing) Find(string, string) []*store.Record { return nil }

func (nothing) Starting(*schema.Object, string, func(*store.Record) bool) {}
