package boards

import "slices"

// coresPerSystem: one core in so many serves the system and the signalling, the others carry media. A signalled call costs a
// fifth of a millisecond of a core, a 720p30 call a tenth of a core for as long as it lasts, so that the eighth core is
// kept for what comes in bursts: many joins at once, an upgrade, a backup, TLS handshakes.
const coresPerSystem = 8

// Cores is how the processors of a machine are shared out, by their numbers.
type Cores struct {
	// System are for everything but media. On a machine with one processor it is the media's as well.
	System []int
	// Modules are the media cores, grouped into the board's media modules; every group has one at least.
	Modules [][]int
}

// Shared tells that media and system have no processor of their own.
func (c Cores) Shared() bool {
	return len(c.System) == 1 && len(c.Modules) == 1 && len(c.Modules[0]) == 1 && c.System[0] == c.Modules[0][0]
}

// Cores shares out processors: the first of each eight begun is for the system, all others are for media, in as many modules
// as the board has and as even as can be. A machine with fewer media cores than modules has as many modules as cores.
//
//	processors  system  media
//	1           0       0, shared
//	2           0       1
//	4           0       1–3
//	8           0       1–7
//	16          0–1     2–15
func (b Board) Cores(processors []int) Cores {
	n := len(processors)
	if n == 0 {
		return Cores{}
	}
	if n == 1 {
		return Cores{System: processors, Modules: [][]int{processors}}
	}
	system := (n + coresPerSystem - 1) / coresPerSystem
	media := processors[system:]
	modules := min(max(b.MediaModules, 1), len(media))
	// Cloned, so that nobody who appends to one group writes into the next.
	c := Cores{System: slices.Clone(processors[:system])}
	for i := range modules {
		c.Modules = append(c.Modules, slices.Clone(media[i*len(media)/modules:(i+1)*len(media)/modules]))
	}
	return c
}
