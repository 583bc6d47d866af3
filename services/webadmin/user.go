package webadmin

import "time"

// userPage is User > Current user.
type userPage struct {
	Name, Roles, Source, Since string
	Idle, Absolute             string
}

func (v *visit) user() {
	p := &userPage{Name: v.session.user, Source: v.session.source, Since: v.session.made.UTC().Format("2 January 2006, 15:04 UTC"),
		Idle: lasted(int64(idleLimit / time.Second)), Absolute: v.session.made.Add(absoluteLimit).UTC().Format("15:04 UTC")}
	for i, r := range v.session.roles {
		if i > 0 {
			p.Roles += ", "
		}
		p.Roles += r
	}
	v.show("user", "Current user", p)
}
