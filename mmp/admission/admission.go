// Package admission lets services ask whether a name and a password are those of an account of the shell: the API and the admin
// pages know the same users as the MMP, and no service ever sees a password's hash.
//
// The shell serves HTTP and JSON on a unix socket. The kernel says who asks, and only the users of services that were named may.
// Everything that may keep somebody out of the shell counts here as well: lock-outs after wrong passwords, duty hours, idle
// days, allowed hosts, and a password that has to be changed first. What the far end is told never says which of them it
// was, except for the last, which only somebody who knows the password learns. The log has the reason.
//
// A service that keeps people signed in tells the shell of each session ([Client.Keep]): the session is listed as one of the account, and
// ends when an administrator ends it or the account is deleted, as one by SSH does.
//
// While the shell restarts, which takes about a second, nobody is admitted: [Client.Check] returns [ErrUnavailable]. It knows no session
// then, and takes those that services keep on telling of.
package admission

import (
	"errors"
	"net/netip"
	"time"
)

// SocketPath is where the shell answers on the appliance.
const SocketPath = "/run/rotunda/mmp/admission.sock"

// Question asks about one login.
type Question struct {
	User     string `json:"user"`
	Password string `json:"password,omitempty"`
	// Certificates are those that the far end has shown in a TLS handshake, which proves that it has the key of the first, in DER. With
	// them there is neither a name nor a password: whose they are is the answer (guide 15.1).
	Certificates [][]byte `json:"certificates,omitempty"`
	// Source is where the person or script is: lock-outs and allowed hosts go by it.
	Source netip.AddrPort `json:"source"`
	// Service is for the log: "API" or "Web Admin". Roles are those that it is for; nobody else logs in by its question. Scripts says that
	// those who come by it log in anew with every request.
	Service string   `json:"service"`
	Roles   []string `json:"roles,omitempty"`
	Scripts bool     `json:"scripts,omitempty"`
}

// Account is who was admitted.
type Account struct {
	User string `json:"user"`
	// Role is admin, crypto, audit, appadmin or api.
	Role string `json:"role"`
}

// Session is one that a service keeps for somebody who was admitted.
type Session struct {
	// ID is the service's name for it, which nobody can guess.
	ID   string `json:"id"`
	User string `json:"user"`
	// Account is what [Client.Keep] returned for this session before, zero the first time: another account of the same name does not keep it.
	Account time.Time      `json:"account,omitzero"`
	Source  netip.AddrPort `json:"source"`
}

// What [Client.Check] and [Client.Keep] return when nobody is admitted.
var (
	// ErrRefused: the name or the password is wrong, or the account may not be used from there or now.
	ErrRefused = errors.New("wrong user name or password")
	// ErrPassword: both are right, but the password has to be changed at the management shell first.
	ErrPassword = errors.New("the password has to be changed first: log in to the management shell by SSH")
	// ErrCertificate: the certificate is nobody's here, not valid, or revoked.
	ErrCertificate = errors.New("this certificate does not open an account here")
	// ErrEnded: an administrator has ended the session, or the account is not there any more.
	ErrEnded = errors.New("the session was ended")
	// ErrUnavailable: nobody answers.
	ErrUnavailable = errors.New("logins cannot be checked at the moment: try again in a few seconds")
)

// refusal is the answer with status 401.
type refusal struct {
	Reason string `json:"reason"`
}

// The reasons of a refusal.
const (
	refused  = "refused"
	password = "password"
)
