package commands

import (
	"errors"
	"fmt"

	"rotunda/mmp/grammar"
)

// Scripts run twice, so that all commands that add or remove answer a second time alike: adding what is there just so
// succeeds and says that it was there; adding what is there with another value, or removing what is not there, is an error
// that names what is there. A test has a row for every such command.

// already is the end of a change that finds what it was to add.
type already string

func (a already) Error() string { return string(a) }

// isThere ends a change that finds what it was to add; see [mayBeThere].
func isThere(format string, a ...any) error { return already(fmt.Sprintf(format, a...)) }

// mayBeThere makes a success of what [isThere] has ended.
func mayBeThere(c *grammar.Call, err error) error {
	var a already
	if !errors.As(err, &a) {
		return err
	}
	c.Printf("%s\n", printable(string(a)))
	return nil
}

// listOf names the values of a list, for a message about one that is missing.
func listOf[V any](values []V, name func(V) string) string {
	names := make([]string, len(values))
	for n, v := range values {
		names[n] = name(v)
	}
	return grammar.Few(names)
}
