package meeting

import (
	"strconv"
	"time"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

// message is the text on the screens of a call (guide chapter 2.10): one at a time, for a while or until there is another.
type message struct {
	text, position string
	until          time.Time
	permanent      bool
	timer          func()
}

func (m *message) clear() {
	stop(&m.timer)
	*m = message{}
}

func (m *message) onScreen() control.Message {
	return control.Message{Text: m.text, Position: m.position}
}

// lasts reads messageDuration: seconds, or permanent. 0 shows nothing.
func lasts(duration string) (d time.Duration, permanent bool) {
	if duration == "permanent" {
		return 0, true
	}
	seconds, err := strconv.ParseInt(duration, 10, 32)
	if err != nil || seconds < 0 {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, false
}

// showMessage shows what messageText, messagePosition and messageDuration say.
func (k *call) showMessage() {
	k.message.clear()
	d, permanent := lasts(k.settings["messageDuration"])
	if text := k.settings["messageText"]; text != "" && (permanent || d > 0) {
		k.message.text, k.message.position, k.message.permanent = text, k.settings["messagePosition"], permanent
		if !permanent {
			k.message.until = k.c.clock.Now().Add(d)
			k.message.timer = k.c.after(d, func() {
				k.message.clear()
				k.touch()
				k.applyConference()
			})
		}
	}
	k.touch()
	k.applyConference()
}

// notice shows to who joins what missing licences ask for.
func (l *Leg) notice() {
	if l.call.gateway != nil {
		return
	}
	e := l.c.o.Licence()
	if e.Message == "" {
		return
	}
	l.noticeText = e.Message
	l.noticeSaid = e.Prompt
	if e.MessageTime > 0 {
		l.timers.notice = l.c.after(e.MessageTime, func() {
			l.noticeText = ""
			l.apply()
		})
	}
}

func (l *Leg) noticeOn(v control.View) control.View {
	if l.noticeText != "" {
		v.Message = control.Message{Text: l.noticeText}
	}
	return v
}

// branding is where the prompts of a call, or of an IVR, come from.
type branding struct {
	kind     prompt.Kind
	location string
}

func (c *Calls) brandingOf(v store.View, space, tenant *store.Record) branding {
	b := branding{kind: prompt.Call}
	if v != nil {
		b.location = profiles.ForCallBranding(v, space, tenant).Text("resourceLocation")
	}
	c.prepare(b)
	return b
}

func (c *Calls) prepare(b branding) {
	if c.o.Prompts != nil {
		c.o.Prompts.Prepare(b.kind, b.location)
	}
}

// brand is where the prompts of a leg come from: those of its call, or of what it is on its way to.
func (l *Leg) brand() branding {
	if l.call != nil {
		return l.call.prompts
	}
	return l.outside
}

func (l *Leg) background() string {
	if l.c.o.Prompts == nil {
		return ""
	}
	b := l.brand()
	return l.c.o.Prompts.Background(b.kind, b.location)
}
