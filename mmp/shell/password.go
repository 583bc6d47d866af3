package shell

import (
	"context"
	"errors"
	"fmt"

	"rotunda/mmp/line"
)

// passwordTries is how often a new password may break a rule before the session ends.
const passwordTries = 3

// ErrPasswordDue ends a session in which no new password was set.
var ErrPasswordDue = errors.New("no new password was set")

// changePassword asks for a new password if one is due, and returns nil once it is set.
func (s *session) changePassword(ctx context.Context, term *line.Terminal) error {
	due := s.login.Due()
	if due == "" {
		return nil
	}
	fmt.Fprintf(term, "%s\n", due)
	for range passwordTries {
		first, err := term.AskSecret(ctx, "Please enter new password: ")
		if err != nil {
			return err
		}
		second, err := term.AskSecret(ctx, "Please enter new password again: ")
		if err != nil {
			return err
		}
		if err := s.SetDuePassword(ctx, s.login, first, second); err != nil {
			fmt.Fprintf(term, "%s\n", oneLine(err.Error()))
			continue
		}
		fmt.Fprintf(term, "Success\n")
		return nil
	}
	fmt.Fprintf(term, "%v\n", ErrPasswordDue)
	return ErrPasswordDue
}

// SetDuePassword sets the new password of a login that has to have one. The error is a line for the person.
func (sh *Shell) SetDuePassword(ctx context.Context, login *Login, first, second string) error {
	if first != second {
		return errors.New("the two passwords are not the same")
	}
	if err := sh.Accounts.SetPassword(ctx, login.User, first); err != nil {
		return err
	}
	login.changed.Store(true)
	sh.Log.Audit("User %s from %s set a new password", login.User, login.Source)
	return nil
}
