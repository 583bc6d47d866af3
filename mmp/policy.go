package main

import (
	"context"
	"sync"
	"time"

	"rotunda/init/control"
	"rotunda/mmp/accounts"
	"rotunda/mmp/shell"
)

// policyTime bounds how long PID 1 may take to say what logins are taken.
const policyTime = 2 * time.Second

// policy is what logins the configuration takes. While PID 1 does not answer, what it said last holds; before it ever did, passwords and
// keys of this machine are all there is, as on a developer's.
type policy struct {
	machine control.Machine
	log     *shell.Log

	mu   sync.Mutex
	last accounts.Policy
	told bool
}

func (p *policy) of(ctx context.Context) accounts.Policy {
	ctx, cancel := context.WithTimeout(ctx, policyTime)
	defer cancel()
	c, err := p.machine.Config(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if !p.told {
			p.log.Warn("what logins are taken stays as it was: %v", err)
		}
		p.told = true
		return p.last
	}
	d := c.Document
	p.last, p.told = accounts.Policy{LDAP: d.LDAP.Enabled, Cards: d.CAC.Enabled, Strict: d.CAC.Enabled && d.CAC.Strict}, false
	return p.last
}
