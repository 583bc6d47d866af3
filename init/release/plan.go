package release

import (
	"fmt"
	"slices"

	"rotunda/init/fat"
)

// MaxVersions is how many versions the EFI system partition keeps: the running one, the one to fall back to, a new one.
const MaxVersions = 3

// State is what a version is to the machine.
type State string

const (
	// Running is the version that this boot started, committed or on trial.
	Running State = "running"
	// Committed is a version that held its gates once.
	Committed State = "committed"
	// Trial is a version that the loader will still try.
	Trial State = "trial"
	// Failed is a version without tries left, or one whose file is damaged.
	Failed State = "failed"
)

// Version is one installed version.
type Version struct {
	// Number is the install counter.
	Number int
	Release
	// Size in bytes.
	Size  int64
	State State
	// Trial is whether the version has not been committed, also of the running one; TriesLeft counts its starts to come.
	Trial     bool
	TriesLeft int
	// File is the name that the loader sees; Names are all of them, more than one only after a power cut.
	File  string
	Names []string
	// Damage says why the file cannot be started; nil if it can.
	Damage error
}

// stateOf is the rule: what runs is running, else what has no counter is committed, else what has tries left is on trial.
func stateOf(n Name, running int, damaged bool) State {
	switch {
	case n.Number == running:
		return Running
	case damaged || n.Counted && n.Left == 0:
		return Failed
	case n.Counted:
		return Trial
	}
	return Committed
}

// Plan is what an installation will do.
type Plan struct {
	// Number of the new version.
	Number int
	// Remove makes room: these go first, in this order.
	Remove []Version
}

// protected are the versions that stay: the running one and the one that the machine would go back to from it, the
// highest that is committed. If it is not known what runs, the two highest that have not failed stay.
func protected(versions []Version, running int) map[int]bool {
	kept := map[int]bool{}
	others := 1
	if running == 0 {
		others = 2
	}
	for _, v := range newestFirst(versions) {
		switch {
		case v.Number == running:
			kept[v.Number] = true
		case others > 0 && (v.State == Committed || running == 0 && v.State == Trial):
			kept[v.Number] = true
			others--
		}
	}
	return kept
}

func newestFirst(versions []Version) []Version {
	out := slices.Clone(versions)
	slices.SortFunc(out, func(a, b Version) int { return b.Number - a.Number })
	return out
}

// plan decides what makes room for need bytes: everything but the running version and the one to fall back to, so that
// with the new one there are at most MaxVersions. Failed versions and trials that do not run go first, since a trial that
// stayed would be started before the version to fall back to; then committed ones, the oldest first.
func plan(versions []Version, running int, need, free, cluster int64) (Plan, error) {
	p := Plan{Number: 1}
	kept := protected(versions, running)
	oldestFirst := newestFirst(versions)
	slices.Reverse(oldestFirst)
	for _, committed := range []bool{false, true} {
		for _, v := range oldestFirst {
			p.Number = max(p.Number, v.Number+1)
			if !kept[v.Number] && (v.State == Committed) == committed {
				p.Remove = append(p.Remove, v)
				free += (v.Size + cluster - 1) / cluster * cluster
			}
		}
	}
	if free < need {
		return Plan{}, fmt.Errorf("the new version needs %d bytes, %d are free or can be freed: %w", need, free, fat.ErrFull)
	}
	if p.Number > maxNumber {
		return Plan{}, fmt.Errorf("install counter %d is the last one", maxNumber)
	}
	return p, nil
}
