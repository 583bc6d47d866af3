package firewall

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"rotunda/init/config"
)

// interval is how often the table is compared with what it should be.
const interval = 30 * time.Second

// Outcome is what became of a document.
type Outcome struct {
	// Problem says what is wrong and what to do; empty if the table is that of the document.
	Problem string
	// Down are the interfaces that must not be up, since nothing guards them although their firewall is enabled.
	Down []string
}

// Equal compares two outcomes.
func (o Outcome) Equal(p Outcome) bool { return o.Problem == p.Problem && slices.Equal(o.Down, p.Down) }

// Options of a [Keeper].
type Options struct {
	Kernel Kernel
	// Devices are the kernel's names of the interfaces, by their own.
	Devices map[string]string
	// Load makes a kernel module available; nil where all are there.
	Load func(module string) error
	// Log takes one line of the journal; nil for none.
	Log func(line string)
	// Changed is called when a comparison of [Keeper.Run] ends otherwise than the one before; nil for none.
	Changed func(Outcome)
}

// Keeper keeps the table as the document wants it.
type Keeper struct {
	options Options

	mu       sync.Mutex
	document *config.Document
	// stands is whether the table of some document was put into the kernel: then a change that fails leaves that one.
	stands  bool
	last    Table
	outcome Outcome
}

// New returns a keeper that wants nothing yet.
func New(o Options) *Keeper {
	if o.Load == nil {
		o.Load = func(string) error { return nil }
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Changed == nil {
		o.Changed = func(Outcome) {}
	}
	return &Keeper{options: o}
}

// Apply makes a document the wanted one. The document must not be changed afterwards.
func (k *Keeper) Apply(doc *config.Document) Outcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.document
	k.document = doc
	// Most changes are of something else, and reading 2,000 rules back takes as long as a change may take. Whether somebody has
	// changed the table meanwhile is for the comparison every 30 seconds to find.
	if before != nil && k.stands && k.outcome.Equal(Outcome{}) && reflect.DeepEqual(before.Firewall, doc.Firewall) && reflect.DeepEqual(before.DSCP, doc.DSCP) {
		return k.outcome
	}
	k.outcome = k.pass()
	return k.outcome
}

// Run compares every 30 seconds until ctx ends. The table stays.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.Compare()
		}
	}
}

// Compare looks whether the table is still what it should be, and restores it.
func (k *Keeper) Compare() {
	k.mu.Lock()
	if k.document == nil {
		k.mu.Unlock()
		return
	}
	before := k.outcome
	k.outcome = k.pass()
	now := k.outcome
	k.mu.Unlock()
	if !now.Equal(before) {
		k.options.Changed(now)
	}
}

// The modules of the kernel that tables are made of; [Compile] says when the second is asked for.
const (
	tableModule = "nf_tables"
	trackModule = "nft_ct"
)

// pass brings the kernel to what is wanted. The caller holds mu.
func (k *Keeper) pass() Outcome {
	want, tracks := Compile(k.document, k.options.Devices)
	if err := k.options.Load(tableModule); err != nil {
		if len(want.Chains) == 0 {
			// Without the module there is no table either.
			return Outcome{}
		}
		return Outcome{Problem: trouble(err), Down: k.guarded()}
	}
	var missing error
	if tracks {
		missing = k.options.Load(trackModule)
	}
	err := k.put(want)
	if err == nil {
		k.stands, k.last = true, want
		return Outcome{}
	}
	err = errors.Join(missing, err)
	if k.stands {
		// What was there is there still, unless somebody else took it away in the same moment.
		if back := k.put(k.last); back == nil {
			return Outcome{Problem: trouble(fmt.Errorf("%w; the rules before the change are in force", err))}
		}
		k.stands = false
	}
	if len(k.guarded()) == 0 {
		return Outcome{Problem: "packets are not marked: " + err.Error()}
	}
	if closed := k.put(Closed(k.document, k.options.Devices)); closed != nil {
		return Outcome{Problem: trouble(err), Down: k.guarded()}
	}
	return Outcome{Problem: trouble(fmt.Errorf("%w; these interfaces let in nothing new", err))}
}

// guarded are the interfaces with a firewall.
func (k *Keeper) guarded() []string {
	var list []string
	for _, name := range config.InterfaceNames {
		if k.document.Firewall[name].Enabled && k.options.Devices[name] != "" {
			list = append(list, name)
		}
	}
	return list
}

func trouble(err error) string {
	return strings.ReplaceAll(fmt.Sprintf("the firewall cannot be put in force: %v. At the console: look at firewall <interface>, delete the rules that were added last, "+
		"or use firewall <interface> disable; then reboot", err), "\n", "; ")
}

// put makes the kernel's table the given one and makes sure of it. Nothing is written if it is that already.
func (k *Keeper) put(want Table) (err error) {
	// What parses the kernel's answers is not ours, and PID 1 must live.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read nftables: %v", p)
		}
	}()
	got, err := k.options.Kernel.Read()
	why := ""
	if err == nil {
		if why = difference(want, got); why == "" {
			return nil
		}
	}
	if err := k.options.Kernel.Replace(want); err != nil {
		return err
	}
	if got, err = k.options.Kernel.Read(); err != nil {
		return err
	}
	if left := difference(want, got); left != "" {
		return fmt.Errorf("the table that was written is not the one that is there: %s", left)
	}
	k.options.Log(fmt.Sprintf("table of %d rules in force (%s)", want.Rules(), why))
	return nil
}
