package callbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"rotunda/init/config"
	"rotunda/services/callbridge/cdr"
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/events"
	"rotunda/services/callbridge/leg"
	"rotunda/services/callbridge/live"
	"rotunda/services/callbridge/lookup"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/prompts"
	"rotunda/services/callbridge/route"
	"rotunda/services/callbridge/sip"
	"rotunda/services/callbridge/store"
	"rotunda/services/callbridge/trunk"
	"rotunda/services/media/control"
)

// calls are the parts that meetings are made of. They begin before the database answers: until then calls are refused (503), and
// everything else that the API shows of calls is empty.
type calls struct {
	b *bridge
	// engine is the connection to the media manager.
	engine   *control.Client
	mixer    *mixer.Mixer
	prompts  *prompts.Library
	meetings *meeting.Calls
	legs     *leg.Legs
	agent    *sip.Agent
	names    *lookup.Resolver
	trunks   *trunk.Watch
	trusted  trusted
	router   *route.Router
	live     *live.Live
	meter    *cdr.Meter
	records  *cdr.Recorder
	events   *events.Service
	network  network
	trace    *sipTrace
	mark     *mark
	before   remains
	// opened has the store when the database has answered for the first time.
	opened chan *store.Store

	// plan and objects are there once the database answers; they stay when it does not any more.
	plan    atomic.Pointer[dialplan.Live]
	objects atomic.Pointer[store.Store]
}

// newCalls makes the parts; [calls.run] runs them.
func (b *bridge) newCalls(o options) (*calls, error) {
	c := &calls{b: b, network: network{ports: o.ports, log: b.log}, trace: newSIPTrace(b.log), opened: make(chan *store.Store, 1)}
	if c.mark, c.before = openMark(o.folder, b.log); c.before.crashed {
		b.log.Error("the Call Bridge ended unexpectedly while calls were up: they are gone, and their far ends are told", "far ends", len(c.before.dialogs))
		b.alarms.raise(restarted)
		time.AfterFunc(restartedFor, func() { b.alarms.clear(restarted) })
	}
	var err error
	if c.prompts, err = prompts.Open(prompts.Options{
		BuiltIn: o.prompts, Folder: cmp.Or(o.shelf, filepath.Join(o.folder, "prompts")), Local: o.branding, TLS: b.brandingTLS,
		Allowed: func() bool { return b.licences.Enforcement().Customizations }, Log: b.log,
	}); err != nil {
		return nil, fmt.Errorf("open the library of prompts: %w", err)
	}
	// The mixer asks the engine, and the engine's events go to the mixer.
	made := make(chan struct{})
	c.engine = control.NewClient(control.ClientOptions{Address: o.media, Name: "callbridge", Log: func(text string) { b.log.Warn(text) },
		Events: func(e control.Event) {
			<-made
			c.mixer.Event(e)
		}})
	c.mixer = mixer.New(mixer.Options{Service: c.engine, Log: b.log})
	close(made)
	c.names = lookup.New(lookup.Options{Trace: b.traceNames})
	if c.agent, err = sip.New(c.signalling()); err != nil {
		return nil, fmt.Errorf("open SIP: %w", err)
	}
	c.trunks = trunk.New(trunk.Options{Ping: c.ping, Log: b.log})
	c.legs = leg.New(leg.Options{
		Mixer: c.mixer, Dial: func(d sip.Dial, h sip.Handler) leg.Dialog { c.redirects(&d); return c.agent.Dial(d, h) },
		Plan: c.rules, Order: c.byState, Settings: c.settingsOf, Targets: c.targets, Addresses: c.network.media, From: c.from,
		Bridge: c.bridge, Group: c.group, Transfers: c.transfers, TraceFloor: b.traceFloor, Log: b.log,
		Marks: func() config.DSCP { return b.current().DSCP }, TraceICE: b.traced("ice"), TraceControl: b.traced("activeControl"),
	})
	c.meetings = meeting.New(meeting.Options{
		Mixer: c.mixer, Dialer: c.legs, Log: b.log, View: c.view, Prompts: meeting.FromLibrary(c.prompts),
		Licence: func() meeting.LicenceEffects { return route.Effects(b.licences.Enforcement()) },
	})
	c.router = route.New(route.Options{Plan: c.rules, View: c.view, Machine: b.machine,
		Tracing: func() bool { return b.traces.Remaining("sip") > 0 }, Log: b.log})
	c.live = live.New(live.Options{Control: c.meetings, Stats: c.mixer.Stats, Modules: c.engine.Status, Connected: c.engine.Connected, View: c.view,
		Bridge: func() *store.Record { return live.Self(c.view()) }})
	c.meter = cdr.NewMeter(func() []meeting.LegInfo { return c.meetings.Legs(meeting.ID{}) }, c.mixer.Stats, b.log)
	c.records = cdr.New(cdr.Options{Control: c.meetings, Stats: c.meter.Figures, Log: b.log, CallBridge: c.name, Alarm: b.recordsAlarm})
	c.events = events.New(events.Options{Control: c.meetings, Log: b.log, Tracing: b.traced("events"), Keeper: o.keeper()})
	c.meetings.Subscribe(c.mark.note)
	b.traces.changed = func(name string, on bool) {
		switch {
		case name != "sip":
		case on:
			c.agent.SetTrace(c.trace.take)
		default:
			c.agent.SetTrace(nil)
		}
	}
	return c, nil
}

// view is the objects now, nil before the database answered for the first time.
func (c *calls) view() store.View {
	if s := c.objects.Load(); s != nil {
		return s
	}
	return nil
}

// rules are the dial plan; without a database there is none.
func (c *calls) rules() *dialplan.Plan {
	if p := c.plan.Load(); p != nil {
		return p.Plan()
	}
	return nil
}

// bridge is the callBridges object of this machine, group its callBridgeGroup.
func (c *calls) bridge() (none store.ID) {
	if r := live.Self(c.view()); r != nil {
		return r.ID()
	}
	return none
}

func (c *calls) group() (none store.ID) {
	if r := live.Self(c.view()); r != nil {
		id, _ := r.Ref("callBridgeGroup")
		return id
	}
	return none
}

// name is the ID of this Call Bridge in records, "" outside of a cluster.
func (c *calls) name() string {
	if id := c.bridge(); id != (store.ID{}) {
		return id.String()
	}
	return ""
}

// settingsOf are those of a leg with these rights; of one of which nothing is known yet, those of the system.
func (c *calls) settingsOf(rights *profiles.Effective) leg.Settings {
	v := c.view()
	if v == nil {
		return leg.Settings{}
	}
	if rights == nil {
		global := profiles.ForLeg(v, profiles.Leg{})
		rights = &global
	}
	return leg.SettingsOf(v, *rights, c.b.licences.Enforcement().UnencryptedMedia)
}

// incoming takes a call: what it is for is decided, and the meeting does the rest.
func (c *calls) incoming(call *sip.Call) {
	line, arrival, err := c.legs.Arrive(call)
	if err != nil {
		c.b.log.Warn("a call was refused", "source", call.Source(), "to", call.Request(), "error", err)
		return
	}
	arrival.Vouched = c.trusted.has(call.Source().Addr())
	target := c.router.Target(route.Call{
		Called: call.Request(), From: arrival.Address, Vouched: arrival.Vouched, Name: arrival.Name, Source: call.Source(),
		Forwarded: call.Header(route.Trail), MaxForwards: call.MaxForwards(),
	})
	line.Tell(c.meetings.Arrive(arrival, target))
}

// partingTime is how long calls have to end in an orderly way at SIGTERM; [supervise.Spec].StopWithin of the Call Bridge is longer.
const partingTime = 5 * time.Second

// run serves calls until the context ends, and then ends them: every far end is told, and the last records are delivered.
func (c *calls) run(ctx context.Context) error {
	// What calls need goes on until they have ended.
	later, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group parts
	group.run(func() error { return c.agent.Serve(later) })
	group.run(func() error { return c.follow(later) })
	group.run(func() error { return c.bury(later, c.before.dialogs) })
	group.run(func() error { return c.meter.Run(later) })
	group.run(func() error { return c.events.Run(later) })
	group.run(func() error { return c.trace.run(later) })
	group.run(func() error {
		select {
		case s := <-c.opened:
			// The last records are made when calls end.
			return c.records.Run(later, s)
		case <-later.Done():
			return nil
		}
	})
	<-ctx.Done()
	ending, cancel := context.WithTimeout(later, partingTime)
	c.meetings.Close(ending)
	c.settle(ending)
	if c.live.Totals(ending).Most > 0 {
		// What the engine still holds has no use any more. Where it is away, it forgets by itself.
		brief, cancel := context.WithTimeout(ending, time.Second)
		err := c.engine.Sync(brief, nil, nil)
		cancel()
		if err != nil {
			c.b.log.Warn("the media engine was not told that all calls are over", "error", err)
		}
	}
	cancel()
	stop()
	err := group.wait()
	c.live.Close()
	c.engine.Close()
	c.names.Close()
	c.prompts.Close()
	return errors.Join(err, c.mark.close())
}

// settleEvery is how often it is looked whether all far ends were told.
const settleEvery = 10 * time.Millisecond

// settle waits until every leg has said goodbye, or the context ends; that the far ends hear it is the agent's.
func (c *calls) settle(ctx context.Context) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for c.legs.Len() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// use takes the store when the database has answered.
func (c *calls) use(s *store.Store, plan *dialplan.Live) {
	c.plan.Store(plan)
	c.objects.Store(s)
	c.opened <- s
	c.adjustUDP()
}
