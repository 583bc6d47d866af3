package layout

import "rotunda/services/media/control"

// Participant is one member of a conference who may be shown.
type Participant struct {
	// Source is the worker's number for the participant's pictures, never 0.
	Source uint32
	// Leg is the name that [control.View] pins by.
	Leg        string
	Name       string
	Importance int
	// Video says that the participant has a main picture at all. CameraOff: it is muted or none has come yet, so that
	// the pane shows the name.
	Video     bool
	CameraOff bool
	// Muted is the microphone.
	Muted bool
}

// Presentation is the second picture of a conference; the zero value is none.
type Presentation struct {
	// Source is the number of its pictures, another one than the presenter's.
	Source uint32
	// Presenter is the participant who sends it, and who is not shown it: he has it before him.
	Presenter uint32
	Name      string
}

// Room is a conference as far as pictures of it are concerned.
type Room struct {
	// Participants in the order of joining.
	Participants []Participant
	// Speakers are those who have spoken, the dominant one first, then who was before him, and so on.
	Speakers []uint32
	// Count is what the participant counter shows; 0 means len(Participants).
	Count                int
	Message              control.Message
	Recording, Streaming bool
	Presentation         Presentation
}

// Who may be pinned or looked up: nil if the leg is not there.
func (r *Room) leg(id string) *Participant {
	if id == "" {
		return nil
	}
	for i := range r.Participants {
		if r.Participants[i].Leg == id {
			return &r.Participants[i]
		}
	}
	return nil
}

func (r *Room) source(id uint32) *Participant {
	for i := range r.Participants {
		if r.Participants[i].Source == id {
			return &r.Participants[i]
		}
	}
	return nil
}

func (r *Room) count() int {
	if r.Count > 0 {
		return r.Count
	}
	return len(r.Participants)
}
