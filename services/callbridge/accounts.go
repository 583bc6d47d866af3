package callbridge

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"

	"rotunda/mmp/admission"
	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/events"
)

// mmpAccounts asks the management shell.
type mmpAccounts struct{ client *admission.Client }

// Check implements [api.Accounts].
func (a *mmpAccounts) Check(ctx context.Context, user, password, source string) ([]string, error) {
	from, err := netip.ParseAddrPort(source)
	if err != nil {
		address, err := netip.ParseAddr(source)
		if err != nil {
			// A program of this machine, on a unix socket.
			address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		from = netip.AddrPortFrom(address, 0)
	}
	account, err := a.client.Check(ctx, admission.Question{User: user, Password: password, Source: from, Service: "API", Roles: api.Roles, Scripts: true})
	if errors.Is(err, admission.ErrRefused) || errors.Is(err, admission.ErrPassword) {
		return nil, api.ErrRefused
	}
	if err != nil {
		return nil, err
	}
	return []string{account.Role}, nil
}

// keeper ends clients of events with their accounts; a developer's machine has no shell.
func (o options) keeper() events.Keeper {
	if o.developer != "" {
		return nil
	}
	return admission.NewClient(o.admission)
}

// developer is the only account on a developer's machine.
type developer struct{ name, password string }

// Check implements [api.Accounts].
func (d developer) Check(_ context.Context, user, password, _ string) ([]string, error) {
	if subtle.ConstantTimeCompare([]byte(user+"\x00"+password), []byte(d.name+"\x00"+d.password)) == 0 {
		return nil, api.ErrRefused
	}
	return []string{"api"}, nil
}
