// Package licence says what the Call Bridge may do and counts what is used: features and their states, what follows when one has ended,
// personal and shared multiparty licences, and a snapshot of their use every five minutes (guide chapter 17 and appendix D, reference
// sections 2.11 and 5.11).
//
// Rotunda is open. Where there is neither a licence file nor a document of the cluster, every feature is there without end. Two sources can
// bind it: cms.lic on this machine (package init/licence), and the cluster's document, which a management system sets and renews and which
// never reaches further than [MaxAhead]. Where both are there, the better of the two counts for each feature.
//
// Invariants: a source that cannot be read counts as none and is told by [Licensing.Problems]; losing one never ends calls. States
// follow the clock with every question, nothing has to be restarted for a day to pass. Counting is pure ([Count]).
//
// After a crash or a power cut the cluster's document is the old or the new one, and of the snapshots at most the last is missing.
package licence

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"rotunda/init/licence"
)

// Options are what [Open] needs.
type Options struct {
	// File is the content of cms.lic, empty when there is none.
	File []byte
	// Keys verify it (licence.Keys).
	Keys []ed25519.PublicKey
	// Hosts are what this machine is called by in licences ([ThisHost]).
	Hosts []string
	// Shelf keeps the document of the cluster; nil for none.
	Shelf Shelf
	// Now is time.Now when it is nil.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
}

// ThisHost are the names of this machine: its host ID and the MAC address of interface a.
func ThisHost(hostID string) []string {
	names := []string{hostID}
	if i, err := net.InterfaceByName("a"); err == nil {
		names = append(names, i.HardwareAddr.String())
	}
	return names
}

// Licensing is the licences of a machine and its cluster. It is safe for concurrent use.
type Licensing struct {
	o Options

	mu       sync.RWMutex
	file     *licence.Licence // nil when none counts
	fileWhy  error            // why a file that is there does not count
	cluster  document
	shelfWhy error
}

// Open reads what there is. It never fails: what cannot be read counts as none.
func Open(o Options) *Licensing {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Licensing{o: o}
	l.SetFile(o.File)
	if o.Shelf != nil {
		l.cluster, l.shelfWhy = load(o.Shelf)
		if l.shelfWhy != nil {
			o.Log.Error("the cluster's licence document is not used", "error", l.shelfWhy)
		}
	}
	return l
}

// SetFile takes another cms.lic, or none.
func (l *Licensing) SetFile(file []byte) {
	var now *licence.Licence
	var err error
	if len(file) > 0 {
		if now, err = licence.Parse(file, l.o.Keys...); err == nil {
			err = now.CheckHost(l.o.Hosts...)
		}
		if err != nil {
			now = nil
			l.o.Log.Error("the licence file is not used", "file", licence.FileName, "error", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.fileWhy = now, err
}

// Problems are sentences for the administrator about sources that do not count.
func (l *Licensing) Problems() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var all []string
	if l.fileWhy != nil {
		all = append(all, fmt.Sprintf("%s is not used: %v", licence.FileName, l.fileWhy))
	}
	if l.shelfWhy != nil {
		all = append(all, fmt.Sprintf("the cluster's licence document is not used: %v", l.shelfWhy))
	}
	return all
}

// Features are those of system/licensing: what the file of this machine says.
func (l *Licensing) Features() []licence.State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.DeleteFunc(l.file.States(l.o.Now()), func(s licence.State) bool { return s.ShellOnly })
}

// Cluster are those of clusterLicensing.
func (l *Licensing) Cluster() []licence.State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.cluster.states(l.o.Now())
}

// Limit is how many there may be by the licence file at a time of a feature, 0 for no limit.
func (l *Licensing) Limit(feature string) int {
	for _, s := range l.Features() {
		if s.API == feature {
			return s.Limit
		}
	}
	return 0
}

// inForce is what counts for a feature of this machine now, from all sources.
func (l *Licensing) inForce(now time.Time) map[string]licence.State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := map[string]licence.State{}
	// An open machine takes nothing away from what the cluster's document says of its own features.
	for _, s := range l.file.States(now) {
		if l.file != nil || !s.Cluster || !l.cluster.binds() {
			all[s.API] = s
		}
	}
	if l.cluster.binds() {
		for _, s := range l.cluster.states(now) {
			if other, there := all[s.API]; !there || better(s, other) {
				all[s.API] = s
			}
		}
	}
	return all
}

// better says whether a leaves more than b.
func better(a, b licence.State) bool {
	rank := func(s licence.State) int {
		return slices.Index([]licence.Status{licence.NoLicense, licence.Expired, licence.Grace, licence.Activated}, s.Status)
	}
	if rank(a) != rank(b) {
		return rank(a) > rank(b)
	}
	return a.Status == licence.Expired && a.Ended.After(b.Ended)
}
