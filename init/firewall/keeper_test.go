package firewall

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"rotunda/init/config"
)

// fake is a kernel that may refuse.
type fake struct {
	table Table
	// refuse says why a table is not taken; nil takes all.
	refuse  func(Table) error
	blind   error
	written int
	// garbles makes what is written another than what was asked for.
	garbles bool
}

func (f *fake) Replace(t Table) error {
	if f.refuse != nil {
		if err := f.refuse(t); err != nil {
			return err
		}
	}
	f.written++
	f.table = t
	if f.garbles && len(t.Chains) > 0 {
		f.table.Chains = t.Chains[1:]
	}
	return nil
}

func (f *fake) Read() (Table, error) { return f.table, f.blind }

var errFull = errors.New("no room")

// refuseRules takes nothing that has a rule of an administrator.
func refuseRules(t Table) error {
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			if strings.HasPrefix(r.Comment, "rule ") {
				return errFull
			}
		}
	}
	return nil
}

func guarded() *config.Document {
	return walled(config.Firewalls{"a": {Enabled: true, Default: config.Allow, Rules: []config.FirewallRule{rule(0, true, 22, "", "")}}})
}

func TestWhatCannotBePutInForceClosesTheInterface(t *testing.T) {
	f := &fake{refuse: refuseRules}
	k := New(Options{Kernel: f, Devices: testDevices})
	o := k.Apply(guarded())
	if !strings.Contains(o.Problem, "no room; these interfaces let in nothing new. At the console:") || len(o.Down) != 0 {
		t.Errorf("wanted the closed table told, got %+v", o)
	}
	if left := difference(Closed(guarded(), testDevices), f.table); left != "" {
		t.Errorf("wanted the closed table in force, got %s", left)
	}
	own := f.table.Chains[1]
	if own.Name != "a" || len(own.Rules) != 1 || own.Rules[0].Comment != "closed" {
		t.Errorf("wanted a chain that drops everything, got %+v", own)
	}
}

func TestWhatNothingGuardsStaysDown(t *testing.T) {
	for name, f := range map[string]*fake{
		"refused": {refuse: func(Table) error { return errFull }},
		"unread":  {blind: errFull},
		"garbled": {garbles: true},
	} {
		o := New(Options{Kernel: f, Devices: testDevices}).Apply(guarded())
		if o.Problem == "" || !slices.Equal(o.Down, []string{"a"}) {
			t.Errorf("%s: wanted interface a down, got %+v", name, o)
		}
	}
	gone := func(string) error { return errors.New("no such module") }
	if o := New(Options{Kernel: &fake{}, Devices: testDevices, Load: gone}).Apply(guarded()); !slices.Equal(o.Down, []string{"a"}) {
		t.Errorf("without the module: wanted interface a down, got %+v", o)
	}
	if o := New(Options{Kernel: &fake{}, Devices: testDevices, Load: gone}).Apply(walled(nil)); !o.Equal(Outcome{}) {
		t.Errorf("without the module and a firewall: wanted no problem, got %+v", o)
	}
}

func TestAChangeThatFailsLeavesTheRulesBefore(t *testing.T) {
	f := &fake{}
	k := New(Options{Kernel: f, Devices: testDevices})
	first := walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny}})
	if o := k.Apply(first); !o.Equal(Outcome{}) {
		t.Fatalf("got %+v", o)
	}
	f.refuse = refuseRules
	o := k.Apply(guarded())
	if !strings.Contains(o.Problem, "the rules before the change are in force") || len(o.Down) != 0 {
		t.Errorf("wanted the rules before, got %+v", o)
	}
	want, _ := Compile(first, testDevices)
	if left := difference(want, f.table); left != "" {
		t.Errorf("wanted the table before, got %s", left)
	}
}

func TestAComparisonTellsWhenItEndsOtherwise(t *testing.T) {
	f := &fake{refuse: func(Table) error { return errFull }}
	var told []Outcome
	k := New(Options{Kernel: f, Devices: testDevices, Changed: func(o Outcome) { told = append(told, o) }})
	k.Compare()
	k.Apply(guarded())
	k.Compare()
	if len(told) != 0 {
		t.Errorf("wanted nothing told while nothing changed, got %+v", told)
	}
	f.refuse = nil
	k.Compare()
	if len(told) != 1 || !told[0].Equal(Outcome{}) {
		t.Errorf("wanted the interface up again, got %+v", told)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	k.Run(ctx)
}

func TestOnlyWhatChangesIsWritten(t *testing.T) {
	f := &fake{}
	k := New(Options{Kernel: f, Devices: testDevices})
	k.Apply(guarded())
	doc := guarded()
	doc.Hostname = "other"
	k.Apply(doc)
	k.Compare()
	if f.written != 1 {
		t.Errorf("wanted one table written, got %d", f.written)
	}
	doc = guarded()
	doc.Firewall["b"] = config.Firewall{Enabled: true, Default: config.Deny}
	k.Apply(doc)
	if f.written != 2 || len(f.table.Chains) != 3 {
		t.Errorf("wanted another table, got %d of %d chains", f.written, len(f.table.Chains))
	}
}

func TestModulesAreAskedForAsTheyAreNeeded(t *testing.T) {
	var asked []string
	k := New(Options{Kernel: &fake{}, Devices: testDevices, Load: func(m string) error { asked = append(asked, m); return nil }})
	doc := walled(nil)
	doc.DSCP.IPv4 = map[string]int{"oa&m": 16}
	k.Apply(doc)
	k.Apply(guarded())
	if want := []string{"nf_tables", "nf_tables", "nft_ct"}; !slices.Equal(asked, want) {
		t.Errorf("wanted %q, got %q", want, asked)
	}
}
