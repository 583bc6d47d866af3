package main

import (
	"context"
	"sync/atomic"

	"rotunda/init/metrics"
	"rotunda/mmp/accounts"
	"rotunda/mmp/admission"
	"rotunda/mmp/shell"
)

// figures count what metrics.Table declares of the shell.
type figures struct {
	in, refused              atomic.Uint64
	granted, denied, mistake atomic.Uint64
}

// ran counts a command by what the audit log says of it.
func (f *figures) ran(verdict string) {
	switch verdict {
	case "permission granted":
		f.granted.Add(1)
	case "permission denied":
		f.denied.Add(1)
	default:
		f.mistake.Add(1)
	}
}

func (f *figures) fill(store *accounts.Store) func(context.Context, *metrics.Page) {
	return func(_ context.Context, p *metrics.Page) {
		p.Set("rotunda_mmp_logins_total", float64(f.in.Load()), "ok")
		p.Set("rotunda_mmp_logins_total", float64(f.refused.Load()), "refused")
		p.Set("rotunda_mmp_commands_total", float64(f.granted.Load()), "granted")
		p.Set("rotunda_mmp_commands_total", float64(f.denied.Load()), "denied")
		p.Set("rotunda_mmp_commands_total", float64(f.mistake.Load()), "mistake")
		p.Set("rotunda_mmp_sessions", float64(len(store.Sessions())))
	}
}

// countingAccounts count logins.
type countingAccounts struct {
	everybody
	figures *figures
}

// everybody is what [accounts.Store] is to the shell and to services.
type everybody interface {
	shell.Accounts
	admission.Accounts
}

func (c countingAccounts) CheckPassword(ctx context.Context, user, password string, from shell.Source) (*shell.Login, error) {
	login, err := c.everybody.CheckPassword(ctx, user, password, from)
	if err != nil {
		c.figures.refused.Add(1)
	}
	return login, err
}

func (c countingAccounts) LoggedIn(login *shell.Login) {
	c.figures.in.Add(1)
	c.everybody.LoggedIn(login)
}
