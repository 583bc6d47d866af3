package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// joint is the change that several lines of a script make together, each in the document that the ones before have left. It is used by
// one session at a time.
type joint struct {
	deps Deps
	// began is what runs, as it was when the first line asked; nil before.
	began *control.Config
	// pending is the document with all changes so far. It is replaced and never changed, so that a line that goes wrong leaves nothing.
	pending *config.Document
	// ports are the interfaces as the kernel had them, asked for once.
	ports []control.Interface
}

// Join begins a joint change, for [shell.Shell.Join].
func (d Deps) Join() grammar.Joint { return &joint{deps: d} }

// jointOf is what a call is part of, nil if it is made by itself.
func jointOf(c *grammar.Call) *joint {
	j, _ := c.Joint.(*joint)
	return j
}

// interfaces are those of the machine. Lines of a joint change share the answer: nothing is in force meanwhile.
func (d Deps) interfaces(c *grammar.Call) ([]control.Interface, error) {
	j := jointOf(c)
	if j != nil && j.ports != nil {
		return j.ports, nil
	}
	list, err := d.Machine.Interfaces(c.Context)
	if j != nil && err == nil {
		j.ports = list
	}
	return list, err
}

// hasPort refuses an interface that this machine does not have.
func (d Deps) hasPort(c *grammar.Call, name string) error {
	list, err := d.interfaces(c)
	if err != nil {
		return err
	}
	names := make([]string, len(list))
	for n, i := range list {
		if i.Name == name {
			return nil
		}
		names[n] = i.Name
	}
	return fmt.Errorf("this machine has no interface %s; it has %s", name, strings.Join(names, ", "))
}

// change applies an edit to the pending document, with what [Deps.change] says to it. What is better judged by PID 1, or has to be in
// force before the next line, is left to a change by itself.
func (j *joint) change(c *grammar.Call, edit func(*config.Document) error) error {
	if j.began == nil {
		running, err := j.deps.Machine.Config(c.Context)
		if err != nil || running.FailSafe != "" {
			return grammar.ErrAlone
		}
		j.began, j.pending = &running, running.Document
	}
	doc := j.pending.Clone()
	if err := edit(doc); err != nil {
		return err
	}
	if err := doc.Validate(); err != nil {
		return err
	}
	if doc.Equal(j.pending) {
		return nil
	}
	if j.endsSomething(c, doc) || !j.onPorts(c, doc) {
		return grammar.ErrAlone
	}
	if !config.Elsewhere(c.Caller.Local, j.pending, doc) {
		if s, ok := j.deps.session(c, j.pending); ok && s.Cut(j.pending, doc) != "" {
			return grammar.ErrAlone
		}
	}
	if len(config.NeedsReboot(j.pending, doc)) > 0 {
		c.Printf(rebootRequired)
	}
	j.pending = doc
	return nil
}

// endsSomething says whether a line switches something off. Who switches it on again in the next line wants it to begin anew.
func (j *joint) endsSomething(c *grammar.Call, doc *config.Document) bool {
	if c.Has("disable") {
		return true
	}
	for name, was := range j.pending.Interfaces {
		now := doc.Interfaces[name]
		if was.IPv4.Enabled && !now.IPv4.Enabled || was.IPv6.Enabled && !now.IPv6.Enabled {
			return true
		}
	}
	return false
}

// onPorts says whether what a line changes of interfaces is something that PID 1 would not refuse of this line alone: interfaces that the
// machine has, and nothing about their cables.
func (j *joint) onPorts(c *grammar.Call, doc *config.Document) bool {
	if doc.DefaultInterface != j.pending.DefaultInterface && j.deps.hasPort(c, doc.DefaultInterface) != nil {
		return false
	}
	for name, now := range doc.Interfaces {
		was := j.pending.Interfaces[name]
		if now.Link != was.Link || on(now) && !on(was) && j.deps.hasPort(c, name) != nil {
			return false
		}
	}
	return true
}

func on(i config.Interface) bool { return i.IPv4.Enabled || i.IPv6.Enabled }

// Commit is part of [grammar.Joint].
func (j *joint) Commit(ctx context.Context) (note string, err error) {
	if j.began == nil || j.pending.Equal(j.began.Document) {
		return "", nil
	}
	applied, err := j.deps.Machine.SetConfig(ctx, j.began.Generation, j.pending)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, w := range applied.Warnings {
		fmt.Fprintf(&b, "Warning: %s\n", printable(w))
	}
	return b.String(), nil
}

// errBusy is the end of many attempts.
var errBusy = errors.New("the configuration is being changed by somebody else, nothing was changed; try again")

const rebootRequired = "A reboot is required for the change to take effect\n"
