package timesync

import (
	"time"
)

// Sample is one answer of a server.
type Sample struct {
	// Offset is how much our clock is behind the server's, Delay the way there and back.
	Offset, Delay time.Duration
	// RootDelay and RootDispersion are the server's own.
	RootDelay, RootDispersion time.Duration
	Stratum                   uint8
	At                        time.Time
}

const (
	// kept are the samples of which the fastest counts.
	kept = 8
	// drift is how much a clock may go wrong (RFC 5905: PHI).
	drift = 15e-6
	// worst is the root distance of a server that is of no use (RFC 5905: MAXDIST).
	worst = 1500 * time.Millisecond
	// burst are the first questions, burstEvery between them, so that the clock is set seconds after the start.
	burst      = 4
	burstEvery = 2 * time.Second
	// Then come quick questions every quickPoll, by which the loop learns how fast the clock drifts before it drifts far.
	quick     = 30
	quickPoll = 8 * time.Second
	// leastPoll and mostPoll are between two questions later.
	leastPoll = 16 * time.Second
	mostPoll  = 1024 * time.Second
	// stale is how old a sample may be, in polls.
	stale = 8
)

// source is one server.
type source struct {
	name string
	// reach has a bit for each of the last eight questions, the newest lowest, as ntpq shows it.
	reach   uint8
	asked   int
	next    time.Time
	samples []Sample // newest last
	// refused says why its answers do not count; "" when they do.
	refused string
	// told is what the log last said about that.
	told string
}

// asks notes that a question goes out.
func (s *source) asks(now time.Time, poll time.Duration) {
	s.reach <<= 1
	s.asked++
	wait := poll
	if s.asked < burst {
		wait = burstEvery
	}
	// Silence is no reason to ask more often; a server that is down is asked as rarely as any.
	s.next = now.Add(wait)
}

// hears takes an answer.
func (s *source) hears(a Sample) {
	s.reach |= 1
	s.refused = ""
	if s.samples = append(s.samples, a); len(s.samples) > kept {
		s.samples = s.samples[1:]
	}
}

// best is the sample that was fastest, older ones counting as slower by what the clock may have drifted since (RFC 5905, 10).
func (s *source) best(now time.Time, poll time.Duration) (Sample, time.Duration, bool) {
	var best Sample
	least := time.Duration(-1)
	for _, a := range s.samples {
		age := now.Sub(a.At)
		if age > stale*max(poll, leastPoll) {
			continue
		}
		distance := a.Delay/2 + a.RootDelay/2 + a.RootDispersion + time.Duration(drift*float64(age)) + time.Millisecond
		if least < 0 || distance < least {
			best, least = a, distance
		}
	}
	return best, least, least >= 0 && least < worst
}

// shifted follows a step of the clock: what was measured before counts against the new time.
func (s *source) shifted(by time.Duration) {
	for i := range s.samples {
		s.samples[i].Offset -= by
		s.samples[i].At = s.samples[i].At.Add(by)
	}
}
