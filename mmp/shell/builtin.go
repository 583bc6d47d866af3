package shell

import (
	"io"

	"rotunda/mmp/grammar"
)

// Builtins are the commands that are about the session itself.
func Builtins() []grammar.Command {
	leave := func(*grammar.Call) error { return errLeave }
	return []grammar.Command{
		{
			Syntax: "help [<command:word>…]",
			Help:   "List the commands, or the forms of one command",
			Run: func(c *grammar.Call) error {
				return c.Tree().Help(c.Out, c.Caller.Role, c.Rest())
			},
		},
		{
			Syntax: "?",
			Help:   "Show what may come next, also within a line",
			Run: func(c *grammar.Call) error {
				_, err := io.WriteString(c.Out, hints(c.Tree().Next(c.Caller, "")))
				return err
			},
		},
		{
			Syntax: "whoami",
			Help:   "Show who is logged in here, with which role and from where",
			Run: func(c *grammar.Call) error {
				c.Printf("User   : %s\nRole   : %s\nSource : %s\n", c.Caller.User, c.Caller.Role, c.Caller.Source)
				return nil
			},
		},
		{Syntax: "exit", Help: "End the session", Run: leave},
		{Syntax: "logout", Help: "End the session", Run: leave},
	}
}
