package dialplan_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// tap says when a subscriber has been told of a change.
type tap struct {
	*store.Store
	told chan struct{}
}

func (t tap) Subscribe(f func(before, after *store.Record), objects ...*schema.Object) func() {
	return t.Store.Subscribe(func(before, after *store.Record) {
		f(before, after)
		t.told <- struct{}{}
	}, objects...)
}

func open(t *testing.T) *store.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := store.Open(ctx, store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// put writes a new object as the API does, with the rules of this package.
func put(s *store.Store, o *schema.Object, fields ...string) (id store.ID, err error) {
	err = s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(o, store.ID{})
		id = d.ID()
		for i := 0; i < len(fields); i += 2 {
			d.Set(fields[i], fields[i+1])
		}
		if err := dialplan.Prepare(tx, d, nil); err != nil {
			return err
		}
		return tx.Put(d)
	})
	return id, err
}

func TestRulesOfTheStoreAreFollowed(t *testing.T) {
	s := open(t)
	source := tap{s, make(chan struct{}, 100)}
	live := dialplan.Follow(source)
	defer live.Close()
	add := func(o *schema.Object, fields ...string) store.ID {
		t.Helper()
		id, err := put(s, o, fields...)
		if err != nil {
			t.Fatal(err)
		}
		<-source.told
		return id
	}
	space := func(c dialplan.Candidate) bool { return c.Target == dialplan.Space && c.User == "88001" }
	incoming := func(to string) dialplan.Incoming {
		t.Helper()
		a, err := dialplan.ParseAddress(to)
		if err != nil {
			t.Fatal(err)
		}
		return live.Plan().Incoming(a, space, nil)
	}
	if got := incoming("88001@anything.example"); got.Verdict != dialplan.Answered {
		t.Errorf("with empty tables the call gets %+v", got)
	}
	tenant := add0(t, s)
	inbound := add(schema.InboundDialPlanRule, "domain", "Meetings.example.com", "priority", "10", "tenant", tenant.String())
	if got := incoming("88001@anything.example"); got.Verdict != dialplan.Refused {
		t.Errorf("the call to another domain gets %+v", got)
	}
	if got := incoming("88001@meetings.example.com"); got.Verdict != dialplan.Answered || got.Candidate.Rule != inbound || got.Candidate.Tenant != tenant {
		t.Errorf("the call to the rule's domain gets %+v", got)
	}
	forwarding := add(schema.ForwardingDialPlanRule, "matchPattern", "exa*.com", "action", "forward", "destinationDomain", "lync.example.com",
		"callerIdMode", "preserve", "uriParameters", "forward", "priority", "-3")
	got := incoming("kate@example.com;x=y")
	if got.Verdict != dialplan.Forwarded || got.Forward.Rule != forwarding || got.Forward.To.String() != "kate@lync.example.com;x=y" || !got.Forward.PreserveCaller {
		t.Errorf("the forwarded call gets %+v", got)
	}
	outbound := add(schema.OutboundDialPlanRule, "domain", "*.example.com", "sipProxy", "proxy:5071", "trunkType", "lync", "failureAction", "continue",
		"sipControlEncryption", "encrypted", "localContactDomain", "cb.example.com", "callRouting", "traversal", "tenant", tenant.String())
	transform := add(schema.DialTransform, "type", "phone", "match", "($1/^44$/)", "transform", "$2@pstn.example.com", "action", "acceptPhone")
	out := live.Plan().Outgoing(dialplan.Call{To: "+442079460123", Tenant: tenant}, nil)
	if len(out.Attempts) != 1 || !out.Dialled.Phone || out.Dialled.Rule != transform {
		t.Fatalf("the outgoing call gets %+v", out)
	}
	a := out.Attempts[0]
	if a.Rule != outbound || a.To.String() != "2079460123@pstn.example.com" || a.Next.String() != "proxy:5071" || a.Trunk != dialplan.Lync ||
		!slices.Equal(a.Transports, []dialplan.Transport{dialplan.TLS}) || a.From.Domain != "cb.example.com" || !a.Traversal {
		t.Errorf("the attempt is %+v", a)
	}
	// One plan serves until the next change.
	if p := live.Plan(); p != live.Plan() {
		t.Error("the plan is made anew without a change")
	}
	before := live.Plan()
	err := s.Write(context.Background(), func(tx *store.Tx) error { return tx.Delete(tx.Get(schema.DialTransform, transform)) })
	if err != nil {
		t.Fatal(err)
	}
	<-source.told
	if got := live.Plan().Transform("+442079460123", nil); got.Rule != (store.ID{}) {
		t.Errorf("a transform that is gone makes %+v", got)
	}
	if got := before.Transform("+442079460123", nil); got.Rule != transform {
		t.Errorf("a plan that was handed out changes: %+v", got)
	}
	if ps := dialplan.Of(s).Problems(); len(ps) != 0 {
		t.Errorf("problems %+v", ps)
	}
}

// add0 makes a tenant.
func add0(t *testing.T, s *store.Store) store.ID {
	t.Helper()
	id, err := put(s, schema.Tenants, "name", "Sales")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTheAPIIsToldWhatIsWrong(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		o      *schema.Object
		fields []string
		name   string
		why    string
	}{
		{schema.InboundDialPlanRule, []string{"domain", "a.com:5060"}, "domain", "character 6"},
		{schema.ForwardingDialPlanRule, []string{"matchPattern", "*"}, "matchPattern", "*"},
		{schema.OutboundDialPlanRule, []string{"domain", "*.com", "sipProxy", "a:b:c"}, "sipProxy", "port"},
		{schema.DialTransform, []string{"type", "raw", "match", "($1/(44/)"}, "match", "character 5"},
		{schema.DialTransform, []string{"transform", "$2"}, "transform", "types raw and strip make one"},
	} {
		_, err := put(s, c.o, c.fields...)
		var p *failure.Parameter
		if !errors.As(err, &p) || p.Name != c.name || !strings.Contains(p.Why, c.why) {
			t.Errorf("%s %v: %v, want %s and %q", c.o.Name, c.fields, err, c.name, c.why)
		}
		if n := s.Count(c.o); n != 0 {
			t.Errorf("%d of %s are kept", n, c.o.Plural)
		}
	}
}

// Rules that an older version let in are passed over and named in the log, each once.
func TestRulesThatCannotBeUnderstoodAreLogged(t *testing.T) {
	s := open(t)
	bad := func(match string) {
		t.Helper()
		err := s.Write(context.Background(), func(tx *store.Tx) error {
			d := tx.New(schema.DialTransform, store.ID{})
			d.Set("match", match)
			return tx.Put(d)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	bad("($1/(/)")
	source := tap{s, make(chan struct{}, 9)}
	live := dialplan.Follow(source)
	defer live.Close()
	var log strings.Builder
	live.Log = slog.New(slog.NewTextHandler(&log, nil))
	if got := live.Plan().Transform("1", nil); got.Rule != (store.ID{}) {
		t.Errorf("the rule makes %+v", got)
	}
	bad("nonsense")
	<-source.told
	live.Plan()
	if got := log.String(); strings.Count(got, "passed over") != 2 || strings.Count(got, "never closed") != 1 || !strings.Contains(got, "dialTransforms") {
		t.Errorf("the log is\n%swant each of the two rules once", got)
	}
}

func TestCallsAndChangesAtTheSameTime(t *testing.T) {
	s := open(t)
	live := dialplan.Follow(s)
	defer live.Close()
	stop := make(chan struct{})
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// A rule is there whole or not at all.
				if got := live.Plan().Transform("9123", nil); got.Text != "9123" && got.Text != "123@gw.example.com" {
					t.Errorf("the string becomes %s", got.Text)
					return
				}
			}
		})
	}
	for range 20 {
		id, err := put(s, schema.DialTransform, "match", "($1/^9/)", "transform", "$1{/^9//}@gw.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(context.Background(), func(tx *store.Tx) error { return tx.Delete(tx.Get(schema.DialTransform, id)) }); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	calls.Wait()
}
