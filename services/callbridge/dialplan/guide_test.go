package dialplan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/store"
)

// id makes IDs that tests can tell apart.
func id(n byte) store.ID { return uuid.UUID{15: n} }

func address(t *testing.T, s string) Address {
	t.Helper()
	a, err := ParseAddress(s)
	if err != nil {
		t.Fatalf("ParseAddress(%q): %v", s, err)
	}
	return a
}

// knows finds users by name and target: "space:88001".
func knows(names ...string) func(Candidate) bool {
	return func(c Candidate) bool { return slices.Contains(names, string(c.Target)+":"+strings.ToLower(c.User)) }
}

func nobody(Candidate) bool { return false }

// one makes a plan of a single transform.
func one(kind TransformType, match, replace string) *Plan {
	return Compile(Rules{Transforms: []TransformRule{{ID: id(1), Type: kind, Match: match, Replace: replace, Action: Accept}}})
}

// The table of guide chapter 6.3 and the examples of reference section 5.3.
func TestTransformExamplesOfTheGuide(t *testing.T) {
	for _, c := range []struct {
		name           string
		kind           TransformType
		match, replace string
		// in and out alternate; an out of "-" is a string that the rule leaves alone.
		pairs []string
	}{
		{"US numbers use vcs1", Phone, "($1/01/)", "$2@vcs1",
			[]string{"+12025550123", "2025550123@vcs1", "12025550123", "2025550123@vcs1", "+442079460123", "-", "2025550123", "-"}},
		{"UK numbers get a prefix and use vcs2", Phone, "($1/44/)", "90044$2@vcs2",
			[]string{"+442079460123", "900442079460123@vcs2", "442079460123", "900442079460123@vcs2", "+12025550123", "-"}},
		{"UK mobiles get a prefix and a suffix", Phone, "($1/44/)($2/^7/)", "90044$2{}123@mobilevcs",
			[]string{"+447700900123", "900447700900123123@mobilevcs", "+442079460123", "-"}},
		{"unrecognised digits use vcs3", Strip, `($1/(\d){6,}/)`, "$1@vcs3",
			[]string{"123456", "123456@vcs3", "12 34-56.7", "1234567@vcs3", "12345", "-"}},
		{"replace + with 00", Strip, `($1/\+(\d)+/)`, `$1{/\+/00/}`,
			[]string{"+44 20 7946 0123", "00442079460123", "442079460123", "-"}},
		{"rewrite a domain", Raw, "($1/(.*)@example.com/)", "$1{/@example.com$/.endpoint@vc.example.com/}",
			[]string{"kate@example.com", "kate.endpoint@vc.example.com", "kate@elsewhere.com", "-"}},
		{"everything becomes one address", Raw, "", "abc", []string{"whatever", "abc"}},
		{"non-digits and a leading 9 go", Raw, "", `$1{/\D//}{/^9//}@example.com`, []string{"9-0118 999", "0118999@example.com"}},
		{"all instances", Raw, "", "$1{/999/123/}@t.com", []string{"9990999", "1230123@t.com"}},
		{"begins and ends", Raw, "($1/^0/)($1/9$/)", "$1", []string{"0129", "0129", "0128", "-", "1129", "-"}},
		{"groups", Raw, "", `$1{/(\w+)\.(\w+)@/\2.\1@/}`, []string{"ada.lovelace@x.com", "lovelace.ada@x.com"}},
		{"groups as others write them", Raw, "", `$1{/(\w+)\.(\w+)@/$2.$1@/}`, []string{"ada.lovelace@x.com", "lovelace.ada@x.com"}},
	} {
		p := one(c.kind, c.match, c.replace)
		if len(p.Problems()) > 0 {
			t.Errorf("%s: %v", c.name, p.Problems())
			continue
		}
		for i := 0; i < len(c.pairs); i += 2 {
			in, want := c.pairs[i], c.pairs[i+1]
			got := p.Transform(in, nil)
			if want == "-" {
				if got.Rule != (store.ID{}) || got.Text != in {
					t.Errorf("%s: %q is changed into %q, want it left alone", c.name, in, got.Text)
				}
			} else if got.Text != want || got.Rule != id(1) {
				t.Errorf("%s: %q becomes %q, want %q", c.name, in, got.Text, want)
			}
		}
	}
}

// The example under the table: calls to the US use one Call Bridge, those to the UK another.
func TestTransformsAndOutboundRulesRouteByCountry(t *testing.T) {
	p := Compile(Rules{
		Transforms: []TransformRule{
			{ID: id(1), Type: Phone, Match: "($1/01/)", Replace: "$2@us.example.com", Priority: 10, Action: Accept},
			{ID: id(2), Type: Phone, Match: "($1/44/)", Replace: "$2@uk.example.com", Priority: 5, Action: AcceptPhone},
			{ID: id(3), Type: Raw, Match: "($1/^\\+?882/)", Priority: 20, Action: Deny},
		},
		Outbound: []OutboundRule{
			{ID: id(4), Domain: "us.example.com", Proxy: "vcs1.example.com:5061", Trunk: SIP, Encryption: Encrypted},
			{ID: id(5), Domain: "uk.example.com", Proxy: "192.0.2.7", Trunk: SIP, Encryption: Unencrypted},
		},
	})
	us := p.Outgoing(Call{To: "+12025550123"}, nil)
	if len(us.Attempts) != 1 || us.Attempts[0].Rule != id(4) || us.Attempts[0].To.String() != "2025550123@us.example.com" ||
		us.Attempts[0].Next != (Host{"vcs1.example.com", 5061}) || us.Dialled.Phone {
		t.Errorf("the US number gets %+v", us)
	}
	uk := p.Outgoing(Call{To: "tel:+442079460123"}, nil)
	if len(uk.Attempts) != 1 || uk.Attempts[0].Rule != id(5) || uk.Attempts[0].Next != (Host{"192.0.2.7", 0}) || !uk.Dialled.Phone {
		t.Errorf("the UK number gets %+v", uk)
	}
	if denied := p.Outgoing(Call{To: "+88210123456"}, nil); !denied.Dialled.Denied || denied.Attempts != nil || denied.Why == "" {
		t.Errorf("the satellite number gets %+v, want it denied", denied)
	}
	// Dial transforms do not affect gateway calls.
	if forwarded := p.Outgoing(Call{To: "88210123456@uk.example.com", Forwarded: true}, nil); len(forwarded.Attempts) != 1 ||
		forwarded.Attempts[0].To.User != "88210123456" {
		t.Errorf("the forwarded call gets %+v, want no transform applied", forwarded)
	}
}

// Guide chapter 6.2.2: the example rule, and the points to note.
func TestCallMatching(t *testing.T) {
	rule := InboundRule{ID: id(1), Domain: "meetingserver.example.com", Users: true, Spaces: true}
	p := Compile(Rules{Inbound: []InboundRule{rule}})
	find := knows("space:name.space", "IVR:name.space")
	got := p.Incoming(address(t, "sip:name.space@MeetingServer.example.com:5061;transport=tls"), find, nil)
	if got.Verdict != Answered || got.Candidate.Target != Space || got.Candidate.Rule != id(1) || got.Candidate.User != "name.space" {
		t.Errorf("the call gets %+v, want the space: the rule does not target IVRs", got)
	}
	if got := p.Incoming(address(t, "name.space@other.example.com"), find, nil); got.Verdict != Refused || got.Why == "" {
		t.Errorf("the call to another domain gets %+v, want it refused with a reason", got)
	}
	if got := p.Incoming(address(t, "nothing@meetingserver.example.com"), find, nil); got.Verdict != Refused {
		t.Errorf("the call to nothing gets %+v, want it refused", got)
	}
}

func TestEmptyMatchingTableMatchesEveryDomain(t *testing.T) {
	p := Compile(Rules{})
	for _, to := range []string{"fred@example.com", "fred@192.0.2.1", "fred@[2001:db8::1]:5061", "fred"} {
		// Guide chapter 8.4: the domain is ignored and the local fred answers.
		if got := p.Incoming(address(t, to), knows("user:fred"), nil); got.Verdict != Answered || got.Candidate.Target != User {
			t.Errorf("%s gets %+v, want the user", to, got)
		}
	}
	if got := new(Plan).Incoming(address(t, "x@y.com"), nobody, nil); got.Verdict != Refused {
		t.Errorf("a call to nobody gets %+v, want it refused", got)
	}
}

func TestRulesThatCannotBeUnderstoodDoNotOpenEveryDomain(t *testing.T) {
	p := Compile(Rules{Inbound: []InboundRule{{ID: id(1), Domain: "*.com", Spaces: true}}})
	if got := p.Incoming(address(t, "1@x.com"), knows("space:1"), nil); got.Verdict != Refused {
		t.Errorf("got %+v, want the call refused", got)
	}
	if ps := p.Problems(); len(ps) != 1 || !ps[0].Ignored || ps[0].Field != "domain" || ps[0].Rule != id(1) {
		t.Errorf("problems are %+v", ps)
	}
}

func TestBlankDomainRefusesTheCall(t *testing.T) {
	p := Compile(Rules{
		Inbound: []InboundRule{{ID: id(1), Priority: 5, Spaces: true},
			{ID: id(2), Domain: "x.com", Priority: 9, Spaces: true}, {ID: id(3), Domain: "y.com", Priority: 1, Spaces: true}},
		Forwarding: []ForwardingRule{{ID: id(4), Pattern: "z.*"}},
	})
	find := knows("space:1")
	if got := p.Incoming(address(t, "1@x.com"), find, nil); got.Verdict != Answered {
		t.Errorf("a rule of higher priority than the blank one gets %+v, want it to count", got)
	}
	for _, to := range []string{"1@y.com", "1@z.com", "2@x.com"} {
		if got := p.Incoming(address(t, to), find, nil); got.Verdict != Refused {
			t.Errorf("%s gets %+v, want it refused by the blank rule", to, got)
		}
	}
}

// Rules with a higher priority value are matched first, then those whose domain comes first in the alphabet; a rule that is executed ends
// matching.
func TestPriorityThenAlphabetAndTenants(t *testing.T) {
	p := Compile(Rules{Inbound: []InboundRule{
		{ID: id(1), Domain: "b.com", Priority: 1, Spaces: true}, {ID: id(2), Domain: "a.com", Priority: 1, Spaces: true},
		{ID: id(3), Domain: "c.com", Priority: 0, Spaces: true}, {ID: id(4), Domain: "d.com", Priority: 7, Users: true},
		{ID: id(5), Domain: "c.com", Priority: 3, Spaces: true, Tenant: id(99)},
	}})
	var order []string
	for _, r := range p.inbound {
		order = append(order, r.Domain)
	}
	if got := strings.Join(order, " "); got != "d.com c.com a.com b.com c.com" {
		t.Errorf("the order is %s", got)
	}
	var asked []Candidate
	p.Incoming(address(t, "1@c.com"), func(c Candidate) bool { asked = append(asked, c); return false }, nil)
	if len(asked) != 2 || asked[0].Tenant != id(99) || asked[1].Tenant != (store.ID{}) {
		t.Errorf("asked %+v, want the tenant's rule first and then the other", asked)
	}
	asked = nil
	p.Incoming(address(t, "1@c.com"), func(c Candidate) bool { asked = append(asked, c); return true }, nil)
	if len(asked) != 1 {
		t.Errorf("asked %d times, want once: a rule that is executed ends matching", len(asked))
	}
	if d, ok := p.InvitationDomain(store.ID{}); d != "a.com" || !ok {
		t.Errorf("invitations have %q, want that of the first rule that targets spaces", d)
	}
	if d, _ := p.InvitationDomain(id(99)); d != "c.com" {
		t.Errorf("the tenant's invitations have %q, want that of its rule", d)
	}
	if _, ok := Compile(Rules{}).InvitationDomain(store.ID{}); ok {
		t.Error("without rules there is a domain for invitations")
	}
}

// Guide chapter 8.7: a space comes before a Lync conference of the same number.
func TestTargetsAreAskedInOrder(t *testing.T) {
	p := Compile(Rules{Inbound: []InboundRule{{ID: id(1), Domain: "x.com", IVRs: true, Users: true, Spaces: true, LyncConferences: true, LyncSimplejoin: true}}})
	var asked []Target
	p.Incoming(address(t, "1@x.com"), func(c Candidate) bool { asked = append(asked, c.Target); return false }, nil)
	if want := []Target{IVR, User, Space, LyncConference, LyncSimplejoin}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

// Guide chapter 6.2.3 and the rules of chapter 8.3.3.
func TestForwarding(t *testing.T) {
	p := Compile(Rules{
		Inbound: []InboundRule{{ID: id(1), Domain: "example.com", Users: true}},
		Forwarding: []ForwardingRule{
			{ID: id(2), Pattern: "vc.exa*.com", Priority: 10},
			{ID: id(3), Pattern: "exa*.com", Priority: 5, Domain: "lync.example.com", PreserveCaller: true, KeepParameters: true, Tenant: id(42)},
			{ID: id(4), Pattern: "*.spam.example", Priority: 50, Reject: true},
			{ID: id(5), Pattern: "*", Priority: 99},
		},
	})
	if ps := p.Problems(); len(ps) != 1 || ps[0].Rule != id(5) || !strings.Contains(ps[0].Why, "*") {
		t.Errorf("problems are %+v, want the bare * refused", ps)
	}
	got := p.Incoming(address(t, "meetingroom1@vc.example.com;x=1"), nobody, nil)
	if got.Verdict != Forwarded || got.Forward.Rule != id(2) || got.Forward.To.String() != "meetingroom1@vc.example.com" || got.Forward.PreserveCaller {
		t.Errorf("the call to an endpoint gets %+v", got)
	}
	got = p.Incoming(address(t, "roberta.smith@exabyte.com:5070;x=1"), nobody, nil)
	if got.Verdict != Forwarded || got.Forward.To.String() != "roberta.smith@lync.example.com;x=1" || !got.Forward.PreserveCaller || got.Forward.Tenant != id(42) {
		t.Errorf("the rewritten call gets %+v", got)
	}
	if got := p.Incoming(address(t, "x@a.spam.example"), nobody, nil); got.Verdict != Refused || got.Forward.Rule != id(4) {
		t.Errorf("the rejected call gets %+v", got)
	}
	if got := p.Incoming(address(t, "x@unknown.org"), nobody, nil); got.Verdict != Refused || got.Forward.Rule != (store.ID{}) {
		t.Errorf("the call that nothing fits gets %+v", got)
	}
	// Chapter 8.4: the call for the local user is answered, the other is forwarded.
	if got := p.Incoming(address(t, "fred@example.com"), knows("user:fred"), nil); got.Verdict != Answered {
		t.Errorf("the local user's call gets %+v", got)
	}
	if got := p.Incoming(address(t, "greta@example.com"), knows("user:fred"), nil); got.Verdict != Forwarded {
		t.Errorf("the call that no call matching rule found anything for gets %+v, want the next table", got)
	}
}

// Guide chapters 7.2.2 and 8.3.3: outbound rules to SIP endpoints and to Lync.
func TestOutboundRules(t *testing.T) {
	p := Compile(Rules{Outbound: []OutboundRule{
		{ID: id(1), Domain: "vc.example.com", Proxy: "vcs.example.com", FromDomain: "meetingserver.example.com", Trunk: SIP, Encryption: Auto, Stop: true},
		{ID: id(2), Domain: "example.com", ContactDomain: "meetingserver.example.com", Trunk: Lync, Encryption: Encrypted},
		{ID: id(3), Domain: "*.com", Priority: -1, Proxy: "[2001:db8::1]:5070", Trunk: Avaya, Encryption: Unencrypted, Traversal: true},
	}})
	from := address(t, "88001@10.0.0.1:5061")
	got := p.Outgoing(Call{To: "sip:room@VC.example.com", From: from}, nil)
	if len(got.Attempts) != 1 {
		t.Fatalf("%d attempts, want one: the rule stops", len(got.Attempts))
	}
	a := got.Attempts[0]
	if a.Next.String() != "vcs.example.com" || a.Direct || a.From.String() != "88001@meetingserver.example.com" || a.ContactDomain != "" ||
		!slices.Equal(a.Transports, []Transport{TLS, TCP}) {
		t.Errorf("the call to an endpoint is %+v", a)
	}
	got = p.Outgoing(Call{To: "roberta.smith@example.com", From: from}, nil)
	if len(got.Attempts) != 2 || got.Attempts[0].Rule != id(2) || got.Attempts[1].Rule != id(3) {
		t.Fatalf("the call to Lync is %+v, want both rules in their order", got)
	}
	a = got.Attempts[0]
	if !a.Direct || a.Next != (Host{"example.com", 0}) || a.Trunk != Lync || !slices.Equal(a.Transports, []Transport{TLS}) ||
		a.From.Domain != "meetingserver.example.com" || a.ContactDomain != "meetingserver.example.com" {
		t.Errorf("the call to Lync is %+v, want the caller's domain to be the contact's", a)
	}
	a = got.Attempts[1]
	if a.Next.String() != "[2001:db8::1]:5070" || !slices.Equal(a.Transports, []Transport{TCP}) || !a.Traversal || a.From != from {
		t.Errorf("the second attempt is %+v", a)
	}
	if kept := p.Outgoing(Call{To: "r@example.com", From: from, PreserveCaller: true}, nil); kept.Attempts[0].From != from {
		t.Errorf("the caller is %v, want it preserved", kept.Attempts[0].From)
	}
	if none := p.Outgoing(Call{To: "x@example.org"}, nil); none.Attempts != nil || !strings.Contains(none.Why, "example.org") {
		t.Errorf("the call that no rule applies to gets %+v", none)
	}
}

// Guide chapter 8.6: a rule with neither domain nor proxy takes every domain directly.
func TestOutboundRuleWithoutDomain(t *testing.T) {
	p := Compile(Rules{Outbound: []OutboundRule{
		{ID: id(1), Trunk: Lync, Encryption: Encrypted}, {ID: id(2), Domain: "*", Priority: -1, Proxy: "gw.example.com", Trunk: SIP, Encryption: Auto}}})
	got := p.Outgoing(Call{To: "sips:x@anything.example:5062"}, nil)
	if len(got.Attempts) != 2 || got.Attempts[0].Next != (Host{"anything.example", 5062}) || got.Attempts[0].To.URI() != "sips:x@anything.example:5062" {
		t.Errorf("got %+v", got)
	}
	if tr := got.Attempts[1].Transports; !slices.Equal(tr, []Transport{TLS}) {
		t.Errorf("a sips: address goes by %v, want TLS alone", tr)
	}
	// A number alone can only go to a proxy.
	got = p.Outgoing(Call{To: "0044 20"}, nil)
	if got.Attempts != nil || got.Why == "" {
		t.Errorf("an address with a blank in it gets %+v", got)
	}
	got = p.Outgoing(Call{To: "004420"}, nil)
	if len(got.Attempts) != 1 || got.Attempts[0].To.String() != "004420@gw.example.com" {
		t.Errorf("a number alone gets %+v", got)
	}
}

func TestOutboundScopesAndTenants(t *testing.T) {
	p := Compile(Rules{Outbound: []OutboundRule{
		{ID: id(1), Domain: "x.com", Priority: 9, Scope: OneCallBridge, CallBridge: id(50)},
		{ID: id(2), Domain: "x.com", Priority: 8, Scope: CallBridgeGroup, Group: id(60)},
		{ID: id(3), Domain: "x.com", Priority: 7, Tenant: id(70)},
		{ID: id(4), Domain: "x.com", Priority: 6, Scope: OneCallBridge},
		{ID: id(5), Domain: "x.com", Priority: 5, Scope: Global},
	}})
	for _, c := range []struct {
		call Call
		want []store.ID
	}{
		{Call{}, []store.ID{id(5)}},
		{Call{CallBridge: id(50)}, []store.ID{id(1), id(5)}},
		{Call{CallBridge: id(51), Group: id(60)}, []store.ID{id(2), id(5)}},
		{Call{Tenant: id(70)}, []store.ID{id(3), id(5)}},
		{Call{Tenant: id(71)}, []store.ID{id(5)}},
	} {
		c.call.To = "a@x.com"
		var got []store.ID
		for _, a := range p.Outgoing(c.call, nil).Attempts {
			got = append(got, a.Rule)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v uses %v, want %v", c.call, got, c.want)
		}
	}
}

func TestTraceSaysWhy(t *testing.T) {
	p := Compile(Rules{
		Inbound:    []InboundRule{{ID: id(1), Domain: "a.com", Spaces: true}, {ID: id(2), Domain: "b.com", Users: true}},
		Forwarding: []ForwardingRule{{ID: id(3), Pattern: "c*"}, {ID: id(4), Pattern: "b*", Domain: "d.com"}},
		Transforms: []TransformRule{{ID: id(5), Type: Phone, Match: "($1/44/)", Priority: 1}, {ID: id(6), Match: "($1/^9/)", Replace: "$1{/^9//}@d.com"}},
		Outbound:   []OutboundRule{{ID: id(7), Domain: "e.com"}, {ID: id(8), Domain: "d.com", Proxy: "p.com", Stop: true}},
	})
	var in Trace
	p.Incoming(address(t, "x@b.com"), nobody, &in)
	want := `inboundDialPlanRules a.com passed over: the call is to b.com
inboundDialPlanRules b.com matches: the domain is the same, priority 0
inboundDialPlanRules b.com passed over: there is no such user
forwardingDialPlanRules b* matches: the domain fits, priority 0; the call goes on to x@d.com
`
	if in.String() != want {
		t.Errorf("the trace of the incoming call is\n%swant\n%s", &in, want)
	}
	var out Trace
	p.Outgoing(Call{To: "9123"}, &out)
	want = `dialTransforms phone ($1/44/) passed over: it is no international telephone number
dialTransforms ($1/^9/) matches: priority 0; 9123 becomes 123@d.com
outboundDialPlanRules d.com matches: priority 0; the call goes to p.com by  [TLS TCP]; no further rule is tried
`
	if out.String() != want {
		t.Errorf("the trace of the outgoing call is\n%swant\n%s", &out, want)
	}
	if in.Steps[1].Rule != id(2) || !in.Steps[1].Matched {
		t.Errorf("the step is %+v", in.Steps[1])
	}
}

func TestAdvice(t *testing.T) {
	p := Compile(Rules{Outbound: []OutboundRule{
		{ID: id(1), Domain: "a.com", Trunk: Lync, Encryption: Auto}, {ID: id(2), Domain: "b.com", Trunk: SIP, ContactDomain: "c.com"},
		{ID: id(3), Domain: "c.com", Proxy: "x:y"}, {ID: id(4), Domain: "d.com", Scope: OneCallBridge}}})
	var got []string
	for _, f := range p.Problems() {
		got = append(got, f.Field)
		if f.Ignored != (f.Rule == id(3)) {
			t.Errorf("%+v: only the rule with a bad proxy is ignored", f)
		}
	}
	if want := []string{"sipControlEncryption", "localContactDomain", "sipProxy", "callBridge"}; !slices.Equal(got, want) {
		t.Errorf("problems are about %v, want %v", got, want)
	}
}
