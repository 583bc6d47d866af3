package control

import (
	"context"
	"errors"
	"fmt"
)

// Version is the version of the protocol. A peer of another version is refused with [CodeVersion].
const Version = 1

// Service is what a client may ask. *[Client] implements it over a connection, the manager by passing on to the right
// worker, a worker by doing it. All calls but SendKeys may be repeated: the second does nothing more than the first.
// Objects belong to the owner who put them; ids are per owner, and two owners do not meet.
type Service interface {
	// PutConference makes or changes a conference.
	PutConference(ctx context.Context, c Conference) error
	// DeleteConference deletes a conference. Its legs stay, each alone. One that is not there is no error.
	DeleteConference(ctx context.Context, id string) error
	// PutLeg makes or changes a leg and answers with the local half. A leg may name a conference that was not put
	// yet; it is then one with the zero settings.
	PutLeg(ctx context.Context, l Leg) (LegState, error)
	// DeleteLeg deletes a leg, closes its ports and completes its sinks. One that is not there is no error.
	DeleteLeg(ctx context.Context, id string) error
	// Play starts a prompt, StopPlay stops it; [EventPlayed] follows in both cases.
	Play(ctx context.Context, p Play) error
	StopPlay(ctx context.Context, id string) error
	// SendKeys sends key tones (0-9*#A-D, "," is a pause of 500 ms) to the far end.
	SendKeys(ctx context.Context, leg, keys string) error
	// KeyFrame makes the next picture that the leg is sent, of "main" or "presentation", a key frame (guide chapter 16.3).
	KeyFrame(ctx context.Context, leg, stream string) error
	// Stats returns the figures of these legs, of all of the owner's legs without any; unknown ones are left out.
	Stats(ctx context.Context, legs []string) ([]LegStats, error)
	// Status returns the media modules; a worker that serves a client itself answers with its module and only itself in it.
	Status(ctx context.Context) ([]Module, error)
	// Sync deletes everything of this owner that is not listed, and raises [EventLost] for what is listed and not there. A
	// conference that a listed leg is in stays.
	Sync(ctx context.Context, legs, conferences []string) error
}

// Handler is what a [Dispatcher] serves: the manager, or a worker.
type Handler interface {
	// Owner returns the service that sees one owner's objects. It is called for every request, from many goroutines; there
	// is nothing to open or close. Requests about one object of one owner come one after the other, others at the same time.
	// An owner who went and did not come back in time is given Sync(ctx, nil, nil).
	Owner(owner string) Service
	// Holdings lists what is held, for a new manager to learn it.
	Holdings() []Holding
}

// Holding is what a worker holds for one owner.
type Holding struct {
	Owner       string        `json:"owner"`
	Legs        []HeldLeg     `json:"legs,omitempty"`
	Conferences []Conference  `json:"conferences,omitempty"`
	Grace       *Milliseconds `json:"grace,omitempty"`
}

// HeldLeg is a leg as far as placement needs it. Units are what [Estimate] made of it.
type HeldLeg struct {
	ID         string `json:"id"`
	Conference string `json:"conference,omitempty"`
	Units      int    `json:"units"`
	// Guest is as in [LegState].
	Guest *Guest `json:"guest,omitempty"`
}

// Code is why a request was refused.
type Code string

// The codes.
const (
	// CodeCapacity: no worker has the load units left.
	CodeCapacity Code = "capacity"
	// CodeUnknown: the object, or the request itself, is not known.
	CodeUnknown Code = "unknown"
	// CodeInvalid: the request contradicts itself or the limits.
	CodeInvalid Code = "invalid"
	// CodeLost: the connection or the worker went away before the answer; put again.
	CodeLost Code = "lost"
	// CodeTimeout: no answer in time.
	CodeTimeout Code = "timeout"
	// CodeVersion: the peer speaks another version.
	CodeVersion Code = "version"
	// CodeInternal: the server's own fault; the text says which.
	CodeInternal Code = "internal"
)

// Error is a refusal as it goes over the wire. A Handler returns one (or wraps one) to choose the code; any other error
// becomes [CodeInternal].
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text + " (" + string(e.Code) + ")" }

// Errorf makes an [Error].
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Errorf(format, args...).Error()}
}

// CodeOf returns the code of an error, "" for nil and CodeInternal for one without.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
