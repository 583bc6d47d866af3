package attendant

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
)

// PasscodeOptions are what a [Passcode] is made with.
type PasscodeOptions struct {
	// Entries are the ways in that share what was called or entered; there is at least one.
	Entries []Entry
	// Waits is passcodeMode timeout: a blank passcode counts when After (passcodeTimeout) has passed since the end of the question.
	// Otherwise, mode required, it has to be entered by #.
	Waits bool
	After time.Duration
	// Greet begins with a welcome: nobody has spoken yet.
	Greet bool
	// Limiter bounds guesses of Source (see there); nil: three a call.
	Limiter Limiter
	Source  string
}

// Passcode asks which of the ways into a space a caller may take. Where no passcode is needed it is over with Begin.
type Passcode struct {
	q     question
	o     PasscodeOptions
	blank *Entry
	codes []code
}

// code is the hash of a passcode: all are of one length, and comparing them takes one time.
type code struct {
	hash  [sha256.Size]byte
	entry *Entry
}

// NewPasscode makes the question for one caller.
func NewPasscode(o PasscodeOptions) *Passcode {
	p := &Passcode{o: o}
	star := false
	for i := range o.Entries {
		e := &o.Entries[i]
		passcode := e.passcode()
		if passcode == "" {
			if p.blank == nil {
				p.blank = e
			}
			continue
		}
		star = star || strings.Contains(passcode, "*")
		p.codes = append(p.codes, code{sha256.Sum256([]byte(passcode)), e})
	}
	p.q = question{
		ask: []Prompt{prompt.PasscodeEntry}, screen: "Enter the passcode, then #",
		again: prompt.PasscodeTryAgain, last: prompt.PasscodeFinal, goodbye: prompt.PasscodeGoodbye, late: prompt.Timeout,
		wrongScreen: "Wrong passcode. Try again, then #", lastScreen: "Wrong passcode. Last attempt, then #",
		wrong: IncorrectPasscode, timeout: TimedOut, wait: firstKey,
		hidden: true, starIsDigit: star, blankOne: p.blank != nil,
		answer: p.answer, limiter: o.Limiter, source: o.Source,
	}
	switch {
	case p.blank == nil:
	case o.Waits:
		p.q.ask, p.q.screen = []Prompt{prompt.PasscodeOrWait}, "Enter the passcode, then #, or wait"
		p.q.wait = max(o.After, time.Millisecond) // 0 would be without end
		p.q.silence = func() Step { return Step{Done: p.blank} }
	default:
		p.q.ask, p.q.screen = []Prompt{prompt.PasscodeOrBlank}, "Enter the passcode, then #. Without one, press #"
	}
	return p
}

// answer compares with every passcode, whichever is right.
func (p *Passcode) answer(typed string) (Step, bool) {
	if typed == "" {
		return Step{Hush: true, Done: p.blank}, p.blank != nil
	}
	hash := sha256.Sum256([]byte(typed))
	right := -1
	for i := range p.codes {
		right = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(p.codes[i].hash[:], hash[:]), i, right)
	}
	if right < 0 {
		return Step{}, false
	}
	return Step{Hush: true, Done: p.codes[right].entry}, true
}

// Begin is part of [Dialogue], as the others.
func (p *Passcode) Begin() Step {
	if p.q.state == fresh && len(p.codes) == 0 && p.blank != nil {
		p.q.state = over
		return Step{Done: p.blank}
	}
	if p.o.Greet {
		return p.q.begin(prompt.Welcome)
	}
	return p.q.begin()
}

// Key is part of [Dialogue].
func (p *Passcode) Key(key rune) Step { return p.q.key(key) }

// Played is part of [Dialogue].
func (p *Passcode) Played() Step { return p.q.played() }

// Timeout is part of [Dialogue].
func (p *Passcode) Timeout() Step { return p.q.timedOut() }
