// Package grammar declares commands once and derives everything from the declaration: the parser with its error
// lines, help, "?", tab completion, the role check and the reference page in docs/.
package grammar

import (
	"context"
	"io"
)

// Role is one of the five kinds of account.
type Role string

// The roles of the reference.
const (
	Admin    Role = "admin"
	Crypto   Role = "crypto"
	Audit    Role = "audit"
	AppAdmin Role = "appadmin"
	API      Role = "api"
)

// Roles lists all roles in the order of the reference.
var Roles = []Role{Admin, Crypto, Audit, AppAdmin, API}

// Command is one form of a command. Several forms share leading words; together they make the tree.
type Command struct {
	// Syntax is the form as the reference prints it: literal words, <name:kind> or <kind> for an argument,
	// (x|y) for a choice, [ … ] around a tail that may be left out, and <name:kind>… for the rest of the line.
	// Example: "ipv4 <interface> route (add|del) <prefix>".
	Syntax string
	// Roles may run it; nil means every role.
	Roles []Role
	// Help is one line, without a full stop.
	Help string
	// Detail is for "help <command>" and the reference page: effects, limits, what needs a restart.
	Detail string
	// Run does it. An error's text is printed as one line and gives exit status 1.
	Run func(*Call) error
}

// Caller is who runs a command and how to talk to them.
type Caller struct {
	User string
	Role Role
	// Source is "serial console" or ip:port.
	Source string
	// Terminal asks questions; nil for a one-shot command without standard input.
	Terminal Terminal
}

// Terminal is the conversation with a person.
type Terminal interface {
	// Ask prints the prompt and returns the line typed.
	Ask(ctx context.Context, prompt string) (string, error)
	// AskSecret does the same without echo.
	AskSecret(ctx context.Context, prompt string) (string, error)
}

// Call is one run of a command.
type Call struct {
	// Context ends at Ctrl-C and when the session ends.
	Context context.Context
	Caller  *Caller
	// Words is the line as typed, unquoted.
	Words []string
	Out   io.Writer
	args  map[string]string
	rest  []string
}
