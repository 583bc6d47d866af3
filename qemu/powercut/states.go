package powercut

import (
	"fmt"
	"math/rand/v2"
)

// State is a disk as a power cut may leave it.
type State struct {
	// Prefix is the number of log entries that were carried out.
	Prefix int
	// Drop is 0 if all of them reached the disk; otherwise it numbers a choice of writes, or of sectors of writes, that
	// were still in the disk's cache and are lost.
	Drop int
	Disk *Disk
}

func (s State) String() string {
	if s.Drop == 0 {
		return fmt.Sprintf("prefix %d", s.Prefix)
	}
	return fmt.Sprintf("prefix %d, drop %d", s.Prefix, s.Drop)
}

// Plan says which states are visited.
type Plan struct {
	// From and To are the first and the last prefix.
	From, To int
	// Drops is how many choices of lost writes are tried for every prefix that has unflushed writes.
	Drops int
	// Seed makes the choices repeatable.
	Seed uint64
}

// Each visits every prefix of the log, and for each its drops. It stops at the first error of visit.
//
// A flush makes everything before it durable. Between two flushes a disk may carry out writes in any order; so a cut
// leaves any subset of them, whole or torn between sectors.
func (l *Log) Each(base *Disk, plan Plan, visit func(State) error) error {
	durable := base.Fork()
	current := durable.Fork()
	var pending []Entry
	for i := 0; ; i++ {
		if i >= plan.From {
			if err := visit(State{Prefix: i, Disk: current}); err != nil {
				return err
			}
			if len(pending) > 0 {
				if err := l.drops(durable, pending, i, plan, visit); err != nil {
					return err
				}
			}
		}
		if i >= len(l.Entries) || i >= plan.To {
			return nil
		}
		e := l.Entries[i]
		if e.Kind == Flush {
			durable.merge(current)
			pending = pending[:0]
			continue
		}
		if err := l.apply(current, e, nil); err != nil {
			return err
		}
		pending = append(pending, e)
	}
}

// drops visits states in which some of the pending writes are lost, by four rules in turn: any subset of writes; any
// subset of sectors; all but one write; only one write.
func (l *Log) drops(durable *Disk, pending []Entry, prefix int, plan Plan, visit func(State) error) error {
	for drop := 1; drop <= plan.Drops; drop++ {
		random := rand.New(rand.NewPCG(plan.Seed, uint64(prefix)<<16|uint64(drop)))
		state := durable.Fork()
		chosen := random.IntN(len(pending))
		for i, e := range pending {
			var keep func() bool
			switch drop % 4 {
			case 1:
				if random.IntN(2) == 0 {
					continue
				}
			case 2:
				keep = func() bool { return random.IntN(2) == 0 }
			case 3:
				if i == chosen {
					continue
				}
			default:
				if i != chosen {
					continue
				}
			}
			if err := l.apply(state, e, keep); err != nil {
				return err
			}
		}
		if err := visit(State{Prefix: prefix, Drop: drop, Disk: state}); err != nil {
			return err
		}
	}
	return nil
}

// zeros is what a discarded sector reads as. A real disk may as well keep the old content; see [Log.apply].
var zeros [SectorSize]byte

// apply carries out one request on d; keep, if set, says of every sector whether it reaches the disk. A discard promises
// nothing about what is read afterwards, so it is taken to destroy.
func (l *Log) apply(d *Disk, e Entry, keep func() bool) error {
	var data []byte
	if e.Kind == Write {
		var err error
		if data, err = l.payload(e); err != nil {
			return err
		}
	}
	for at := int64(0); at < e.Length; at += SectorSize {
		if keep != nil && !keep() {
			continue
		}
		content := zeros[:]
		if data != nil {
			content = data[at : at+SectorSize]
		}
		d.put((e.Offset+at)/SectorSize, content)
	}
	return nil
}

// At returns one state again, for example to boot it.
func (l *Log) At(base *Disk, plan Plan, prefix, drop int) (State, error) {
	var found *State
	p := plan
	p.From, p.To = prefix, prefix
	err := l.Each(base, p, func(s State) error {
		if s.Drop == drop {
			found = &s
		}
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("prefix %d has no drop %d", prefix, drop)
	}
	if err != nil {
		return State{}, err
	}
	return *found, nil
}
