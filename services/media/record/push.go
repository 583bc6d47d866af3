package record

import (
	"crypto/x509"
	"errors"
	"time"
)

// PushOptions of a push.
type PushOptions struct {
	Options
	// Roots verify the server of an rtmps URL; nil means the system's.
	Roots *x509.CertPool
	// Unverified takes any certificate.
	Unverified bool
	// State is told of each change, with words for a log.
	State func(state State, text string)
}

// State of a push.
type State string

// The states.
const (
	Connecting   State = "connecting"
	Open         State = "open"
	Reconnecting State = "reconnecting"
	Failed       State = "failed"
	Closed       State = "closed"
)

// Push is a stream to an RTMP server.
type Push struct{}

// Dial begins a push.
func Dial(url string, o PushOptions) (*Push, error) { return nil, errors.ErrUnsupported }

// Video adds an access unit; it never blocks.
func (p *Push) Video(unit []byte, timestamp time.Duration, key bool) error {
	return errors.ErrUnsupported
}

// Audio adds a frame; it never blocks.
func (p *Push) Audio(frame []byte, timestamp time.Duration) error { return errors.ErrUnsupported }

// Stats returns the figures so far.
func (p *Push) Stats() Stats { return Stats{} }

// Close ends the stream.
func (p *Push) Close() error { return nil }
