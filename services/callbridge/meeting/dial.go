package meeting

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces"
)

// dialling is how a leg is called.
type dialling struct {
	Dial
	// confirmation is true, false or "" (reference section 2.3); keys are sent when the far end has answered.
	confirmation, keys string
}

// dialIn reads what the API says about a call out.
func (k *call) dialIn(values map[string]string) dialling {
	d := dialling{confirmation: values["confirmation"], keys: values["dtmfSequence"]}
	d.To, d.Tenant, d.FromName, d.From = values["remoteParty"], k.tenant, k.name, k.address()
	d.Bandwidth, _ = strconv.Atoi(values["bandwidth"])
	return d
}

// address is where calls of the meeting come from: that of its space.
func (k *call) address() string {
	v := k.c.view()
	if k.space == nil || v == nil {
		return ""
	}
	if uri := spaces.EntryOf(v, k.space, nil).URI; strings.Contains(uri, "@") {
		return uri
	}
	return ""
}

// call calls somebody into a call, as a leg of p or of a new participant.
func (c *Calls) call(k *call, p *participant, d dialling, values map[string]string) *Leg {
	l := c.newLeg(fresh(), Outgoing)
	l.kind, l.dial = "sip", &d
	l.remote, l.original = d.To, d.To
	l.local = d.From
	l.ownerID, l.chosen = values["ownerId"], values["chosenLayout"]
	l.callOut = settingsOf(values)
	if k.space != nil {
		l.recognise(k.space)
		l.guest = false
	}
	if p == nil {
		p = c.newParticipant(k, Outgoing)
		p.importance = number(values["importance"])
		p.rename(values["nameLabelOverride"])
		p.member = l.member != nil
	}
	l.enter(k, p)
	switch values["deactivated"] {
	case "true":
		p.held, p.active = true, false
	case "false":
		p.admitted = true
	}
	l.makeCall()
	return l
}

// settingsOf are the profile and the fields of it among values of the API.
func settingsOf(values map[string]string) profiles.Settings {
	var s profiles.Settings
	s.Profile, _ = parseID(values["callLegProfile"])
	for name, v := range values {
		if name == "layout" && values["defaultLayout"] == "" {
			name = "defaultLayout"
		}
		if v == "" || name == "name" || schema.CallLegProfile.Field(name) == nil {
			continue
		}
		if s.Fields == nil {
			s.Fields = map[string]string{}
		}
		s.Fields[name] = v
	}
	return s
}

// makeCall asks the dialer. What it tells before it has returned waits for it.
func (l *Leg) makeCall() {
	c, d := l.c, l.dial.Dial
	d.Leg = l.id
	rights := l.rights
	d.Rights = &rights
	d.NoVideo = d.NoVideo || rights.Text("videoMode") == "disabled"
	if d.Encryption == "" && rights.From("sipMediaEncryption") != profiles.Nowhere {
		d.Encryption = rights.Text("sipMediaEncryption")
	}
	if rights.From("sipPresentationChannelEnabled") != profiles.Nowhere {
		d.NoPresent = d.NoPresent || !rights.Bool("sipPresentationChannelEnabled")
	}
	if c.o.Dialer == nil {
		l.end(UnknownDestination, false)
		return
	}
	c.lines.add(func() {
		line, media := c.o.Dialer.Dial(context.Background(), d, l)
		c.lock()
		defer c.unlock()
		l.line = line
		if l.over || media == nil {
			if media != nil {
				c.clock.AfterFunc(lastWords, media.Close)
			}
			return
		}
		l.hear(media)
		l.force = true
		l.apply()
		untold := l.untold
		l.untold = nil
		for _, f := range untold {
			if !l.over {
				f()
			}
		}
	})
}

// heard runs what a line tells, when the leg's media are known.
func (l *Leg) heard(f func()) {
	l.c.lock()
	defer l.c.unlock()
	switch {
	case l.over:
	case l.media == nil:
		l.untold = append(l.untold, f)
	default:
		f()
	}
}

// asksConfirmation says whether somebody who was called has to say first that they want to join.
func (l *Leg) asksConfirmation() bool {
	return l.dial != nil && l.sink == nil && !l.came && attendant.Asks(l.dial.confirmation, l.agreed.Video)
}

// sendFirstKeys sends the dtmfSequence that the leg was called with.
func (l *Leg) sendFirstKeys() {
	if l.dial == nil || l.dial.keys == "" {
		return
	}
	keys := l.dial.keys
	l.dial.keys = ""
	l.sendKeys(keys)
}

// mostKeys are sent by one request of the media engine.
const mostKeys = 64

func (l *Leg) sendKeys(keys string) {
	if l.media == nil || !l.answered {
		return
	}
	for len(keys) > 0 {
		n := min(len(keys), mostKeys)
		if s, ok := l.line.(Signaller); ok {
			part := keys[:n]
			l.c.lines.add(func() { s.SendKeys(part) })
		} else {
			l.media.SendKeys(keys[:n])
		}
		keys = keys[n:]
	}
}

// with returns settings with one more; the given map stays.
func with(m map[string]string, name, value string) map[string]string {
	n := maps.Clone(m)
	if n == nil {
		n = map[string]string{}
	}
	if value == "" {
		delete(n, name)
	} else {
		n[name] = value
	}
	return n
}
