package sip

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"
)

// Transport is what carries messages.
type Transport string

// The transports.
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
)

// Listen is one listening socket.
type Listen struct {
	Transport Transport
	Address   netip.AddrPort // port 0: one that the kernel chooses
}

// Target is where a request can be sent: one entry of what a look-up (RFC 3263) found.
type Target struct {
	Transport Transport
	Address   netip.AddrPort
	// Host is the name that was looked up: it is asked for by TLS (SNI) and its certificate must have it. Empty for a bare address.
	Host string
}

// UDPMode is "UDP signaling for SIP" of the Call settings.
type UDPMode uint8

// The modes.
const (
	UDPEnabled  UDPMode = iota // on every address ("enabled, multi address")
	UDPSingle                  // on the first address that is not loopback, and on loopback ("enabled, single address")
	UDPDisabled                // on none, and not for outgoing calls
)

// Options are an [Agent]'s.
type Options struct {
	// Listen are the sockets to begin with. Loopback should be one of them, always.
	Listen []Listen
	// TLS is asked for every incoming connection, so that certificates change without a restart. nil, or an answer of nil: no TLS. Whether and how
	// clients' certificates are verified is said by the configuration (ClientAuth, VerifyConnection).
	TLS func() *tls.Config
	// DialTLS is the configuration of a connection to t. nil: that of TLS with t.Host as server name, verified by the system's roots or RootCAs. A
	// configuration that verifies by itself sets InsecureSkipVerify and VerifyConnection.
	DialTLS func(t Target) *tls.Config
	// Contact is host[:port] of our address as peers see it, for the local address that a request came in on or goes out from. nil, or "": that
	// address and our listening port.
	Contact func(t Transport, local netip.AddrPort) string
	// Advertise is the User-Agent and Server header; empty: none.
	Advertise string
	UDP       UDPMode
	// Targets finds where host is (package lookup). port 0 is none; ts are the transports that may be used, best first. nil: addresses only.
	Targets func(ctx context.Context, host string, port uint16, ts []Transport) ([]Target, error)
	// Reached hears how a target of a call did: nil when it answered; an error when it could not be reached, said nothing or 503, so that the next call
	// should go elsewhere (RFC 3263 4.3). It must not wait.
	Reached func(t Target, err error)
	// SessionExpires is the session interval we ask for (RFC 4028); 0: 30 minutes. MinSE is the shortest we take; 0: 90 s.
	SessionExpires, MinSE time.Duration
	Limits                Limits
	Log                   *slog.Logger
	// Trace hears of every message, in and out, with its exact bytes; it must not wait and must not keep Message. It can be changed by
	// [Agent.SetTrace].
	Trace  func(Trace)
	timers timers // of tests; zero: the usual ones
	// Keep notes a dialog that is up so that it outlives this process ([Agent.Bury]); forget takes that back. Neither may wait. nil: nothing is noted.
	Keep func(Remains) (forget func())
	// Incoming is a new call. It must call [Call.Use] before it returns. 100 was sent, or will be when nothing else was within 200 ms.
	Incoming func(*Call)
}

// Trace is one message on the wire.
type Trace struct {
	At            time.Time
	In            bool
	Transport     Transport
	Local, Remote netip.AddrPort
	Message       []byte
}

// Limits bound what others can make us do. A zero field has the default that its comment names.
type Limits struct {
	// Requests outside of calls that one source (an IPv4 address or an IPv6 /64) may send in a second, and at once. 100 and 400. Sources that have
	// acknowledged an answer of ours may send ten times as many. What is over is answered 503 once in a second and dropped otherwise.
	Rate, Burst int
	// Sources that are remembered; the one unheard of for longest is forgotten. 8192.
	Sources int
	// Connections at once from one source and from all. 64 and 4096.
	SourceConnections, Connections int
	// Header and Body are the most bytes of a message's head and of its body. 16 KiB and 64 KiB. What is longer gets 513.
	Header, Body int
	// Arrival is how long a message may take to come in over a stream, and a connection to bring its first one (or a TLS handshake to be done). 10 s.
	Arrival time.Duration
	// Idle is how long a connection without calls and without a sign of life stays open. 10 min.
	Idle time.Duration
	// Dialogs at once, and those of one source that are not answered yet. 5000 and 500.
	Dialogs, SourceEarly int
	// Transactions at once: 20000. UDP sources that have not shown that they get our answers share a quarter of them.
	Transactions int
	// Connect is how long to wait for a TCP connection or a TLS handshake before the next target is tried. 5 s.
	Connect time.Duration
}

// Header is one header field.
type Header struct{ Name, Value string }

// Party is one end of a call.
type Party struct {
	Name string // display name, unquoted
	URI  string // with scheme, without parameters of the header
}

// Handler hears what comes of a [Call]. Its methods are called one at a time, in order, under no lock, and may wait: only their own call waits with
// them. Info and Referred answer with a status code.
type Handler interface {
	// Ringing: 18x without a session description.
	Ringing(code int)
	// Answered: the far end's answer to our offer, by 2xx, reliable 18x, 200 to a re-INVITE or an UPDATE, or ACK of a late offer. nil: none came. It comes
	// unasked when the far end answers a refresh of the session, which offers again what we said last, otherwise than before; and once more when a
	// branch of a fork answered reliably and another one took the call.
	Answered(body []byte)
	// Early: an answer in an unreliable 18x: media may come, the true answer is still to come.
	Early(body []byte)
	// Confirmed: the dialog is up (2xx and ACK).
	Confirmed()
	// Offered: an offer of the far end by re-INVITE, UPDATE, or as its answer to a call of ours without an offer. nil: the far end wants ours.
	// [Call.AnswerOffer] or [Call.RefuseOffer] follows.
	Offered(body []byte)
	// OfferRefused: our Reoffer came to nothing; what was agreed before goes on. 408 for no answer.
	OfferRefused(code int)
	// Info is an INFO request (RFC 6086); 200, 415 or 469 are usual.
	Info(contentType string, body []byte) (code int)
	// Referred: the far end asks to call another address, and there to take the place of a dialog (replaces is the value of a Replaces header, or
	// ""). 202 says that it is tried; how it goes on is told to the far end by [Call.ReferProgress].
	Referred(to string, replaces string) (code int)
	// Replaced: an INVITE with Replaces (RFC 3891) asks for this dialog's place. [Call.Use] of by comes first, then Accept or Reject. When by is
	// accepted, this call ends on the wire and nothing more is told of it; when by ends before, this call goes on.
	Replaced(by *Call)
	// Ended is the last call, exactly once.
	Ended(End)
}

// Referrer is a [Handler] that wants to know what comes of [Call.Refer]: status codes of the new call as the far end tells them; 2xx and above is
// the last. 408 when nothing comes.
type Referrer interface{ ReferDone(code int) }

// End is why a call ended.
type End struct {
	// Remote says that the far end did it.
	Remote bool
	// Code is the final status of an INVITE that did not succeed; 0 otherwise.
	Code int
	// Reason is the Reason header's text or the status line's.
	Reason string
	// Cause is the Q.850 or SIP cause of the Reason header; 0 for none.
	Cause int
	// Timeout: no answer, no ACK, or the session expired. Unreachable: no target could be reached, or none was found (Lookup). Busy: 486 or 600.
	// Canceled: the far end gave up before we answered. RingTimeout: RingFor was over.
	Timeout, Unreachable, Lookup, Busy, Canceled, RingTimeout bool
	// Err is the last error of the network, for logs.
	Err error
}

// Dial is an outgoing call.
type Dial struct {
	// To is the request URI, From ours; both with scheme.
	To, From string
	FromName string
	// Contact is the domain of our contact (outbound rule's local contact domain); "": [Options.Contact].
	Contact string
	// Next are the targets, in order. Empty: Host (with Port, 0: by look-up) is looked up with Transports, the domain of To when Host is empty.
	Next       []Target
	Host       string
	Port       uint16
	Transports []Transport
	// Offer is our session description; nil: the far end is to make the offer, which [Handler.Offered] is told.
	Offer   []byte
	Headers []Header
	// User and Password are given when a proxy or the far end asks (401, 407).
	User, Password string
	// RingFor ends the call when it is not answered by then; 0: 3 min, which is a proxy's limit too (timer C).
	RingFor time.Duration
	// MaxForwards is one less than [Call.MaxForwards] of the call that this one is made for, and none is made when that is 1. 0: 70. Below 0 the call ends
	// at once with 483.
	MaxForwards int
	// Redirects is how many contacts of 300, 301 and 302 answers are called, in all; 0: none, and the answer is the end of the call. They are called by the
	// transports of Next or Transports, by TLS alone after an answer that came by TLS, and never at loopback or group addresses unless the answer came from
	// there. Credentials are not given to a host other than that of To.
	Redirects int
	// Follow says whether an answer that came from one address may have us call another one; nil: it may. It must not wait.
	Follow func(from netip.AddrPort, to Target) bool
	// Replaces asks the far end to put this call in the place of another (value of the header, RFC 3891).
	Replaces string
}
