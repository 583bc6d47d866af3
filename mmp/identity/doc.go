// Package identity asks others who somebody is: a directory by LDAP whether a password is right (guide 4.8), and the issuer of smart
// cards whether a certificate is one of its own, valid and not revoked (guide 15.1, 15.2).
//
// It is a process of its own, "mmp identity", since it parses what comes from the network: LDAP, OCSP and people's certificates. It runs
// as a user who owns nothing but a socket; it holds the password that the directory is searched by and the trusted certificates, and
// neither accounts nor hashes. Only the shell may ask it, and the kernel says who asks. It decides nothing about accounts: who may log
// in, when and from where is the shell's matter (package accounts).
//
// Nothing is kept but the settings, which PID 1 writes; a crash refuses the logins under way, and the next process, a tenth of a second
// later, knows all that this one did. While it does not answer, and while a directory or an OCSP responder does not, who depends on them
// is refused: there is no cache of passwords and none of certificates.
//
// Sources: RFC 4511 to 4515 (LDAP), RFC 5280 (certificates), RFC 6960 (OCSP).
package identity

import (
	"errors"
	"net/http"
)

// SocketPath is where it answers on the appliance.
const SocketPath = "/run/rotunda/identity/identity.sock"

// What [Client] returns when somebody is not who they say. The text of what wraps them is for the log and for administrators, never for
// the far end.
var (
	// ErrWrong: the directory, or the issuer of cards, says no.
	ErrWrong = errors.New("not vouched for")
	// ErrUnavailable: there was nobody to ask.
	ErrUnavailable = errors.New("nobody can be asked")
)

// credentials are the body of /password and /test.
type credentials struct {
	User     string `json:"user"`
	Password string `json:"password,omitempty"`
}

// presented is the body of /certificate: certificates in DER, that of the person first.
type presented struct {
	Chain [][]byte `json:"chain"`
}

// Holder is whose a certificate is.
type Holder struct {
	// Names are those that its account may have, the best first (see [names]).
	Names []string `json:"names"`
	// Title is the certificate for the log.
	Title string `json:"title"`
}

// Step is one of [Client.Test].
type Step struct {
	// Done says what was tried, Error what was wrong with it, empty if nothing.
	Done  string `json:"done"`
	Error string `json:"error,omitempty"`
}

// report is the answer of /test.
type report struct {
	Steps []Step `json:"steps"`
}

// failure is an answer that is no success.
type failure struct {
	Error string `json:"error"`
}

// maxBody bounds requests and answers: a chain of eight certificates with RSA 4096 in base64.
const maxBody = 64 << 10

// maxChain is how many certificates a person may present.
const maxChain = 8

// statusOf is how an error travels.
func statusOf(err error) int {
	if errors.Is(err, ErrWrong) {
		return http.StatusUnauthorized
	}
	return http.StatusServiceUnavailable
}
