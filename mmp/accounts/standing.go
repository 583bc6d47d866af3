package accounts

import (
	"time"

	"rotunda/mmp/shell"
)

// Standing is the login of somebody whom a service keeps signed in, without asking for a password again. added is when the account was made
// by which they came in, zero to take the present one: another account of the same name is somebody else's.
func (s *Store) Standing(user string, added time.Time) (*shell.Login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.doc.find(user)
	if a == nil || !added.IsZero() && !a.Added.Equal(added) {
		return nil, errGone
	}
	return &shell.Login{User: a.Name, Role: a.Role, Added: a.Added}, nil
}
