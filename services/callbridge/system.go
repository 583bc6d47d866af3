package callbridge

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// system is what the API shows of this machine.
func (b *bridge) system() api.System {
	return api.System{
		Status: b.status,
		Load: func() int {
			return b.calls.live.Load(context.Background())
		},
		Alarms:    b.activeAlarms,
		Licensing: b.licences,
		Tracing:   b.traces,
		Diagnose:  b.diagnose,
		TURN:      b.turnHosts,
	}
}

// status is system/status.
func (b *bridge) status() api.Status {
	t := b.calls.live.Totals(context.Background())
	return api.Status{
		HostID: b.machine.String(), SoftwareVersion: b.version, Uptime: time.Since(b.started),
		CDRTime: b.calls.records.Now(), CDRIndex: b.calls.records.Index(),
		CallLegsActive: t.Active, CallLegsMaxActive: t.Most, CallLegsCompleted: t.Completed,
		AudioOut: t.AudioOut, AudioIn: t.AudioIn, VideoOut: t.VideoOut, VideoIn: t.VideoIn,
	}
}

// databaseError is the alarm while the database does not answer (reference section 2.11).
const databaseError = "databaseConnectionError"

// alarms are those of parts that run once, by type.
type alarms struct {
	mu     sync.Mutex
	active map[string]api.Alarm
}

func newAlarms() *alarms { return &alarms{active: map[string]api.Alarm{}} }

// raise raises an alarm; one that is raised already keeps its ID and its time.
func (a *alarms) raise(kind string, details ...api.Element) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.active[kind]
	if !ok {
		one = api.Alarm{ID: uuid.New(), Type: kind, Since: time.Now()}
	}
	one.Details = details
	a.active[kind] = one
}

func (a *alarms) clear(kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.active, kind)
}

func (a *alarms) list() []api.Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.active))
}

// activeAlarms are those of parts, and those of prompts and pictures that cannot be used.
func (b *bridge) activeAlarms() []api.Alarm {
	return append(b.alarms.list(), b.branding.list(b.calls.prompts.Failures(), b.calls.view())...)
}

// cdrConnectionFailure is the alarm while a receiver does not take records (reference section 2.11).
const cdrConnectionFailure = "cdrConnectionFailure"

func (b *bridge) recordsAlarm(on bool, reason string) {
	if !on {
		b.alarms.clear(cdrConnectionFailure)
		return
	}
	var details []api.Element
	if reason != "" {
		details = append(details, api.Text("failureReason", reason))
	}
	b.alarms.raise(cdrConnectionFailure, details...)
}

// traces are until when each part of detailed tracing goes on. A restart ends them.
type traces struct {
	// changed is told when one begins or ends. It may be nil and must not ask traces.
	changed func(name string, on bool)

	mu    sync.Mutex
	until map[string]time.Time
	ends  map[string]*time.Timer
}

func newTraces() *traces {
	return &traces{until: map[string]time.Time{}, ends: map[string]*time.Timer{}}
}

// Remaining implements [api.Tracing].
func (t *traces) Remaining(name string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, time.Until(t.until[name]))
}

// Trace implements [api.Tracing]. It ends by itself (guide chapter 16.1).
func (t *traces) Trace(name string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if timer := t.ends[name]; timer != nil {
		timer.Stop()
		delete(t.ends, name)
	}
	if d <= 0 {
		delete(t.until, name)
	} else {
		t.until[name] = time.Now().Add(d)
		var timer *time.Timer
		timer = time.AfterFunc(d, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.ends[name] == timer {
				delete(t.ends, name)
				delete(t.until, name)
				t.tell(name, false)
			}
		})
		t.ends[name] = timer
	}
	t.tell(name, d > 0)
}

func (t *traces) tell(name string, on bool) {
	if t.changed != nil {
		t.changed(name, on)
	}
}

// diagnose writes down how a space is configured: its own fields and what is in force, without passcodes and secrets, which
// diagnostics are sent around with.
func (b *bridge) diagnose(c *api.Call, space *store.Record, call store.ID) (api.Diagnostics, error) {
	var t bytes.Buffer
	v := c.View()
	fmt.Fprintf(&t, "Call Bridge %s, version %s, %s\n", b.machine, b.version, time.Now().UTC().Format(time.RFC3339))
	fmt.Fprintf(&t, "database revision %d\n", c.Store().Revision())
	for _, o := range schema.All() {
		if !o.Live && !o.Singleton {
			fmt.Fprintf(&t, "%d %s\n", v.Count(o), o.Plural)
		}
	}
	label := "system"
	if space != nil {
		label = cmp.Or(space.Text("name"), space.ID().String())
		fmt.Fprintln(&t)
		describe(&t, "", space)
		for _, below := range []*schema.Object{schema.AccessMethod, schema.CoSpaceUser} {
			for _, r := range v.Below(below, space.ID()) {
				describe(&t, "  ", r)
			}
		}
	}
	var id store.ID
	if space != nil {
		id = space.ID()
	}
	correlator := b.calls.live.Diagnose(c.Context(), &t, id, call)
	return api.Diagnostics{Label: label, CallCorrelator: correlator, Contents: t.Bytes()}, nil
}

// private fields let people in.
var private = map[string]bool{"passcode": true, "secret": true, "streamUrl": true}

func describe(t *bytes.Buffer, indent string, r *store.Record) {
	fmt.Fprintf(t, "%s%s\n", indent, r)
	r.Values(func(f *schema.Field, value string) bool {
		if private[f.Name] || f.Access == schema.Hidden {
			value = "(set)"
		}
		fmt.Fprintf(t, "%s  %s: %q\n", indent, f.Name, value)
		return true
	})
}
