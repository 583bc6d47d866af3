package live

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rotunda/services/callbridge/meeting"
)

const (
	// maxLines are kept of one meeting: the oldest go. A line has about 100 bytes.
	maxLines = 100
	// maxEnded meetings stay known after their end, for somebody who asks why: the one that ended first goes.
	maxEnded = 200
)

// history is what changed last in each meeting, for diagnostics.
type history struct {
	now func() time.Time

	mu    sync.Mutex
	calls map[meeting.ID]*chronicle
	ended []meeting.ID // in the order in which they ended
}

// chronicle is that of one meeting.
type chronicle struct {
	call  meeting.CallInfo
	lines []string
	over  bool
}

func newHistory(now func() time.Time) *history {
	return &history{now: now, calls: map[meeting.ID]*chronicle{}}
}

// note takes a change down. It does not wait.
func (h *history) note(c meeting.Change) {
	call, text := sentence(c)
	if call == (meeting.ID{}) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.calls[call]
	if k == nil {
		if c.Kind != meeting.CallBegan {
			return // what is told after its end
		}
		k = &chronicle{}
		h.calls[call] = k
	}
	if c.Call != nil {
		k.call = *c.Call
	}
	if text != "" {
		if len(k.lines) == maxLines {
			k.lines = slices.Delete(k.lines, 0, 1)
		}
		k.lines = append(k.lines, h.now().UTC().Format("15:04:05.000")+" "+text)
	}
	if c.Kind == meeting.CallOver && !k.over {
		k.over = true
		h.ended = append(h.ended, call)
		if len(h.ended) > maxEnded {
			delete(h.calls, h.ended[0])
			h.ended = slices.Delete(h.ended, 0, 1)
		}
	}
}

// of returns what is known of a call.
func (h *history) of(call meeting.ID) (info meeting.CallInfo, lines []string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.calls[call]
	if k == nil {
		return info, nil, false
	}
	return k.call, slices.Clone(k.lines), true
}

// last returns the meeting of a space: the one that goes on, or the one that ended last.
func (h *history) last(space meeting.ID) (found meeting.ID, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, k := range h.calls {
		if k.call.Space == space && !k.over {
			return id, true
		}
	}
	for _, id := range slices.Backward(h.ended) {
		if h.calls[id].call.Space == space {
			return id, true
		}
	}
	return found, false
}

// sentence says which call a change is about, and what changed; "" for what nobody looks for.
func sentence(c meeting.Change) (meeting.ID, string) {
	switch c.Kind {
	case meeting.CallBegan:
		return c.Call.ID, "the call began"
	case meeting.CallOver:
		return c.Call.ID, "the call ended"
	case meeting.CallChanged:
		return c.Call.ID, callDifference(c.CallBefore, c.Call)
	case meeting.ParticipantBegan:
		return c.Participant.Call, fmt.Sprintf("participant %s came, %q", c.Participant.ID, c.Participant.Name)
	case meeting.ParticipantChanged:
		if d := participantDifference(c.ParticipantBefore, c.Participant); d != "" {
			return c.Participant.Call, fmt.Sprintf("participant %s: %s", c.Participant.ID, d)
		}
		return c.Participant.Call, ""
	case meeting.ParticipantOver:
		return c.Participant.Call, fmt.Sprintf("participant %s left", c.Participant.ID)
	case meeting.LegBegan:
		return c.Leg.Call, fmt.Sprintf("call leg %s began, %s, %q", c.Leg.ID, c.Leg.Direction, c.Leg.Remote)
	case meeting.LegChanged:
		if d := legDifference(c.LegBefore, c.Leg); d != "" {
			return c.Leg.Call, fmt.Sprintf("call leg %s: %s", c.Leg.ID, d)
		}
		return c.Leg.Call, ""
	case meeting.LegOver:
		by := "by us"
		if c.Leg.EndedByOther {
			by = "by the far end"
		}
		return c.Leg.Call, fmt.Sprintf("call leg %s ended: %s, %s", c.Leg.ID, c.Leg.End, by)
	case meeting.RecordingBegan:
		return c.Sink.Call, "recording began at " + c.Sink.Server
	case meeting.RecordingOver:
		return c.Sink.Call, "recording ended"
	case meeting.StreamingBegan:
		return c.Sink.Call, "streaming began at " + c.Sink.Server
	case meeting.StreamingOver:
		return c.Sink.Call, "streaming ended"
	}
	return meeting.ID{}, ""
}

// differences gathers what changed.
type differences []string

func differ[T comparable](d *differences, name string, before, after T) {
	if before != after {
		*d = append(*d, fmt.Sprintf("%s %v", name, after))
	}
}

func (d differences) String() string { return strings.Join(d, ", ") }

func callDifference(a, b *meeting.CallInfo) string {
	var d differences
	differ(&d, "name", a.Name, b.Name)
	differ(&d, "locked", a.Locked, b.Locked)
	differ(&d, "recording", a.RecordingStatus, b.RecordingStatus)
	differ(&d, "streaming", a.StreamingStatus, b.StreamingStatus)
	differ(&d, "presenter", a.Presenter, b.Presenter)
	differ(&d, "join mute", a.JoinMute, b.JoinMute)
	return d.String()
}

func participantDifference(a, b *meeting.ParticipantInfo) string {
	var d differences
	differ(&d, "name", a.Name, b.Name)
	differ(&d, "state", a.State, b.State)
	differ(&d, "deactivated", a.Deactivated, b.Deactivated)
	return d.String()
}

func legDifference(a, b *meeting.LegInfo) string {
	var d differences
	differ(&d, "call", a.Call, b.Call)
	differ(&d, "state", a.State, b.State)
	differ(&d, "remote", a.Remote, b.Remote)
	differ(&d, "mutes", a.Muted, b.Muted)
	differ(&d, "layout", a.Layout, b.Layout)
	differ(&d, "media", a.Media, b.Media)
	differ(&d, "alarms", strings.Join(a.Alarms, " "), strings.Join(b.Alarms, " "))
	return d.String()
}
