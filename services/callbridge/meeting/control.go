package meeting

import "context"

// Control is what can be asked of meetings from outside: by the API, by key tones, by the events' clients. *Calls is one. Lists are in the
// order in which things began. Values are by schema name, as package api parsed them, and "" unsets.
type Control interface {
	Calls() []CallInfo
	Call(id ID) (CallInfo, bool)
	// Participants and Legs of a call, of all calls for the zero ID.
	Participants(call ID) []ParticipantInfo
	Participant(id ID) (ParticipantInfo, bool)
	Legs(call ID) []LegInfo
	Leg(id ID) (LegInfo, bool)

	// CreateCall begins the meeting of a space, or returns the one that goes on; without coSpace one with a name alone.
	CreateCall(ctx context.Context, values map[string]string) (ID, error)
	UpdateCall(ctx context.Context, id ID, values map[string]string) error
	EndCall(ctx context.Context, id ID, why Reason) error
	// AddParticipant calls somebody into a call, or moves somebody here (movedParticipant).
	AddParticipant(ctx context.Context, call ID, values map[string]string) (ID, error)
	// AddLeg calls somebody into a call as a further leg of a participant, of a new one for the zero ID.
	AddLeg(ctx context.Context, call, participant ID, values map[string]string) (ID, error)
	UpdateParticipant(ctx context.Context, id ID, values map[string]string) error
	UpdateLeg(ctx context.Context, id ID, values map[string]string) error
	// UpdateAll changes the participants of a call that keep says yes to.
	UpdateAll(ctx context.Context, call ID, keep func(ParticipantInfo) bool, values map[string]string) error
	DropParticipant(ctx context.Context, id ID, why Reason) error
	DropLeg(ctx context.Context, id ID, why Reason) error
	Camera(ctx context.Context, leg ID, pan, tilt, zoom, focus string) error
	KeyFrame(ctx context.Context, leg ID) error

	// Subscribe hears changes from now on, in order, each after the methods above show it. f must not wait. The first change that f
	// hears is number n+1.
	Subscribe(f func(Change)) (n uint64, cancel func())
}
