package snmp

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rotunda/init/control"
	"rotunda/init/observe"
)

const (
	// changesEvery is how often the machine is compared with what it was.
	changesEvery = 2 * time.Second
	// failureEvery bounds what guessers make us send.
	failureEvery = 10 * time.Second
)

// condition is what changes are found in.
type condition struct {
	alarms   map[string]control.Alarm
	services map[string]control.Service
	links    map[string]control.Interface
}

// conditionOf takes what PID 1 says; ok is false if it says nothing.
func conditionOf(ctx context.Context, pid1 observe.Source) (c condition, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, observe.Within)
	defer cancel()
	health, err := pid1.Health(ctx)
	if err != nil {
		return c, false
	}
	c = condition{map[string]control.Alarm{}, map[string]control.Service{}, map[string]control.Interface{}}
	for _, a := range health.Alarms {
		c.alarms[a.ID] = a
	}
	for _, s := range health.Services {
		c.services[s.Name] = s
	}
	// Interfaces may be missing for a moment while they are set up: then nothing is said of them.
	list, _ := pid1.Interfaces(ctx)
	for _, i := range list {
		c.links[i.Name] = i
	}
	return c, true
}

const ready = "ready"

// changes are what happened from one condition to the next, in a fixed order.
func changes(before, after condition, down map[string]bool) (list []event) {
	for _, name := range sortedKeys(before.links, after.links) {
		old, had := before.links[name]
		now, has := after.links[name]
		if !had || !has || (old.Up && old.Carrier) == (now.Up && now.Carrier) {
			continue
		}
		index := interfaceNumber(name)
		e := event{name: linkDown, bindings: []binding{{ifEntry.with(1, index), integer(int(index))}, {ifEntry.with(7, index), upDown(now.Up)},
			{ifEntry.with(8, index), operational(now)}, {ifXEntry.with(1, index), text(name)}}}
		if now.Up && now.Carrier {
			e.name = linkUp
		}
		list = append(list, e)
	}
	for _, id := range sortedKeys(before.alarms, after.alarms) {
		old, had := before.alarms[id]
		now, has := after.alarms[id]
		kind, told := "rotundaAlarmRaised", now
		if had && !has {
			kind, told = "rotundaAlarmCleared", old
		} else if had && old.Text == now.Text {
			continue
		}
		list = append(list, event{notificationOID(kind), []binding{{ownColumn("rotundaAlarmText", id), text(told.Text)}}})
	}
	service := func(kind string, s control.Service) {
		list = append(list, event{notificationOID(kind), []binding{{ownColumn("rotundaServiceState", s.Name), integer(states[s.State])}}})
	}
	for _, name := range sortedKeys(before.services, after.services) {
		old, had := before.services[name]
		now, has := after.services[name]
		if !has {
			// It was disabled; that is no failure.
			delete(down, name)
			continue
		}
		// It may have ended and come back between two looks.
		ended := had && old.State == ready && (now.State != ready || now.Restarts > old.Restarts)
		if ended && !down[name] {
			down[name] = true
			gone := now
			if gone.State == ready {
				gone.State = "backoff"
			}
			service("rotundaServiceDown", gone)
		}
		if now.State == ready && down[name] {
			delete(down, name)
			service("rotundaServiceUp", now)
		}
	}
	return list
}

func sortedKeys[V any](a, b map[string]V) (keys []string) {
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// follow tells what happens until ctx ends, each time that tick comes. The first look tells of the alarms that there are.
func follow(ctx context.Context, pid1 observe.Source, tick <-chan time.Time, tell func(event)) {
	var before condition
	down := map[string]bool{}
	for {
		if after, ok := conditionOf(ctx, pid1); ok {
			if len(after.links) == 0 {
				after.links = before.links
			}
			for _, e := range changes(before, after, down) {
				tell(e)
			}
			before = after
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// failures bounds how often authenticationFailure is sent.
type failures struct {
	mu   sync.Mutex
	last time.Time
	tell func(event)
}

func (f *failures) refused(netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.last.IsZero() || now.Sub(f.last) >= failureEvery {
		f.last = now
		f.tell(event{name: authFailure})
	}
}
