package meeting

// Kind says what a [Change] is about.
type Kind uint8

// The kinds. Of one event, changes come from the outside in when something begins (call, participant, leg) and from the inside out when
// it ends.
const (
	CallBegan Kind = iota + 1
	CallChanged
	CallOver
	ParticipantBegan
	ParticipantChanged
	ParticipantOver
	LegBegan
	LegChanged
	LegOver
	RecordingBegan // File, URL: what is recorded where; Leg is the leg that records
	RecordingOver
	StreamingBegan
	StreamingOver
)

// Change is one thing that happened. Before is nil when something began; After always shows the last state. Of the three pairs the one
// that Kind speaks of is set.
type Change struct {
	Kind Kind
	// Number counts changes from 1 without a hole.
	Number                         uint64
	CallBefore, Call               *CallInfo
	ParticipantBefore, Participant *ParticipantInfo
	LegBefore, Leg                 *LegInfo
	// Sink names a recording or a stream: its ID, where it goes, and by which server.
	Sink struct {
		ID        ID
		Call, Leg ID
		Path, URL string
		Server    string
	}
}
