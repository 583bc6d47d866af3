package attendant

import (
	"time"

	"rotunda/services/callbridge/prompts/prompt"
)

// Prompt is a name from the table of package prompt.
type Prompt = prompt.Name

// Dialogue is what [Menu], [Passcode] and [Confirm] have in common. Begin comes first and once. Played is told when all that a Step says
// was played, or could not be; Timeout when the Wait of the last Step is over. One that is told after the next Step has come does no harm.
type Dialogue interface {
	Begin() Step
	// Key is 0-9, *, # or A-D; others are ignored.
	Key(key rune) Step
	Played() Step
	Timeout() Step
}

var (
	_ Dialogue = (*Menu)(nil)
	_ Dialogue = (*Passcode)(nil)
	_ Dialogue = (*Confirm)(nil)
)

// Step is what is to be done now. At most one of Found, Done, Joined and End is set; then the dialogue is over.
type Step struct {
	// Say is played now, one after the other, in place of what is being played. With none, what is being played goes on, unless Hush.
	Say []Prompt
	// Loop repeats Say until the next Step that has Say or Hush, or ends the dialogue.
	Loop bool
	// Hush stops what is being played: somebody presses keys.
	Hush bool
	// Wait is how long to wait from now on until Timeout; it takes the place of the Wait before. 0: the time that runs goes on.
	Wait time.Duration
	// Screen is a line for those who see us, Digits what they have entered so far; passcodes show as dots. Both are what is to be shown
	// from now on.
	Screen, Digits string

	// Found are the ways into the space that Number, a meeting ID, means: the next question is [Passcode]'s.
	Found  []Entry
	Number string
	// Done is the way by which the caller comes in.
	Done *Entry
	// Joined: whoever was called wants to join.
	Joined bool
	// End is why the call is to end now; what there is to say was said.
	End Reason
}

// Over says whether the dialogue is over.
func (s Step) Over() bool { return s.Found != nil || s.Done != nil || s.Joined || s.End != "" }

// Reason is why a dialogue ends a call, in the words of callLegEnd records (reference section 3).
type Reason string

// The reasons.
const (
	MenuTimeout       Reason = "ivrTimeout"
	UnknownCall       Reason = "ivrUnknownCall"
	IncorrectPasscode Reason = "incorrectPasscode"
	TimedOut          Reason = "timeout"
	NotConfirmed      Reason = "confirmationTimeOut"
)

// Limiter bounds how many guesses come from one source, over all calls. [Guesses] is one. A source is what whoever guesses cannot choose: the
// address that calls come from, and for passcodes the space. Who a far end says that it is would be another one with each call. Behind a
// call control all callers are one source, so without the space one of them could keep the others out of every meeting.
type Limiter interface {
	// Allow says whether a source may guess now.
	Allow(source string) bool
	// Wrong counts a wrong guess.
	Wrong(source string)
}
