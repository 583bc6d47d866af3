package callbridge

import (
	"bytes"
	"cmp"
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
		Status: func() api.Status {
			return api.Status{
				HostID: b.machine.String(), SoftwareVersion: b.version,
				Uptime: time.Since(b.started), CDRTime: time.Now(),
			}
		},
		Alarms:    b.alarms.list,
		Licensing: b.licences,
		Tracing:   b.traces,
		Diagnose:  b.diagnose,
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

func (a *alarms) raise(kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.active[kind]; !ok {
		a.active[kind] = api.Alarm{ID: uuid.New(), Type: kind, Since: time.Now()}
	}
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

// traces are until when each part of detailed tracing goes on. A restart ends them.
type traces struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func newTraces() *traces { return &traces{until: map[string]time.Time{}} }

// Remaining implements [api.Tracing].
func (t *traces) Remaining(name string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, time.Until(t.until[name]))
}

// Trace implements [api.Tracing].
func (t *traces) Trace(name string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d <= 0 {
		delete(t.until, name)
		return
	}
	t.until[name] = time.Now().Add(d)
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
	if call != (store.ID{}) {
		fmt.Fprintf(&t, "\ncall %s\n", call)
	}
	return api.Diagnostics{Label: label, Contents: t.Bytes()}, nil
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
