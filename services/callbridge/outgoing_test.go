package callbridge

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/live"
	"rotunda/services/callbridge/lookup"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/sip"
	"rotunda/services/callbridge/store"
	"rotunda/services/callbridge/trunk"
	"rotunda/services/database/databasetest"
	"rotunda/services/freeport"
)

// answerer is SIPp that answers calls by TCP, and ends with the test. It returns its port.
func answerer(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed")
	}
	port := strconv.Itoa(freeport.For(t))
	cmd := exec.Command(program, "-sn", "uas", "-i", "127.0.0.1", "-p", port, "-cp", strconv.Itoa(freeport.For(t)), "-t", "t1", "-nostdin")
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, "SIPp listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port
}

// states are how far the legs are, by direction.
func (h *house) states() map[string]string {
	all := map[string]string{}
	for _, leg := range h.read("callLegs").Children {
		one := h.read("callLegs/" + leg.Attr("id"))
		all[one.At("direction")] = one.At("status", "state")
	}
	return all
}

func TestAGatewayCallAndACallOutOfAMeeting(t *testing.T) {
	h, _ := openWithMedia(t)
	far := "127.0.0.1:" + answerer(t)
	h.expect(http.MethodPost, "/api/v1/forwardingDialPlanRules", url.Values{"matchPattern": {"127.0.0.*"}, "action": {"forward"}, "destinationDomain": {"vc.example.com"}})
	h.expect(http.MethodPost, "/api/v1/outboundDialPlanRules", url.Values{"domain": {"vc.example.com"}, "sipProxy": {far}, "sipControlEncryption": {"unencrypted"},
		"localFromDomain": {"meet.example.com"}, "trunkType": {"sip"}})
	until(t, "the dial plan has the rules", func() bool { return strings.Contains(h.log.String(), "created outboundDialPlanRule") })
	wait := h.call(callerScenario("meetingroom1"), "udp")
	until(t, "both sides are connected", func() bool {
		s := h.states()
		return s["incoming"] == "connected" && s["outgoing"] == "connected"
	})
	call := h.read("calls").Children[0].Attr("id")
	if got := h.read("calls/" + call).At("callType"); got != "forwarding" {
		t.Errorf("want a forwarded call, got %s", got)
	}
	if text := h.log.String(); !strings.Contains(text, `verdict="forwarded to meetingroom1@vc.example.com"`) {
		t.Errorf("want the decision in the log, got %s", text)
	}
	h.expect(http.MethodDelete, "/api/v1/calls/"+call, nil)
	wait()

	_, location := h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Weekly"}, "uri": {"88001"}})
	_, location = h.expect(http.MethodPost, "/api/v1/calls", url.Values{"coSpace": {location[strings.LastIndex(location, "/")+1:]}})
	call = location[strings.LastIndex(location, "/")+1:]
	_, location = h.expect(http.MethodPost, "/api/v1/calls/"+call+"/participants", url.Values{"remoteParty": {"room2@vc.example.com"}, "confirmation": {"false"}})
	person := strings.TrimPrefix(location, "/api/v1/")
	until(t, "the room is in the meeting", func() bool { return h.read(person).At("status", "state") == "connected" })
	if got := h.read(person); got.At("uri") != "room2@vc.example.com" || got.At("call") != call {
		t.Errorf("want the room in the call, got %+v", got)
	}
	h.expect(http.MethodDelete, "/api/v1/"+person, nil)
	until(t, "the room is gone", func() bool { return h.read("calls/"+call).At("numParticipantsLocal") == "0" })
}

func TestTrunksOfOtherCallBridgesAreNotWatched(t *testing.T) {
	s, err := store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(o *schema.Object, fields map[string]string) store.ID {
		t.Helper()
		var id store.ID
		if err := s.Write(context.Background(), func(tx *store.Tx) error {
			d := tx.New(o, store.ID{})
			if o.Singleton {
				d = tx.Edit(tx.Only(o))
			}
			id = d.ID()
			for name, v := range fields {
				d.Set(name, v)
			}
			return tx.Put(d)
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	group := put(schema.CallBridgeGroup, map[string]string{"name": "north"})
	own := put(schema.CallBridge, map[string]string{"name": "one", "callBridgeGroup": group.String()})
	other := put(schema.CallBridge, map[string]string{"name": "two"})
	put(schema.Cluster, map[string]string{"uniqueName": "one"})
	for _, r := range []map[string]string{
		{"domain": "a.com", "sipProxy": "a.example.com"},
		{"domain": "b.com", "sipProxy": "b.example.com:5070", "sipControlEncryption": "encrypted"},
		{"domain": "b2.com", "sipProxy": "b.example.com:5070", "sipControlEncryption": "encrypted"},
		{"domain": "c.com", "sipProxy": "192.0.2.1", "sipControlEncryption": "unencrypted", "scope": "callBridge", "callBridge": own.String()},
		{"domain": "d.com", "sipProxy": "d.example.com", "scope": "callBridge", "callBridge": other.String()},
		{"domain": "e.com", "sipProxy": "e.example.com", "scope": "callBridgeGroup", "callBridgeGroup": group.String()},
		{"domain": "direct.com"},
	} {
		put(schema.OutboundDialPlanRule, r)
	}
	self := live.Self(s)
	if self == nil || self.ID() != own {
		t.Fatalf("want this Call Bridge by its unique name, got %v", self)
	}
	got := map[string]bool{}
	for _, one := range trunksOf(s, own, group) {
		got[one.String()] = true
	}
	want := []string{"a.example.com (auto)", "b.example.com:5070 (tls)", "192.0.2.1 (tcp)", "e.example.com (auto)"}
	for _, one := range want {
		if !got[one] {
			t.Errorf("want %s watched, got %v", one, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("want %d, got %v", len(want), got)
	}
}

func TestWaysWhoseTrunkIsDownComeLast(t *testing.T) {
	asked := make(chan struct{})
	c := &calls{trunks: trunk.New(trunk.Options{Ping: func(_ context.Context, target trunk.Target) error {
		defer close(asked)
		return net.ErrClosed
	}})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.trunks.Serve(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	way := func(proxy string, transports ...dialplan.Transport) dialplan.Attempt {
		return dialplan.Attempt{Next: dialplan.Host{Name: proxy}, Transports: transports, Direct: proxy == "direct"}
	}
	down := way("down.example.com", dialplan.TLS)
	c.trunks.Set([]trunk.Target{trunkOf(down.Next, down.Transports)})
	<-asked
	until(t, "the trunk is down", func() bool { return !c.trunks.Up(trunkOf(down.Next, down.Transports)) })
	order := func(ways ...dialplan.Attempt) string {
		var names []string
		for _, a := range c.byState(ways) {
			names = append(names, a.Next.Name)
		}
		return strings.Join(names, " ")
	}
	if got := order(down, way("one"), way("direct"), way("two", dialplan.TCP)); got != "one direct two down.example.com" {
		t.Errorf("want the one that is down last and the others as they were, got %s", got)
	}
	if got := order(down); got != "down.example.com" {
		t.Errorf("the only way is tried all the same, got %s", got)
	}
}

func TestACallThatFailsIsHeldAgainstTheServer(t *testing.T) {
	asked := make(chan trunk.Target, 10)
	c := &calls{names: lookup.New(lookup.Options{}), trunks: trunk.New(trunk.Options{Down: time.Nanosecond, Every: time.Hour, Ping: func(_ context.Context, target trunk.Target) error {
		asked <- target
		return nil
	}})}
	defer c.names.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.trunks.Serve(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	proxy := trunk.Target{Host: "192.0.2.1", Port: 5061, Transport: eitherTransport}
	c.trunks.Set([]trunk.Target{proxy})
	<-asked
	until(t, "the trunk is known", func() bool { return !c.trunks.States()[0].Asked.IsZero() })
	first := func() string {
		l, err := c.targets(t.Context(), "192.0.2.1", 5061, []sip.Transport{sip.TLS, sip.TCP})
		if err != nil || len(l) != 2 {
			t.Fatalf("targets are %v, %v", l, err)
		}
		return string(l[0].Transport)
	}
	at := sip.Target{Transport: sip.TLS, Address: netip.MustParseAddrPort("192.0.2.1:5061")}
	// Another server is nothing to this one.
	c.reached(sip.Target{Transport: sip.TLS, Address: netip.MustParseAddrPort("192.0.2.2:5061")}, net.ErrClosed)
	if got := first(); got != "tls" || len(asked) != 0 {
		t.Errorf("%s comes first, and %d questions were asked", got, len(asked))
	}
	c.reached(at, net.ErrClosed)
	if got := first(); got != "tcp" {
		t.Errorf("%s comes first after TLS failed", got)
	}
	select {
	case got := <-asked:
		if got != proxy {
			t.Errorf("%v was asked", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("the trunk is not asked")
	}
	c.reached(at, nil)
	if got := first(); got != "tls" {
		t.Errorf("%s comes first after TLS worked", got)
	}
}

func TestNobodyIsSentToATrunkByAStranger(t *testing.T) {
	c := &calls{}
	proxy, other := netip.MustParseAddrPort("192.0.2.1:5061"), netip.MustParseAddrPort("192.0.2.9:5060")
	c.trusted.know(trunk.Target{Host: "a.example.com", Transport: "tls"}, []netip.Addr{proxy.Addr()})
	var d sip.Dial
	c.redirects(&d)
	if d.Redirects != maxRedirects {
		t.Errorf("%d contacts are followed", d.Redirects)
	}
	for _, one := range []struct {
		from, to netip.AddrPort
		want     bool
	}{{proxy, proxy, true}, {proxy, other, true}, {other, other, true}, {other, proxy, false}} {
		if got := d.Follow(one.from, sip.Target{Transport: sip.TCP, Address: one.to}); got != one.want {
			t.Errorf("%s sends us to %s: %v", one.from, one.to, got)
		}
	}
}

func TestOnlyTrunksMayTransferCalls(t *testing.T) {
	var who trusted
	a, b := trunk.Target{Host: "a.example.com", Transport: "tls"}, trunk.Target{Host: "b.example.com", Transport: "tcp"}
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if who.has(first) {
		t.Error("nobody is known yet")
	}
	who.know(a, []netip.Addr{first, second})
	who.know(b, []netip.Addr{netip.MustParseAddr("2001:db8::1")})
	for _, one := range []string{"192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1"} {
		if !who.has(netip.MustParseAddr(one)) {
			t.Errorf("%s is that of a trunk", one)
		}
	}
	if who.has(netip.MustParseAddr("192.0.2.3")) || who.has(netip.Addr{}) {
		t.Error("a stranger is trusted")
	}
	who.know(a, []netip.Addr{second})
	who.keep([]trunk.Target{a})
	if who.has(first) || who.has(netip.MustParseAddr("2001:db8::1")) || !who.has(second) {
		t.Error("want the address that is left of the trunk that is left")
	}
}
