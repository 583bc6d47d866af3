package store

import (
	"errors"
	"fmt"

	"rotunda/services/callbridge/schema"
)

// ErrUnavailable is that of writes while the database does not answer. Whether the write happened is not known.
var ErrUnavailable = errors.New("the database does not answer")

// Conflict says that a value is taken.
type Conflict struct {
	Unique schema.Unique
	// Field and Value are those of the object that was put.
	Field, Value string
	// With is the object that has the value.
	With *Record
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("%s is taken in %s by %s", c.Field, c.Unique.Name, c.With)
}

// Gone says that a reference, or a parent, names nothing.
type Gone struct {
	// Object is the type of what is not there, ID what the reference says, Field its name; "" for a parent and for an object
	// that is itself gone.
	Object *schema.Object
	ID     string
	Field  string
}

func (g *Gone) Error() string {
	if g.Field == "" {
		return fmt.Sprintf("%s %s does not exist", g.Object.Name, g.ID)
	}
	return fmt.Sprintf("%s names the %s %s, which does not exist", g.Field, g.Object.Name, g.ID)
}

// InUse says that an object cannot be deleted because another cannot be without it.
type InUse struct{ Record, By *Record }

func (u *InUse) Error() string { return fmt.Sprintf("%s is in use by %s", u.Record, u.By) }

// TooMany says that there are as many objects of a type as there may be.
type TooMany struct{ Object *schema.Object }

func (m *TooMany) Error() string {
	return fmt.Sprintf("there are %d %s already, the most", m.Object.Most, m.Object.Plural)
}
