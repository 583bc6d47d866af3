package timesync

import (
	"slices"
	"time"

	"rotunda/init/control"
)

// keptFor is how long a clock counts as kept after the last answer.
const keptFor = 3 * time.Hour

// Status says how the clock is getting on.
func (k *Keeper) Status() control.TimeStatus {
	now := k.clock.Now()
	s := control.TimeStatus{At: now, Synchronized: k.set && len(k.sources) > 0 && now.Sub(k.updated) < keptFor, Offset: k.offset, Within: k.within, Poll: k.poll, Problem: k.problem,
		Servers: []control.TimeServer{}}
	for i, o := range k.sources {
		one := control.TimeServer{Name: o.name, Reach: o.reach, Problem: o.refused, State: "waiting"}
		if n := len(o.samples); n > 0 {
			last := o.samples[n-1]
			one.Stratum, one.Last = last.Stratum, last.At
			one.Offset, one.Delay = last.Offset, last.Delay
		}
		_, _, good := o.best(now, k.poll)
		switch {
		case o.asked >= burst && o.reach == 0:
			one.State = "unreachable"
		case len(k.chosen) > 0 && k.chosen[0] == i:
			one.State = "used"
		case slices.Contains(k.chosen, i):
			one.State = "candidate"
		case good && len(o.samples) >= burst-1:
			one.State = "rejected"
		}
		s.Servers = append(s.Servers, one)
	}
	return s
}
