package attendant

import "rotunda/services/callbridge/prompts/prompt"

// MenuOptions are what a [Menu] is made with.
type MenuOptions struct {
	// Find returns the ways in that a meeting ID means: [ByCallID] with the IVR's [Group]. It is asked once for each entry of the caller,
	// and must not wait.
	Find func(number string) []Entry
	// Limiter bounds guesses of Source (see there); nil: three a call.
	Limiter Limiter
	Source  string
}

// Menu is an IVR: it asks for a meeting ID.
type Menu struct {
	q question
	o MenuOptions
}

// NewMenu makes a menu for one caller.
func NewMenu(o MenuOptions) *Menu {
	m := &Menu{o: o}
	m.q = question{
		ask: []Prompt{prompt.IVREntry}, screen: "Enter the meeting ID, then #",
		again: prompt.IVRTryAgain, last: prompt.IVRFinal, goodbye: prompt.IVRGoodbye, late: prompt.IVRTimeout,
		wrongScreen: "No such meeting. Try again, then #", lastScreen: "No such meeting. Last attempt, then #",
		wrong: UnknownCall, timeout: MenuTimeout, wait: firstKey, answer: m.answer, limiter: o.Limiter, source: o.Source,
	}
	return m
}

func (m *Menu) answer(number string) (Step, bool) {
	found := m.o.Find(number)
	return Step{Hush: true, Found: found, Number: number}, len(found) > 0
}

// Begin is part of [Dialogue], as the others.
func (m *Menu) Begin() Step { return m.q.begin(prompt.IVRWelcome) }

// Key is part of [Dialogue].
func (m *Menu) Key(key rune) Step { return m.q.key(key) }

// Played is part of [Dialogue].
func (m *Menu) Played() Step { return m.q.played() }

// Timeout is part of [Dialogue].
func (m *Menu) Timeout() Step { return m.q.timedOut() }
