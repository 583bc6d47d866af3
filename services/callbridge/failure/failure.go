// Package failure has the errors that clients of the API see: codes such as coSpaceDoesNotExist, and parameters that are wrong
// (reference section 1). Rules on objects return them; package api writes them into failureDetails. Every other error is our own
// fault: the client sees 500 and an event number, and the log the rest.
package failure

import "fmt"

// Code is a failure by its name. Whether a path or a parameter named what does not exist, and so 404 or 400, is package
// api's to know.
type Code string

func (c Code) Error() string { return string(c) }

// The codes that belong to no single type of object; the others are in package schema's tables.
const (
	InvalidOperation   Code = "invalidOperation"
	InvalidVersion     Code = "invalidVersion"
	UnrecognizedObject Code = "unrecognizedObject"
	DatabaseNotReady   Code = "databaseNotReady"
)

// Parameter is a parameterError: which parameter, and what is wrong with it in the one word that clients compare.
type Parameter struct {
	Name string
	// Fault is one of the words below.
	Fault string
	// Why is a sentence for people: what is wrong and what would be right. It is shown beside the field on our pages and as the
	// attribute "detail"; clients that know only parameter and error ignore it.
	Why string
}

func (p *Parameter) Error() string {
	return fmt.Sprintf("parameter %s: %s: %s", p.Name, p.Fault, p.Why)
}

// What can be wrong with a parameter.
const (
	Invalid   = "invalidValue"
	Missing   = "missing"
	Duplicate = "duplicate"
	TooLong   = "tooLong"
)
