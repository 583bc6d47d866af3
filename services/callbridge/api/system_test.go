package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// clockwork is tracing and licensing of tests.
type clockwork struct {
	noLicensing
	times map[string]time.Duration
}

func (c *clockwork) Remaining(name string) time.Duration { return c.times[name] }
func (c *clockwork) Trace(name string, d time.Duration)  { c.times[name] = d }
func (c *clockwork) Features() []Feature {
	return []Feature{{Name: "callBridge", Status: "activated", Expiry: time.Date(2022, 8, 8, 0, 0, 0, 0, time.UTC)}, {Name: "recording", Status: "grace", Limit: "5"}}
}
func (c *clockwork) Multiparty(store.View) Multiparty {
	return Multiparty{Users: 3, CallsActive: 1, WeightedCallsActive: 0.5}
}
func (c *clockwork) Personal() []PersonalUse {
	return []PersonalUse{{User: uuid.New(), CallsActive: 1, WeightedCallsActive: 1}}
}
func (c *clockwork) Usage(from, to time.Time, host string, offset, limit int) (int, []UsageSnapshot) {
	return 9, []UsageSnapshot{{At: from, Values: []Element{Text("pmp", host)}}, {At: to}}
}
func (c *clockwork) Hosts() []string { return []string{"a", "b"} }

func TestTheSystemShowsItsParts(t *testing.T) {
	alarm := Alarm{ID: uuid.New(), Type: "c2wConnectionFailure", Details: []Element{Text("failureReason", "dnsFailure")}}
	clock := &clockwork{times: map[string]time.Duration{"sip": 1500 * time.Millisecond}}
	d := newDesk(t, openStore(t), func(o *Options) {
		o.System = System{
			Status: func() Status {
				return Status{HostID: "h", SoftwareVersion: "3.8", Uptime: 90 * time.Second, CDRTime: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), CDRIndex: 7}
			},
			Alarms: func() []Alarm {
				alarm.Since = time.Now().Add(-time.Minute) // however long the test has run
				return []Alarm{alarm}
			},
			Database: func(context.Context) Database {
				return Database{Clustered: true, Cluster: DatabaseCluster{NodeInUse: "db1", Nodes: []DatabaseNode{{Host: "db1", Up: true, Master: true}, {Host: "db2", SyncBehind: 4}}}}
			},
			Load: func() int { return 25 }, Tracing: clock, Licensing: clock,
			TURN: func(context.Context, *store.Record) []TURNHost {
				return []TURNHost{{Address: "192.0.2.1", Port: 3478, Reachable: true, RoundTrip: 12 * time.Millisecond, Mapped: "198.51.100.1", MappedPort: 5000, Allocations: 2}, {Address: "192.0.2.2", Port: 3478, AllocationsUnknown: true}}
			},
			WebBridge: func(store.ID) string { return "success" },
		}
	})
	turn, web := d.make("turnServers", nil), d.make("webBridges", nil)
	for path, want := range map[string]string{
		"system/status": `<status><hostId>h</hostId><softwareVersion>3.8</softwareVersion><uptimeSeconds>90</uptimeSeconds><cdrTime>2026-01-02T02:04:05Z</cdrTime><activated>true</activated>` +
			`<clusterEnabled>false</clusterEnabled><cdrCorrelatorIndex>7</cdrCorrelatorIndex><callLegsActive>0</callLegsActive>`,
		"system/alarms":    `<alarms total="1"><alarm id="` + alarm.ID.String() + `"><type>c2wConnectionFailure</type><activeTimeSeconds>60</activeTimeSeconds><failureReason>dnsFailure</failureReason></alarm></alarms>`,
		"system/database":  `<database clustered="enabled"><cluster><totalNodes>2</totalNodes><nodeInUse>db1</nodeInUse><node hostname="db1" up="true" syncBehind="0" master="true"/><node hostname="db2" up="false" syncBehind="4" master="false"/></cluster></database>`,
		"system/load":      `<load><mediaProcessingLoad>25</mediaProcessingLoad></load>`,
		"system/licensing": `<licensing><features><callBridge><status>activated</status><expiry>2022-Aug-08</expiry></callBridge><recording><status>grace</status><limit>5</limit></recording></features></licensing>`,
		"clusterLicensing": `<clusterLicensing><features/></clusterLicensing>`,
		"system/multipartyLicensing/activePersonalLicenses?offset=1":                                 `<activePersonalLicenses total="1"/>`,
		"system/MPLicenseUsage/knownHosts":                                                           `<knownHosts total="2"><host id="a"/><host id="b"/></knownHosts>`,
		"system/MPLicenseUsage?startTime=2026-01-01T00:00:00Z&endTime=2026-01-02T00:00:00Z&hostId=a": `<MPLicenseUsage total="9"><entry time="2026-01-01T00:00:00Z"><pmp>a</pmp></entry><entry time="2026-01-02T00:00:00Z"/></MPLicenseUsage>`,
		turn + "/status": `<turnServer id="` + id(turn) + `"><host><address>192.0.2.1</address><portNumber>3478</portNumber><reachable>true</reachable><roundTripTimeMs>12</roundTripTimeMs>` +
			`<mappedAddress>198.51.100.1</mappedAddress><mappedPortNumber>5000</mappedPortNumber><numAllocations>2</numAllocations></host><host><address>192.0.2.2</address><portNumber>3478</portNumber><reachable>false</reachable></host></turnServer>`,
		web + "/status": `<webBridge id="` + id(web) + `"><status>success</status></webBridge>`,
	} {
		if a := d.api(http.MethodGet, path, nil); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: want %s, got %d %s", path, want, a.status, a.body)
		}
	}
	if n, _ := d.read("system/multipartyLicensing", nil).get("weightedCallsActive"); n != "0.500" {
		t.Errorf("want 0.500, got %s", n)
	}
	d.fails(d.api(http.MethodPost, web+"/updateCustomization", nil), http.StatusServiceUnavailable, "callBridgeUnavailable")
	d.fails(d.api(http.MethodGet, "turnServers/x/status", nil), http.StatusNotFound, "turnServerDoesNotExist")

	root := d.read("system/timedLogging", nil)
	if len(root.Children) != len(schema.TimedLogging.Fields) {
		t.Errorf("want all traces, got %v", root)
	}
	if left, _ := root.get("sip"); left != "2" {
		t.Errorf("sip: want 2 seconds, got %s", left)
	}
	if a := d.api(http.MethodPut, "system/timedLogging", url.Values{"SIP": {""}, "dns": {"600"}}); a.status != http.StatusOK || clock.times["sip"] != 0 || clock.times["dns"] != 10*time.Minute {
		t.Errorf("got %d %v", a.status, clock.times)
	}
	clock.times["api"] = time.Minute
	d.read("coSpaces", url.Values{"filter": {"passcode4711"}})
	clock.times["api"] = 0
	d.read("coSpaces", nil)
	if log := d.log.String(); strings.Count(log, "API trace") != 1 || !strings.Contains(log, "user=script method=GET path=/api/v1/coSpaces status=200") || strings.Contains(log, "4711") {
		t.Errorf("want one request traced, without its query, got %s", log)
	}
	d.fails(d.api(http.MethodPut, "system/timedLogging", url.Values{"sip": {"5"}, "bfcp": {"-1"}, "ice": {"100000000"}}), http.StatusBadRequest, "bfcp:invalidValue", "ice:invalidValue")
	if clock.times["sip"] != 0 {
		t.Error("a request with a wrong parameter has had an effect")
	}
}

func TestTheOnlyReceiverOfOldScripts(t *testing.T) {
	d := newDesk(t, openStore(t))
	put := func(values url.Values) {
		t.Helper()
		if a := d.api(http.MethodPut, "system/cdrReceiver", values); a.status != http.StatusOK {
			t.Fatalf("want 200, got %d %s", a.status, a.body)
		}
	}
	uri := func() string {
		text, _ := d.read("system/cdrReceiver", nil).get("uri")
		return text
	}
	put(url.Values{"uri": {""}})
	put(url.Values{"url": {"http://cdr.example.com/a"}})
	put(url.Values{"uri": {"http://cdr.example.com/b"}})
	if list := d.read("system/cdrReceivers", nil); uri() != "http://cdr.example.com/b" || list.attr("total") != "1" || list.attr("maximum") != "4" {
		t.Errorf("want b alone, got %q and %v", uri(), list)
	}
	d.fails(d.api(http.MethodPut, "system/cdrReceiver", nil), http.StatusBadRequest, "uri:missing")
	d.fails(d.api(http.MethodPut, "system/cdrReceiver", url.Values{"uri": {"mailto:x"}}), http.StatusBadRequest, "uri:invalidValue")
	put(url.Values{"uri": {""}})
	if list := d.read("system/cdrReceivers", nil); list.attr("total") != "0" || uri() != "" {
		t.Errorf("want none, got %v", list)
	}
	// One that is a list of receivers keeps its place when its address is taken away.
	one := d.make("system/cdrReceivers", url.Values{"url": {"http://cdr.example.com/"}})
	if a := d.api(http.MethodPut, one, url.Values{"URL": {""}}); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if text, shown := d.read(one, nil).get("uri"); !shown || text != "" {
		t.Errorf("want an empty uri, got %q %v", text, shown)
	}
}

func TestDiagnosticsAreKept(t *testing.T) {
	calls := 0
	d := newDesk(t, openStore(t), func(o *Options) {
		o.System.Diagnose = func(c *Call, space *store.Record, _ store.ID) (Diagnostics, error) {
			calls++
			return Diagnostics{Label: space.Text("name") + strconv.Itoa(calls), Contents: []byte(strings.Repeat("é", maxDiagnosticsSize))}, nil
		}
	})
	space := d.make("coSpaces", url.Values{"name": {"Room"}})
	var last string
	for range maxDiagnostics + 2 {
		a := d.api(http.MethodPost, space+"/diagnostics", nil)
		last = strings.TrimPrefix(a.location, "/api/v1/")
		if a.status != http.StatusOK || !strings.HasPrefix(last, "system/diagnostics/") {
			t.Fatalf("got %d %q %s", a.status, a.location, a.body)
		}
	}
	list := d.read("system/diagnostics", url.Values{"coSpaceFilter": {strings.ToUpper(id(space))}})
	if list.attr("total") != strconv.Itoa(maxDiagnostics) || list.Children[0].attr("id") != id(last) {
		t.Errorf("want the last %d, the newest first, got %v", maxDiagnostics, list)
	}
	if list := d.read("system/diagnostics", url.Values{"callCorrelatorFilter": {"x"}}); list.attr("total") != "0" {
		t.Errorf("want none, got %v", list)
	}
	one := d.read(last, nil)
	for name, want := range map[string]string{"label": "Room" + strconv.Itoa(calls), "coSpace": id(space), "contentsSize": strconv.Itoa(maxDiagnosticsSize)} {
		if have, _ := one.get(name); have != want {
			t.Errorf("%s: want %q, got %q", name, want, have)
		}
	}
	if a := d.api(http.MethodGet, last+"/contents", nil); a.header.Get("Content-Type") != "text/plain" || len(a.body) != maxDiagnosticsSize {
		t.Errorf("want text of %d bytes, got %q of %d", maxDiagnosticsSize, a.header.Get("Content-Type"), len(a.body))
	}
	d.fails(d.api(http.MethodGet, "system/diagnostics/"+id(space), nil), http.StatusNotFound, "unrecognizedObject")
	d.fails(d.api(http.MethodPost, "calls/"+id(space)+"/diagnostics", nil), http.StatusNotFound, "callDoesNotExist")
}
