package timesync

import (
	"fmt"
	"slices"
	"time"
)

// Clock is the one that is kept.
type Clock interface {
	Now() time.Time
	// Running is how long the machine has been, by the clock that nobody sets.
	Running() time.Duration
	// Step adds to it at once.
	Step(by time.Duration) error
	// Steer makes it faster or slower until what it is behind is made up for; within says how sure that is, and every after which time the
	// next is to be expected.
	Steer(behind, within time.Duration, every time.Duration) error
}

const (
	// far is an offset that is no noise: it must be seen as often as farTimes before the clock follows it.
	far      = 128 * time.Millisecond
	farTimes = 3
	// near is an offset that needs no more questions than there are.
	near = 2 * time.Millisecond
	// absurd is one that is nobody's drift: the clock does not follow it at all, and an alarm says so.
	absurd = 1000 * time.Second
	// jump is what no steering makes of the clock between two looks: somebody else has set it.
	jump = time.Second
	// calm is how often in a row the clock must be near before servers are asked half as often.
	calm = 8
)

// Keeper decides when which server is asked and what becomes of the clock. It is used by one goroutine.
type Keeper struct {
	clock   Clock
	log     func(string)
	sources []*source
	poll    time.Duration
	set     bool
	// farSeen counts offsets that were far in a row, steady those that were near.
	farSeen, steady int
	// steered is how often the clock was.
	steered        int
	offset, within time.Duration
	updated        time.Time
	chosen         []int
	problem        string
	used           time.Time // of the newest sample that was acted upon
	// seen is the clock when it was last looked at, ran what [Clock.Running] was then.
	seen time.Time
	ran  time.Duration
}

// NewKeeper makes one that knows no server.
func NewKeeper(c Clock, log func(string)) *Keeper {
	return &Keeper{clock: c, log: log, poll: quickPoll, seen: c.Now(), ran: c.Running()}
}

// look finds out whether somebody else has set the clock. What was measured before says nothing then, and the servers, which are to
// keep it, set it anew as after the start.
func (k *Keeper) look(now time.Time) {
	ran := k.clock.Running()
	by := now.Sub(k.seen) - (ran - k.ran)
	k.seen, k.ran = now, ran
	if by.Abs() < jump {
		return
	}
	if k.set {
		k.log(fmt.Sprintf("somebody has set the clock by %v: the NTP servers set it anew", by.Round(time.Second)))
	}
	for i, s := range k.sources {
		k.sources[i] = &source{name: s.name, next: now, refused: s.refused}
	}
	*k = Keeper{clock: k.clock, log: k.log, poll: quickPoll, sources: k.sources, seen: now, ran: ran}
}

// SetServers changes the servers, by name; what is known of those that stay is kept, and that the clock is kept by them: the next answer
// may be a quarter of an hour away.
func (k *Keeper) SetServers(names []string) {
	var list []*source
	var chosen []int
	for _, c := range k.chosen {
		if at := slices.Index(names, k.sources[c].name); at >= 0 {
			chosen = append(chosen, at)
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(k.sources, func(s *source) bool { return s.name == n })
		if i >= 0 {
			list = append(list, k.sources[i])
		} else {
			list = append(list, &source{name: n, next: k.clock.Now()})
		}
	}
	k.sources, k.chosen = list, chosen
	if len(list) == 0 {
		k.problem = ""
	}
}

// Due returns the servers to ask now and when to look again.
func (k *Keeper) Due() (servers []string, again time.Time) {
	now := k.clock.Now()
	k.look(now)
	again = now.Add(mostPoll)
	for _, s := range k.sources {
		if !s.next.After(now) {
			s.asks(now, k.poll)
			servers = append(servers, s.name)
		}
		if s.next.Before(again) {
			again = s.next
		}
	}
	return servers, again
}

// Heard takes a server's answer, or why there is none.
func (k *Keeper) Heard(server string, a Sample, err error) {
	i := slices.IndexFunc(k.sources, func(s *source) bool { return s.name == server })
	if i < 0 {
		return
	}
	s := k.sources[i]
	if err != nil {
		if why := err.Error(); s.reach == 0 && s.asked >= burst && s.told != why {
			s.told = why
			k.log(fmt.Sprintf("the NTP server %s does not help: %s", server, why))
		}
		s.refused = err.Error()
		return
	}
	s.told = ""
	s.hears(a)
	k.settle()
}

// settle does with the clock what the servers say together.
func (k *Keeper) settle() {
	now := k.clock.Now()
	var all []measured
	newest := time.Time{}
	waiting := false
	for i, s := range k.sources {
		// The first answer may have been slow: the clock is set when each has answered three times, or will not.
		if !k.set && s.reach&1 != 0 && len(s.samples) < burst-1 {
			waiting = true
		}
		a, distance, ok := s.best(now, k.poll)
		if !ok {
			continue
		}
		all = append(all, measured{i, a.Offset, distance, a.Stratum})
		if a.At.After(newest) {
			newest = a.At
		}
	}
	if len(all) == 0 || waiting {
		return
	}
	good := choose(all)
	k.chosen = k.chosen[:0]
	if len(good) == 0 {
		k.trouble("the NTP servers contradict each other: the clock is kept by none of them")
		return
	}
	for _, m := range good {
		k.chosen = append(k.chosen, m.server)
	}
	offset := combine(good)
	k.within = good[0].error
	if !k.set {
		k.first(offset)
		return
	}
	// Older samples that are still the best say nothing new: the clock was steered by them before.
	if !newest.After(k.used) {
		return
	}
	k.used = newest
	k.follow(offset)
}

// first sets the clock, whatever the offset.
func (k *Keeper) first(offset time.Duration) {
	if err := k.clock.Step(offset); err != nil {
		k.trouble("the clock cannot be set: " + err.Error())
		return
	}
	for _, s := range k.sources {
		s.shifted(offset)
		s.next = s.next.Add(offset)
	}
	k.set, k.offset, k.updated = true, 0, k.clock.Now()
	k.seen, k.ran = k.updated, k.clock.Running()
	k.used = k.updated
	k.problem = ""
	k.log(fmt.Sprintf("the clock was set by %v, with %s", offset.Round(time.Microsecond), k.sources[k.chosen[0]].name))
	k.steer(0)
}

// follow makes the clock faster or slower.
func (k *Keeper) follow(offset time.Duration) {
	size := offset.Abs()
	if size > absurd {
		k.trouble(fmt.Sprintf("the NTP servers say that the clock is wrong by %v, which is not followed: set it by date set, or reboot", offset.Round(time.Second)))
		return
	}
	if size > far {
		k.steady, k.poll = 0, leastPoll
		if k.farSeen++; k.farSeen < farTimes {
			return
		}
		if k.farSeen == farTimes {
			k.log(fmt.Sprintf("the clock is wrong by %v, and is made up for slowly", offset.Round(time.Millisecond)))
		}
	} else {
		k.farSeen = 0
		if size > near {
			k.steady = 0
		}
		k.steady++
		switch {
		case k.poll < leastPoll && k.steered >= quick:
			k.poll, k.steady = leastPoll, 0
		case k.poll >= leastPoll && k.poll < mostPoll && k.steady > calm:
			k.poll, k.steady = 2*k.poll, 0
		}
	}
	k.steer(offset)
}

func (k *Keeper) steer(offset time.Duration) {
	if err := k.clock.Steer(offset, k.within, k.poll); err != nil {
		k.trouble("the clock cannot be steered: " + err.Error())
		return
	}
	k.offset, k.updated = offset, k.clock.Now()
	k.steered++
	if k.problem != "" {
		k.log("the clock is kept again")
	}
	k.problem = ""
}

func (k *Keeper) trouble(text string) {
	if k.problem != text {
		k.problem = text
		k.log(text)
	}
}
