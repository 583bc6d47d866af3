// Package prompt is the table of what callers are told: the name of each prompt, which is that of its file without .wav, the words that
// are spoken at build time, and when it is played. Own recordings of the same names take their place (package prompts).
//
// The names of administrators' existing recordings are kept: those that begin with ivr_ belong to an IVR's branding, the others to that of
// meetings (reference sections 2.6 and 5.9). A name, once given, stays: people have recordings under it. The table has no state and no
// neighbours, so that the image builder, the state machines and the documentation all read the same one.
package prompt

import "strconv"

// Name is the name of a prompt, and of its file without .wav.
type Name string

// File is the name of its file.
func (n Name) File() string { return string(n) + ".wav" }

// Kind is whose branding a prompt belongs to.
type Kind uint8

// The kinds.
const (
	// Call prompts come with a callBrandingProfile.
	Call Kind = iota
	// IVR prompts come with an ivrBrandingProfile.
	IVR
)

// Prompt is a row of the table.
type Prompt struct {
	Name Name
	Kind Kind
	// Text is spoken in US English. A pause of so many milliseconds follows it: prompts that are repeated need one.
	Text  string
	Pause int
	// Repeats says that callers who see nothing hear it over and over.
	Repeats bool
	// When says when it is played.
	When string
}

// The prompts of an IVR.
const (
	IVRWelcome  Name = "ivr_welcome"
	IVREntry    Name = "ivr_id_entry"
	IVRTryAgain Name = "ivr_id_incorrect_try_again"
	IVRFinal    Name = "ivr_id_incorrect_final_attempt"
	IVRGoodbye  Name = "ivr_id_incorrect_goodbye"
	IVRTimeout  Name = "ivr_timeout"
)

// The prompts of meetings.
const (
	Welcome              Name = "welcome"
	PasscodeEntry        Name = "passcode_entry"
	PasscodeOrBlank      Name = "passcode_or_blank_required_entry"
	PasscodeOrWait       Name = "passcode_or_blank_timeout_entry"
	PasscodeTryAgain     Name = "passcode_incorrect_try_again"
	PasscodeFinal        Name = "passcode_incorrect_final_attempt"
	PasscodeGoodbye      Name = "passcode_incorrect_goodbye"
	Timeout              Name = "timeout"
	SpaceJoin            Name = "cospace_join"
	SpaceConfirm         Name = "cospace_join_confirmation"
	SpaceOutgoingWelcome Name = "cospace_outgoing_welcome"
	CallJoin             Name = "call_join"
	CallConfirm          Name = "call_join_confirmation"
	CallOutgoingWelcome  Name = "call_outgoing_welcome"
	WaitingForHost       Name = "waiting_for_host"
	OnlyParticipant      Name = "only_participant"
	MeetingEnded         Name = "meeting_ended"
	Disconnected         Name = "disconnected"
	MeetingRecorded      Name = "meeting_recorded"
	RecordingEnded       Name = "meeting_recording_ended"
	MeetingStreamed      Name = "meeting_streamed"
	StreamingEnded       Name = "meeting_streaming_ended"
	MeetingLocked        Name = "meeting_locked"
	MeetingUnlocked      Name = "meeting_unlocked"
	MeetingFull          Name = "meeting_full"
	WaitingForAdmission  Name = "waiting_for_admission"
	Muted                Name = "muted"
	Unmuted              Name = "unmuted"
	AllMuted             Name = "all_muted"
	AllUnmuted           Name = "all_unmuted"
	NotAllowed           Name = "not_allowed"
	NotCompliant         Name = "licence_expired"
	// The announcement of how many there are is CountBefore, a number, CountAfter: see [Count].
	CountBefore Name = "participants_before"
	CountAfter  Name = "participants_after"
)

// pause follows a prompt that is repeated, in milliseconds: without it repetition gets on people's nerves.
const pause = 3000

var table = append([]Prompt{
	{IVRWelcome, IVR, "Welcome.", 0, false, "When an IVR answers."},
	{IVREntry, IVR, "Please enter the meeting ID, followed by the pound key.", 0, false, "When an IVR waits for a meeting ID."},
	{IVRTryAgain, IVR, "That meeting ID is not correct. Please try again.", 0, false, "After the first wrong meeting ID."},
	{IVRFinal, IVR, "That meeting ID is not correct. Please try again. This is your last attempt.", 0, false, "After the second wrong meeting ID."},
	{IVRGoodbye, IVR, "That meeting ID is not correct. Goodbye.", 0, false, "After the third wrong meeting ID, before the call ends."},
	{IVRTimeout, IVR, "No meeting ID was entered. Goodbye.", 0, false, "When nobody entered anything, before the call ends."},

	{Welcome, Call, "Welcome.", 0, false, "When a space answers that asks for a passcode."},
	{PasscodeEntry, Call, "Please enter the passcode, followed by the pound key.", 0, false, "When a passcode has to be entered."},
	{PasscodeOrBlank, Call, "Please enter the passcode, followed by the pound key. If you do not have one, press the pound key.", 0, false,
		"When there are ways in with and without a passcode, and passcodeMode is required."},
	{PasscodeOrWait, Call, "If you have a passcode, please enter it now, followed by the pound key. Otherwise, please wait.", 0, false,
		"When there are ways in with and without a passcode, and passcodeMode is timeout."},
	{PasscodeTryAgain, Call, "That passcode is not correct. Please try again.", 0, false, "After the first wrong passcode."},
	{PasscodeFinal, Call, "That passcode is not correct. Please try again. This is your last attempt.", 0, false, "After the second wrong passcode."},
	{PasscodeGoodbye, Call, "That passcode is not correct. Goodbye.", 0, false, "After the third wrong passcode, before the call ends."},
	{Timeout, Call, "No response was received. Goodbye.", 0, false, "When nobody entered a passcode or confirmed a call, before the call ends."},
	{SpaceJoin, Call, "You are now entering the meeting.", 0, false, "When somebody joins the meeting of a space."},
	{SpaceConfirm, Call, "To join the meeting, press 1.", 2000, true, "When somebody was called into the meeting of a space and is asked to press 1."},
	{SpaceOutgoingWelcome, Call, "Hello. You are invited to a meeting.", 0, false, "When somebody answers who was called into the meeting of a space."},
	{CallJoin, Call, "You are now entering the call.", 0, false, "When somebody joins a call that has no space."},
	{CallConfirm, Call, "To join the call, press 1.", 2000, true, "When somebody was called into a call without space and is asked to press 1."},
	{CallOutgoingWelcome, Call, "Hello. You are invited to a call.", 0, false, "When somebody answers who was called into a call without space."},
	{WaitingForHost, Call, "Please wait for the host to join.", pause, true, "In the lobby, until a host comes."},
	{OnlyParticipant, Call, "You are the only participant.", pause, true, "When nobody else is in the meeting."},
	{MeetingEnded, Call, "The meeting has ended. Goodbye.", 0, false, "When a meeting is ended for everybody."},
	{Disconnected, Call, "You have been disconnected. Goodbye.", 0, false, "When one participant is disconnected: by the API, after maxCallDurationTime, or for want of a host."},
	{MeetingRecorded, Call, "This meeting is being recorded.", 0, false, "When recording begins, and to those who join later."},
	{RecordingEnded, Call, "This meeting is no longer being recorded.", 0, false, "When recording ends."},
	{MeetingStreamed, Call, "This meeting is being streamed.", 0, false, "When streaming begins, and to those who join later."},
	{StreamingEnded, Call, "This meeting is no longer being streamed.", 0, false, "When streaming ends."},
	{MeetingLocked, Call, "The meeting is now locked.", 0, false, "When a participant locks the meeting by keys."},
	{MeetingUnlocked, Call, "The meeting is now unlocked.", 0, false, "When a participant unlocks the meeting by keys."},
	{MeetingFull, Call, "This meeting has reached its participant limit. Goodbye.", 0, false, "When nobody else may join, before the call ends."},
	{WaitingForAdmission, Call, "The meeting is locked. Please wait to be let in.", pause, true, "In the lobby of a locked meeting that a host is in, and for those whom the API sent there."},
	{Muted, Call, "You are now muted.", 0, false, "When participants mute themselves by keys, or are muted by somebody else."},
	{Unmuted, Call, "You are no longer muted.", 0, false, "When participants are no longer muted."},
	{AllMuted, Call, "All other participants are now muted.", 0, false, "When a participant mutes the others by keys."},
	{AllUnmuted, Call, "All other participants are no longer muted.", 0, false, "When a participant unmutes the others by keys."},
	{NotAllowed, Call, "You are not allowed to do that.", 0, false, "When keys ask for something that the participant may not do."},
	{NotCompliant, Call, "Your deployment is out of licensing compliance. Please contact your administrator.", 0, false, "When somebody joins while there is no valid licence; own recordings of it are not used."},
	{CountBefore, Call, "The number of participants in this meeting is:", 0, false, "Before the number of participants that was asked for by keys."},
	{CountAfter, Call, "", 0, false, "After that number; the built-in one says nothing. It is there for languages that need it."},
}, numbers()...)

// All returns the whole table. It must not be changed.
func All() []Prompt { return table }

var byName = func() map[Name]*Prompt {
	m := make(map[Name]*Prompt, len(table))
	for i := range table {
		m[table[i].Name] = &table[i]
	}
	return m
}()

// Of returns the row of a name; false for one that is not in the table.
func Of(n Name) (Prompt, bool) {
	p := byName[n]
	if p == nil {
		return Prompt{}, false
	}
	return *p, true
}

// number is the prompt of a number that has one of its own: 0 to 20, the tens, 100 and 1000.
func number(n int) Name { return Name("number_" + strconv.Itoa(n)) }

func numbers() []Prompt {
	words := map[int]string{}
	for n := range 21 {
		words[n] = strconv.Itoa(n)
	}
	for n := 30; n < 100; n += 10 {
		words[n] = strconv.Itoa(n)
	}
	words[100], words[1000] = "hundred", "thousand"
	var list []Prompt
	for n := range 1001 {
		if w, ok := words[n]; ok {
			list = append(list, Prompt{Name: number(n), Kind: Call, Text: w, When: "As part of a number."})
		}
	}
	return list
}

// Count returns what is said to tell how many participants there are.
func Count(n int) []Name {
	l := append([]Name{CountBefore}, Number(n)...)
	return append(l, CountAfter)
}

// Number returns the prompts of a number from 0 to 999,999; what is beyond is said as the nearest of these.
func Number(n int) []Name {
	n = min(max(n, 0), 999_999)
	if n == 0 {
		return []Name{number(0)}
	}
	var l []Name
	if n >= 1000 {
		l = append(below1000(n/1000), number(1000))
		n %= 1000
	}
	return append(l, below1000(n)...)
}

func below1000(n int) (l []Name) {
	if n >= 100 {
		l = append(l, number(n/100), number(100))
		n %= 100
	}
	if n > 20 {
		l = append(l, number(n/10*10))
		n %= 10
	}
	if n > 0 {
		l = append(l, number(n))
	}
	return l
}

// Background is the file name of the picture of a kind.
func (k Kind) Background() string {
	if k == IVR {
		return "ivr_background.jpg"
	}
	return "background.jpg"
}
