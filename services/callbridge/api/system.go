package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// System are the parts of the Call Bridge whose state is shown below /system. A part that is nil is one that does not run: what it would
// count is 0.
type System struct {
	Status   func() Status
	Alarms   func() []Alarm
	Database func(context.Context) Database
	// Load is that of media processing on this machine, in thousandths of what it can carry.
	Load      func() int
	Licensing Licensing
	Tracing   Tracing
	// TURN asks the hosts behind a turnServer's address, WebBridge returns unused, success, connectionFailure or dnsFailure.
	TURN      func(context.Context, *store.Record) []TURNHost
	WebBridge func(store.ID) string
	// Customise fetches the archive of a webBridge anew and gives it to it.
	Customise func(context.Context, *store.Record) error
	// Diagnose writes down what is known of the meeting of a space, or of a call, for POST …/diagnostics.
	Diagnose func(c *Call, coSpace *store.Record, call store.ID) (Diagnostics, error)
}

// Status is system/status.
type Status struct {
	HostID          string
	SoftwareVersion string
	Uptime          time.Duration
	// CDRTime is the clock as records show it, CDRIndex the correlator index of the next one.
	CDRTime  time.Time
	CDRIndex uint64

	ClusterEnabled bool
	ClusterID      string

	CallLegsActive, CallLegsMaxActive, CallLegsCompleted int
	// Bits per second.
	AudioOut, AudioIn, VideoOut, VideoIn int64
}

// Alarm is something that is wrong and has not passed.
type Alarm struct {
	ID store.ID
	// Type is one of reference section 2.11, such as databaseConnectionError.
	Type  string
	Since time.Time
	// Details are failureReason and the IDs of what it is about.
	Details []Element
}

// Database is system/database.
type Database struct {
	Clustered bool
	Cluster   DatabaseCluster
}

// DatabaseCluster is that of a database on several machines.
type DatabaseCluster struct {
	Error string
	// NodeInUse is the host name of the node that this Call Bridge talks to.
	NodeInUse string
	Nodes     []DatabaseNode
}

// DatabaseNode is one of them.
type DatabaseNode struct {
	Host       string
	Up, Master bool
	SyncBehind int64
}

// TURNHost is one address behind a turnServer.
type TURNHost struct {
	Address            string
	Port               int
	Reachable          bool
	RoundTrip          time.Duration
	Mapped             string
	MappedPort         int
	Allocations        int
	AllocationsUnknown bool
}

// Tracing switches detailed tracing. Traces have the names of schema.TimedLogging.
type Tracing interface {
	// Remaining is how long a trace goes on.
	Remaining(trace string) time.Duration
	// Trace switches one on for a time, or off with 0.
	Trace(trace string, d time.Duration)
}

// noTracing is that of a Call Bridge without it.
type noTracing struct{}

func (noTracing) Remaining(string) time.Duration { return 0 }
func (noTracing) Trace(string, time.Duration)    {}

// systemRoutes are those below system/ that are no tables, and the states of objects that others keep.
func (s *Server) systemRoutes() {
	if s.system.Tracing == nil {
		s.system.Tracing = noTracing{}
	}
	s.handleAlone(http.MethodGet, "system/status", s.status)
	s.handleAlone(http.MethodGet, "system/alarms", s.alarms)
	s.handleAlone(http.MethodGet, "system/database", s.database)
	s.handleAlone(http.MethodGet, "system/load", func(*Call) (Answer, error) {
		load := 0
		if s.system.Load != nil {
			load = s.system.Load()
		}
		return answer(Element{Name: "load", Elements: []Element{number("mediaProcessingLoad", load)}})
	})
	s.handleAlone(http.MethodGet, "system/timedLogging", s.tracing)
	s.handleAlone(http.MethodPut, "system/timedLogging", s.setTracing)
	s.handleAlone(http.MethodPost, "system/timedLogging", s.setTracing)
	s.Handle(http.MethodGet, "system/cdrReceiver", s.firstReceiver)
	s.Handle(http.MethodPut, "system/cdrReceiver", s.setFirstReceiver)
	s.Handle(http.MethodGet, "turnServers/{id}/status", s.turnStatus)
	s.Handle(http.MethodGet, "webBridges/{id}/status", func(c *Call) (Answer, error) {
		state := "unused"
		if s.system.WebBridge != nil {
			state = s.system.WebBridge(c.last())
		}
		return answer(Element{Name: "webBridge", Attributes: idAttribute(c.last()), Elements: []Element{Text("status", state)}})
	})
	s.Handle(http.MethodPost, "webBridges/{id}/updateCustomization", func(c *Call) (Answer, error) {
		if s.system.Customise == nil {
			return Answer{}, Busy{Code: failure.CallBridgeUnavailable}
		}
		return Answer{}, s.system.Customise(c.ctx, c.View().Get(schema.WebBridge, c.last()))
	})
	s.diagnosticsRoutes()
	s.licensingRoutes()
}

func number[N int | int64 | uint64](name string, n N) Element {
	return Text(name, strconv.FormatInt(int64(n), 10))
}

func boolean(name string, b bool) Element { return Text(name, strconv.FormatBool(b)) }

func idAttribute(id store.ID) []Attribute { return []Attribute{{"id", id.String()}} }

func (s *Server) status(*Call) (Answer, error) {
	var t Status
	if s.system.Status != nil {
		t = s.system.Status()
	}
	if t.CDRTime.IsZero() {
		t.CDRTime = time.Now()
	}
	e := Element{Name: "status"}
	if t.HostID != "" {
		e.add(Text("hostId", t.HostID))
	}
	e.Elements = append(e.Elements,
		Text("softwareVersion", t.SoftwareVersion),
		number("uptimeSeconds", int64(t.Uptime/time.Second)),
		Text("cdrTime", t.CDRTime.UTC().Format(time.RFC3339)),
		boolean("activated", true),
		boolean("clusterEnabled", t.ClusterEnabled))
	if t.ClusterID != "" {
		e.add(Text("clusterId", t.ClusterID))
	}
	e.Elements = append(e.Elements,
		number("cdrCorrelatorIndex", t.CDRIndex),
		number("callLegsActive", t.CallLegsActive),
		number("callLegsMaxActive", t.CallLegsMaxActive),
		number("callLegsCompleted", t.CallLegsCompleted),
		number("audioBitRateOutgoing", t.AudioOut),
		number("audioBitRateIncoming", t.AudioIn),
		number("videoBitRateOutgoing", t.VideoOut),
		number("videoBitRateIncoming", t.VideoIn))
	return answer(e)
}

func (s *Server) alarms(c *Call) (Answer, error) {
	var all []Alarm
	if s.system.Alarms != nil {
		all = slices.Clone(s.system.Alarms())
	}
	slices.SortFunc(all, func(a, b Alarm) int { return cmp.Or(a.Since.Compare(b.Since), slices.Compare(a.ID[:], b.ID[:])) })
	now := time.Now()
	return page(c, Element{Name: "alarms"}, len(all), func(i int) Element {
		a := all[i]
		return Element{Name: "alarm", Attributes: idAttribute(a.ID), Elements: append([]Element{
			Text("type", a.Type), number("activeTimeSeconds", int64(max(0, now.Sub(a.Since))/time.Second)),
		}, a.Details...)}
	})
}

// rowCap is the largest page of lists that are no table.
const rowCap = 20

// page answers with a part of a list of n rows.
func page(c *Call, root Element, n int, row func(i int) Element) (Answer, error) {
	offset, limit, err := c.Params.page(rowCap)
	if err != nil {
		return Answer{}, err
	}
	root.Attributes = append(root.Attributes, Attribute{"total", strconv.Itoa(n)})
	for i := offset; i < n && i-offset < limit; i++ {
		root.add(row(i))
	}
	return answer(root)
}

func (s *Server) database(c *Call) (Answer, error) {
	var d Database
	if s.system.Database != nil {
		d = s.system.Database(c.ctx)
	}
	if !d.Clustered {
		return answer(Element{Name: "database", Attributes: []Attribute{{"clustered", "disabled"}}})
	}
	cluster := Element{Name: "cluster"}
	if d.Cluster.Error != "" {
		cluster.add(Text("error", d.Cluster.Error))
	}
	cluster.add(number("totalNodes", len(d.Cluster.Nodes)))
	if d.Cluster.NodeInUse != "" {
		cluster.add(Text("nodeInUse", d.Cluster.NodeInUse))
	}
	for _, n := range d.Cluster.Nodes {
		cluster.add(Element{Name: "node", Attributes: []Attribute{{"hostname", n.Host}, {"up", strconv.FormatBool(n.Up)},
			{"syncBehind", strconv.FormatInt(n.SyncBehind, 10)}, {"master", strconv.FormatBool(n.Master)}}})
	}
	return answer(Element{Name: "database", Attributes: []Attribute{{"clustered", "enabled"}}, Elements: []Element{cluster}})
}

// tracing shows how many seconds each trace goes on.
func (s *Server) tracing(*Call) (Answer, error) {
	e := Element{Name: schema.TimedLogging.Name}
	e.fields(schema.TimedLogging, true, func(i int) string {
		left := s.system.Tracing.Remaining(schema.TimedLogging.Fields[i].Name)
		return strconv.FormatInt(int64((left+time.Second-1)/time.Second), 10)
	})
	return answer(e)
}

func (s *Server) setTracing(c *Call) (Answer, error) {
	settings, _, err := read(nil, schema.TimedLogging, c.Params, false)
	if err != nil {
		return Answer{}, err
	}
	var names []string
	for _, one := range settings {
		// An empty value unsets: the trace ends.
		n, _ := strconv.Atoi(one.value)
		s.system.Tracing.Trace(one.field.Name, time.Duration(n)*time.Second)
		names = append(names, one.field.Name)
	}
	c.Audit("modified timedLogging (" + strings.Join(names, ", ") + ")")
	return Answer{Location: c.Path}, nil
}

// firstReceiver is system/cdrReceiver, which scripts from the time of a single receiver still use.
func (s *Server) firstReceiver(c *Call) (Answer, error) {
	e := Element{Name: "cdrReceiver"}
	c.View().Each(schema.CDRReceiver, func(r *store.Record) bool {
		e.add(Text("uri", r.Text("uri")))
		return false
	})
	return answer(e)
}

func (s *Server) setFirstReceiver(c *Call) (Answer, error) {
	uri, sent := c.Params.Lookup("uri", "url")
	if !sent {
		return Answer{}, &failure.Parameter{Name: "uri", Fault: failure.Missing, Why: "uri must be given; empty, it removes the receiver"}
	}
	uri, err := schema.CDRReceiver.Field("uri").Parse(uri)
	if err != nil {
		return Answer{}, &failure.Parameter{Name: "uri", Fault: failure.Invalid, Why: err.Error()}
	}
	what := ""
	err = c.Write(func(tx *store.Tx) error {
		var first *store.Record
		tx.Each(schema.CDRReceiver, func(r *store.Record) bool {
			first = r
			return false
		})
		switch {
		case uri == "" && first == nil:
			what = ""
			return nil
		case uri == "":
			what = "deleted cdrReceiver " + first.ID().String()
			return tx.Delete(first)
		}
		var d *store.Draft
		if first == nil {
			d = tx.New(schema.CDRReceiver, store.ID{})
			what = "created cdrReceiver "
		} else {
			d = tx.Edit(first)
			what = "modified cdrReceiver "
		}
		what += d.ID().String() + " (uri)"
		d.Set("uri", uri)
		return s.put(tx, d, nil)
	})
	if err != nil {
		return Answer{}, err
	}
	if what != "" {
		c.Audit(what)
	}
	return Answer{}, nil
}

func (s *Server) turnStatus(c *Call) (Answer, error) {
	e := Element{Name: "turnServer", Attributes: idAttribute(c.last())}
	if s.system.TURN == nil {
		return answer(e)
	}
	for _, h := range s.system.TURN(c.ctx, c.View().Get(schema.TURNServer, c.last())) {
		host := Element{Name: "host", Elements: []Element{Text("address", h.Address), number("portNumber", h.Port), boolean("reachable", h.Reachable)}}
		if h.Reachable {
			host.add(number("roundTripTimeMs", int64(h.RoundTrip/time.Millisecond)))
		}
		if h.Mapped != "" {
			host.add(Text("mappedAddress", h.Mapped))
			host.add(number("mappedPortNumber", h.MappedPort))
		}
		if !h.AllocationsUnknown {
			host.add(number("numAllocations", h.Allocations))
		}
		e.add(host)
	}
	return answer(e)
}
