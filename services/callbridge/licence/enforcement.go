package licence

import (
	"math"
	"time"

	"rotunda/init/licence"
)

// Alarm is the level of what callers notice (guide figure 20). Level 1 is the management system's alone.
type Alarm int

// The levels.
const (
	NoAlarm Alarm = 0
	// ExpiredAlarm: a text for MessageTime and a prompt when somebody joins.
	ExpiredAlarm Alarm = 2
	// UnlicensedAlarm: the text stays, and encrypted calls are refused.
	UnlicensedAlarm Alarm = 3
)

// Figures and words of guide chapter 17.1.2.
const (
	messageTime     = 30 * time.Second
	daysUntilAlarm3 = 90
	outOfCompliance = "Your deployment is out of licensing compliance, please contact your administrator"
)

// Enforcement is what the Call Bridge has to do and to leave, as data (guide chapter 17.1.2, appendix D).
type Enforcement struct {
	Alarm Alarm
	// Message is shown to every participant of every meeting; empty for none. MessageTime is how long after joining, 0 for ever.
	Message     string
	MessageTime time.Duration
	// Prompt is spoken to everybody who joins; empty for none.
	Prompt string
	// RefuseEncrypted calls: they are not processed.
	RefuseEncrypted bool
	// UnencryptedMedia is appendix D's mode: media to SIP devices and between Call Bridges is not encrypted, and
	// sipMediaEncryption may be set to prohibited alone.
	UnencryptedMedia bool
	// Customizations are custom layouts.
	Customizations bool
	// Recording and Streaming say whether new ones may start at all; [Enforcement.MayStart] also counts.
	Recording, Streaming bool
	// Recordings is how many recordings and streams there may be together, Streams how many streams beyond; [Unlimited] is no limit.
	Recordings, Streams int
}

// Enforcement is what holds now.
func (l *Licensing) Enforcement() Enforcement {
	now := l.o.Now()
	all := l.inForce(now)
	e := Enforcement{Customizations: all["customizations"].InForce()}

	recording, streaming := all["recording"], all["streaming"]
	e.Recording = recording.InForce()
	e.Streaming = recording.InForce() || streaming.InForce()
	e.Recordings, e.Streams = room(recording), room(streaming)

	// One of the two is enough.
	with, without := all["callBridge"], all["callBridgeNoEncryption"]
	bridge := with
	if better(without, with) {
		bridge = without
	}
	e.UnencryptedMedia = !with.InForce() && without.InForce()
	if bridge.InForce() {
		return e
	}
	e.Alarm, e.Message, e.Prompt = UnlicensedAlarm, outOfCompliance, outOfCompliance
	if bridge.Status == licence.Expired && now.Before(bridge.Ended.AddDate(0, 0, daysUntilAlarm3)) {
		e.Alarm, e.MessageTime = ExpiredAlarm, messageTime
	}
	e.RefuseEncrypted = e.Alarm == UnlicensedAlarm
	return e
}

// Unlimited is no limit.
const Unlimited = math.MaxInt32

// room is how many a feature allows now.
func room(s licence.State) int {
	switch {
	case !s.InForce():
		return 0
	case s.Limit == 0:
		return Unlimited
	}
	return s.Limit
}

// MayStart says whether another recording, or another stream, may start beside those that run. One recording licence serves one
// recording or one stream (guide chapter 2.7.1); streams use licences of their own first.
func (e Enforcement) MayStart(recordings, streams int) (recording, stream bool) {
	shared := func(streams int) int { return max(0, streams-e.Streams) }
	recording = recordings+1+shared(streams) <= e.Recordings
	stream = streams+1 <= e.Streams || recordings+shared(streams+1) <= e.Recordings
	return recording, stream
}
