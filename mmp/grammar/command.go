// Package grammar declares commands once and derives everything from the declaration: the parser with its error
// lines, help, "?", tab completion, the role check, the masking of secrets and the reference page in docs/.
//
// A [Command] is one form of a command, written as the reference prints it; a [Tree] is all of them together with
// the [Kind]s of their arguments. Nothing here keeps state or touches the machine: a tree is built once, is read by
// any number of sessions at a time, and gives the same answer to the same line. A line comes from outside, so its
// length and its characters are bounded before anything looks at it (see [Split]), and no line makes a tree panic.
package grammar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
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
	// Syntax is the form, its words separated by blanks:
	//
	//	add                   the word itself, typed in any case
	//	<host>                an argument; its name is also its kind
	//	<gateway:ipv4>        an argument with a name of its own
	//	<mtu:576..9000>       a whole number in a range; either end may be left out
	//	<role:(admin|audit)>  an argument that is one of these words
	//	(add|del)             one of these words, which [Call.Has] tells apart
	//	(<n:0..500>|none)     an argument or a word
	//	<file>…               an argument given once or more, always the last; see [Call.Rest]
	//	[ldap]                may be left out; a group holds any of the above and more groups
	//
	// A word that is in the syntax wins over an argument that could have the same value.
	// Example: "ipv4 <interface> route (add|del) <prefix:ipv4prefix>".
	Syntax string
	// Roles may run it; nil means every role.
	Roles []Role
	// Needs is what has to follow before the change takes effect, such as "reboot"; empty where it does at once.
	Needs string
	// Help is one line, without a full stop.
	Help string
	// Detail is for "help <command>" and the reference page: effects, limits, what needs a restart.
	Detail string
	// Joins says that the command does nothing but read the configuration and change it, whatever is in force meanwhile,
	// and asks nothing: lines of a script that wait one behind the other may then be one change, see [Joint].
	Joins bool
	// Run does it. An error's text is printed as one line and gives exit status 1.
	Run func(*Call) error
}

// Allows reports whether a role may run the command.
func (c *Command) Allows(role Role) bool {
	return c.Roles == nil || slices.Contains(c.Roles, role)
}

// Caller is who runs a command and how to talk to them.
type Caller struct {
	User string
	Role Role
	// Source is "serial console" or ip:port.
	Source string
	// Local is the address of this machine that the person has connected to; the zero value at a console.
	Local netip.Addr
	// Since is when the connection was made, by the clock that nobody sets; the zero value at a console.
	Since time.Time
	// Terminal asks questions; nil where nobody can answer.
	Terminal Terminal
}

// Terminal is the conversation with a person, or with a script that writes its answers to standard input.
type Terminal interface {
	// Ask prints the prompt and returns the line typed.
	Ask(ctx context.Context, prompt string) (string, error)
	// AskSecret does the same without echo.
	AskSecret(ctx context.Context, prompt string) (string, error)
}

// Joint is what several calls change together. Each call changes what the ones before have left, and nothing is in force
// or stored before Commit.
type Joint interface {
	// Commit stores and applies all of it, and returns what there is to tell beyond what the calls have printed. After an
	// error nothing has changed.
	Commit(ctx context.Context) (note string, err error)
}

// ErrAlone is what a call returns that cannot be part of a [Joint]: it has done nothing, and is to be made again by itself
// once the joint is in force.
var ErrAlone = errors.New("this has to be done by itself")

// ErrAborted is what a command returns whose question was not answered, or not by a capital Y.
var ErrAborted = errors.New("aborted, nothing was changed")

// Call is one run of a command.
type Call struct {
	// Context ends at Ctrl-C and when the session ends.
	Context context.Context
	Caller  *Caller
	// Words is the line as typed, unquoted.
	Words []string
	// Out takes what the command says; lines end with \n, a terminal's carriage returns are added on the way.
	Out io.Writer
	// Joint is what the call is part of, nil if it is made by itself; only commands that declare [Command.Joins] get one.
	Joint Joint

	tree *Tree
	args map[string]string
	rest []string
}

// NewCall makes a call without a parser, for the tests of a command: args maps the names of arguments to values,
// and words that were chosen to themselves.
func NewCall(ctx context.Context, caller *Caller, out io.Writer, args map[string]string, rest ...string) *Call {
	return &Call{Context: ctx, Caller: caller, Out: out, args: args, rest: rest}
}

// Tree returns the commands that this one is one of, for help.
func (c *Call) Tree() *Tree { return c.tree }

// Arg returns the argument of that name, "" if it was left out, the first value if it was given more than once.
func (c *Call) Arg(name string) string { return c.args[name] }

// Has reports whether an argument of that name was given, or that word was typed where the syntax has it in a
// choice or in brackets.
func (c *Call) Has(name string) bool {
	_, ok := c.args[name]
	return ok
}

// Rest returns the values of the argument that may be given more than once.
func (c *Call) Rest() []string { return c.rest }

// Int returns a number argument, 0 if it was left out. The parser has checked its range.
func (c *Call) Int(name string) int {
	n, _ := strconv.Atoi(c.args[name])
	return n
}

// Addr returns an address argument, the zero value if it was left out.
func (c *Call) Addr(name string) netip.Addr {
	a, _ := netip.ParseAddr(c.args[name])
	return a
}

// Prefix returns an address with its prefix length as typed (host bits are kept), the zero value if it was left out.
func (c *Call) Prefix(name string) netip.Prefix {
	p, _ := netip.ParsePrefix(c.args[name])
	return p
}

// Printf writes to Out. A write error is not reported: the session that cannot be written to ends Context.
func (c *Call) Printf(format string, a ...any) { fmt.Fprintf(c.Out, format, a...) }

// Confirm asks the question followed by "(Y/n)" and returns nil only for a capital Y; anything else, the end of the
// input included, is [ErrAborted].
func (c *Call) Confirm(question string) error {
	answer, err := c.Ask(question + " (Y/n) ")
	if err == nil && strings.TrimSpace(answer) != "Y" {
		err = ErrAborted
	}
	return err
}

// Ask prints the prompt and returns the line typed; the end of the input is [ErrAborted].
func (c *Call) Ask(prompt string) (string, error) {
	if c.Caller.Terminal == nil {
		return "", errors.New("this command asks a question and there is nobody to answer it")
	}
	return answered(c.Caller.Terminal.Ask(c.Context, prompt))
}

// AskSecret is Ask for what is neither echoed nor kept in the history.
func (c *Call) AskSecret(prompt string) (string, error) {
	if c.Caller.Terminal == nil {
		return "", errors.New("this command asks for a secret and there is nobody to answer it")
	}
	return answered(c.Caller.Terminal.AskSecret(c.Context, prompt))
}

// answered turns the end of the input into [ErrAborted].
func answered(answer string, err error) (string, error) {
	if errors.Is(err, io.EOF) {
		return "", ErrAborted
	}
	return answer, err
}
