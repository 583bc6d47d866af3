package attendant

import (
	"strings"
	"time"
)

// Times and counts. Three tries are what people are used to (guide chapter 7.5); the rest is how long one needs to find a number on a
// piece of paper, and a bound on what somebody can do with a line who is no person.
const (
	// maxTries wrong numbers end the call.
	maxTries = 3
	// maxAsked is how often is asked when nobody answers.
	maxAsked = 3
	// firstKey is how long to wait for the first key after a question, nextKey for the next one; what is there then counts as complete.
	firstKey = 10 * time.Second
	nextKey  = 6 * time.Second
	// maxKeys may be pressed in one dialogue.
	maxKeys = 300
	// maxTyped are kept of one entry. It is more than a meeting ID (24) has, and a passcode that is longer (200 are allowed) cannot be
	// entered by telephone anyway.
	maxTyped = 64
	// longestPrompt is when to go on if nobody tells that a prompt is over: own recordings last up to 64 seconds.
	longestPrompt = 70 * time.Second
)

// state is how far a question is.
type state uint8

const (
	fresh     state = iota
	asking          // the question is being played
	listening       // it was played, no key yet
	typing          // keys
	parting         // goodbye is being played
	over
)

// question asks for digits that end with #. Menu and Passcode are one each.
type question struct {
	// ask is the question, with which every round begins; screen is its line.
	ask    []Prompt
	screen string
	// again and last are said after the first and the second wrong answer, goodbye after the third, late when none comes.
	again, last, goodbye, late    Prompt
	wrongScreen, lastScreen       string
	wrong, timeout                Reason
	hidden, starIsDigit, blankOne bool
	// wait is how long to wait for the first key.
	wait time.Duration
	// silence is what it means that no key came; nil: to ask again.
	silence func() Step
	// answer judges an entry: a Step that is over, or false for a wrong one.
	answer func(typed string) (Step, bool)

	limiter Limiter
	source  string

	state  state
	typed  []byte
	keys   int
	tries  int
	asked  int
	line   string
	reason Reason
}

func (q *question) begin(intro ...Prompt) Step {
	if q.state != fresh {
		return q.stay()
	}
	q.line = q.screen
	return q.put(append(intro, q.ask...))
}

// put asks, after what is in say.
func (q *question) put(say []Prompt) Step {
	q.state, q.typed = asking, q.typed[:0]
	q.asked++
	return q.show(Step{Say: say, Wait: longestPrompt})
}

// show adds what is on the screen.
func (q *question) show(s Step) Step {
	s.Screen = q.line
	s.Digits = string(q.typed)
	if q.hidden {
		s.Digits = strings.Repeat("•", len(q.typed))
	}
	return s
}

// stay changes nothing.
func (q *question) stay() Step { return q.show(Step{}) }

func (q *question) key(k rune) Step {
	if q.state == fresh || q.state == parting || q.state == over || !strings.ContainsRune("0123456789*#ABCD", k) {
		return q.stay()
	}
	if q.keys++; q.keys > maxKeys {
		return q.part(q.late, q.timeout)
	}
	switch {
	case k == '#':
		return q.entered()
	case k == '*' && !q.starIsDigit:
		// People press * to begin anew.
		q.typed = q.typed[:0]
	case k >= '0' && k <= '9' || k == '*':
		if len(q.typed) < maxTyped {
			q.typed = append(q.typed, byte(k))
		}
	default:
		return q.stay()
	}
	// Who types has understood: asking is counted anew.
	q.state, q.asked = typing, 0
	return q.show(Step{Hush: true, Wait: nextKey})
}

// entered judges what was typed.
func (q *question) entered() Step {
	typed := string(q.typed)
	if typed == "" && !q.blankOne {
		// A lone # asks for the question.
		if q.asked >= maxAsked {
			return q.part(q.late, q.timeout)
		}
		return q.put(q.ask)
	}
	if typed == "" || q.limiter == nil || q.limiter.Allow(q.source) {
		if s, ok := q.answer(typed); ok {
			q.typed, q.state = nil, over
			return s
		}
	}
	if q.limiter != nil {
		q.limiter.Wrong(q.source)
	}
	q.tries++
	q.asked = 0
	switch q.tries {
	case 1:
		q.line = q.wrongScreen
		return q.put([]Prompt{q.again})
	case maxTries - 1:
		q.line = q.lastScreen
		return q.put([]Prompt{q.last})
	}
	return q.part(q.goodbye, q.wrong)
}

// part says goodbye and then ends the call.
func (q *question) part(say Prompt, why Reason) Step {
	q.state, q.reason, q.typed = parting, why, q.typed[:0]
	q.line = "Goodbye"
	return q.show(Step{Say: []Prompt{say}, Wait: longestPrompt})
}

func (q *question) played() Step {
	switch q.state {
	case asking:
		q.state = listening
		return q.show(Step{Wait: q.wait})
	case parting:
		q.state = over
		return q.show(Step{End: q.reason})
	}
	return q.stay()
}

func (q *question) timedOut() Step {
	switch q.state {
	case asking, parting:
		return q.played() // nobody told that it was played
	case typing:
		if len(q.typed) > 0 {
			return q.entered()
		}
		// * and nothing after it.
		q.state = listening
		return q.show(Step{Wait: q.wait})
	case listening:
		if q.silence != nil {
			s := q.silence()
			q.state = over
			return s
		}
		if q.asked >= maxAsked {
			return q.part(q.late, q.timeout)
		}
		return q.put(q.ask)
	}
	return q.stay()
}
