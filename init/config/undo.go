package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// ConfirmWithin is how long an administrator has to come in anew and confirm a change that might have cut everybody off.
const ConfirmWithin = 2 * time.Minute

// Undo is what an unconfirmed change is taken back to: what the document said before it of how this machine is reached. Other
// settings that were changed meanwhile stay.
type Undo struct {
	// Set is the folder of the data that the change belongs to. A backup that is rolled back to has a folder of its own, and an
	// undo of the one before does not concern it.
	Set string `json:"set"`
	// From is who made the change, as the audit log names a session.
	From     string    `json:"from"`
	Deadline time.Time `json:"deadline"`

	DefaultInterface string               `json:"defaultInterface"`
	Interfaces       map[string]Interface `json:"interfaces"`
	Firewall         Firewalls            `json:"firewall,omitempty"`
}

// NewUndo remembers the document before a change.
func NewUndo(before *Document, set, from string, now time.Time) *Undo {
	return &Undo{Set: set, From: from, Deadline: now.Add(ConfirmWithin), DefaultInterface: before.DefaultInterface,
		Interfaces: maps.Clone(before.Interfaces), Firewall: maps.Clone(before.Firewall)}
}

// Left is how long there is to confirm; 0 if the time is over. A clock that was set back since gives no more time than there was.
func (u *Undo) Left(now time.Time) time.Duration {
	return max(0, min(ConfirmWithin, u.Deadline.Sub(now)))
}

// Applied is the document without the change. What else may have been built upon it must not keep the machine out of reach, so that if
// the whole is not valid, the firewall alone goes back.
func (u *Undo) Applied(doc *Document) (*Document, error) {
	back := *doc
	back.DefaultInterface, back.Interfaces, back.Firewall = u.DefaultInterface, u.Interfaces, u.Firewall
	whole := back.Validate()
	if whole == nil {
		return &back, nil
	}
	back = *doc
	back.Firewall = u.Firewall
	if err := back.Validate(); err != nil {
		return nil, fmt.Errorf("%w; %w", whole, err)
	}
	return &back, nil
}

// DecodeUndo reads what was stored.
func DecodeUndo(text []byte) (*Undo, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("more than %d bytes", MaxSize)
	}
	var u Undo
	if err := json.Unmarshal(text, &u); err != nil {
		return nil, err
	}
	return &u, nil
}
