package attendant

import (
	"time"

	"rotunda/services/callbridge/prompts/prompt"
)

// confirmWithin is how long somebody who was called may take to press 1.
const confirmWithin = time.Minute

// Asks says whether somebody who was called is asked to confirm. confirmation is the parameter of the call: "true" always, "false" never,
// and "" where nobody said: those who have no picture, since a telephone may be answered by a machine that would then talk to the meeting.
func Asks(confirmation string, video bool) bool {
	switch confirmation {
	case "true":
		return true
	case "false":
		return false
	}
	return !video
}

// Confirm asks somebody who was called to press 1.
type Confirm struct {
	space bool
	state state
}

// NewConfirm makes the question; space says whether the call is that of a space.
func NewConfirm(space bool) *Confirm { return &Confirm{space: space} }

const confirmScreen = "Press 1 to join"

// Begin is part of [Dialogue].
func (c *Confirm) Begin() Step {
	if c.state != fresh {
		return c.stay()
	}
	c.state = asking
	welcome := prompt.CallOutgoingWelcome
	if c.space {
		welcome = prompt.SpaceOutgoingWelcome
	}
	return Step{Say: []Prompt{welcome}, Wait: longestPrompt, Screen: confirmScreen}
}

// Key is part of [Dialogue]. Keys other than 1 mean nothing; they do not make the time longer either.
func (c *Confirm) Key(key rune) Step {
	if key == '1' && (c.state == asking || c.state == listening) {
		c.state = over
		return Step{Hush: true, Joined: true}
	}
	return c.stay()
}

// Played is part of [Dialogue].
func (c *Confirm) Played() Step {
	switch c.state {
	case asking:
		c.state = listening
		ask := prompt.CallConfirm
		if c.space {
			ask = prompt.SpaceConfirm
		}
		return Step{Say: []Prompt{ask}, Loop: true, Wait: confirmWithin, Screen: confirmScreen}
	case parting:
		c.state = over
		return Step{End: NotConfirmed}
	}
	return c.stay()
}

// Timeout is part of [Dialogue].
func (c *Confirm) Timeout() Step {
	switch c.state {
	case asking, parting:
		return c.Played()
	case listening:
		c.state = parting
		return Step{Say: []Prompt{prompt.Timeout}, Wait: longestPrompt}
	}
	return c.stay()
}

func (c *Confirm) stay() Step {
	if c.state == parting {
		return Step{}
	}
	return Step{Screen: confirmScreen}
}
