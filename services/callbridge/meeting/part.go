package meeting

import (
	"sync"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/media/control"
)

// Goodbyes that are said before the line is hung up. The leg is over at once for everybody else.
const (
	partDisconnected = prompt.Disconnected
	partEnded        = prompt.MeetingEnded
	partFull         = prompt.MeetingFull
)

// longestGoodbye is when the line is hung up though nobody told that the goodbye was played.
const longestGoodbye = 10 * time.Second

// part ends a leg and says goodbye to it, if it can hear that.
func (l *Leg) part(say prompt.Name, why Reason) {
	if l.over {
		return
	}
	files := l.files(say)
	if len(files) == 0 || !l.answered || l.media == nil || l.sink != nil || l.call != nil && l.call.gateway != nil {
		l.end(why, false)
		return
	}
	l.farewell = true
	l.finish(why, false, false)
	line, media, clock := l.line, l.media, l.c.clock
	g := &goodbye{id: "goodbye-" + media.ID()}
	c := l.c
	c.goodbyes[g] = true
	g.hangup = func() {
		c.lines.add(func() {
			line.Hangup(why)
			c.mu.Lock()
			delete(c.goodbyes, g)
			c.mu.Unlock()
		})
		clock.AfterFunc(lastWords, media.Close)
	}
	media.Handle(g)
	media.Set(func(m *control.Leg) {
		m.View.Screen, m.View.Message = "welcome", control.Message{}
		if m.Audio != nil {
			m.Audio.Deaf = false
		}
	})
	media.Play(control.Play{ID: g.id, Files: files})
	clock.AfterFunc(longestGoodbye, g.end)
}

// goodbye hears of the media of a leg that is over, and hangs up when the goodbye was played.
type goodbye struct {
	id     string
	hangup func()
	once   sync.Once
}

func (g *goodbye) end() { g.once.Do(g.hangup) }

func (g *goodbye) Moved(control.LegState) {}

func (g *goodbye) Refused(error) { g.end() }

func (g *goodbye) Event(e control.Event) {
	if e.Event == control.EventPlayed && e.ID == g.id {
		g.end()
	}
}
