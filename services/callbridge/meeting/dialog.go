package meeting

import (
	"time"

	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces"
	"rotunda/services/callbridge/store"
)

// dialog drives an [attendant.Dialogue] for a leg: it does what its steps say, and tells it keys, ends of prompts and time.
type dialog struct {
	l              *Leg
	d              attendant.Dialogue
	timer          func()
	screen, digits string
	begun          bool
	// early are the keys from before it began: they come by media, which may overtake the ACK.
	early []rune
}

// maxEarly keys are kept; a meeting ID and a passcode have fewer.
const maxEarly = 64

// converse begins a dialogue; a leg that is not answered yet is answered for it.
func (l *Leg) converse(d attendant.Dialogue) {
	if l.dialog != nil {
		l.dialog.drop()
	}
	l.dialog = &dialog{l: l, d: d}
	l.touch()
	if l.answered {
		l.dialog.answered()
		return
	}
	l.adjust()
	l.tell(Line.Accept)
}

// answered: the far end hears us.
func (d *dialog) answered() {
	if !d.begun {
		d.begun = true
		d.do(d.d.Begin())
		for _, k := range d.early {
			d.l.key(k) // to whichever dialogue it has come to by then
		}
	}
}

// key takes a key tone.
func (d *dialog) key(k rune) {
	switch {
	case d.begun:
		d.do(d.d.Key(k))
	case len(d.early) < maxEarly:
		d.early = append(d.early, k)
	}
}

func (d *dialog) drop() { stop(&d.timer) }

// do does what a step says.
func (d *dialog) do(s attendant.Step) {
	l := d.l
	if s.Hush || len(s.Say) > 0 || s.Over() {
		l.hush()
	}
	if s.Over() {
		d.drop()
		l.dialog = nil
		l.conclude(s)
		return
	}
	if s.Wait > 0 {
		stop(&d.timer)
		d.timer = l.c.after(s.Wait, func() {
			d.timer = nil
			if l.dialog == d && !l.over {
				d.do(d.d.Timeout())
			}
		})
	}
	if s.Screen != d.screen || s.Digits != d.digits {
		d.screen, d.digits = s.Screen, s.Digits
	}
	l.apply()
	if len(s.Say) == 0 {
		return
	}
	played := func() {
		if l.dialog == d && !l.over {
			d.do(d.d.Played())
		}
	}
	files := l.files(s.Say...)
	if len(files) == 0 {
		if !s.Loop {
			played() // nothing to play is played at once
		}
		return
	}
	l.play(sound{files: files, loop: s.Loop, done: played})
}

// text is what those who see us read.
func (d *dialog) text() string {
	if d.digits == "" {
		return d.screen
	}
	return d.screen + "\n" + d.digits
}

// conclude does what a dialogue came to.
func (l *Leg) conclude(s attendant.Step) {
	l.touch()
	switch {
	case s.Found != nil:
		l.askPasscode(s.Found)
	case s.Done != nil:
		l.join(*s.Done)
	case s.Joined:
		l.arrived()
	default:
		l.end(Reason(s.End), false)
	}
}

// menu asks for a meeting ID. ivr is nil for one that no record describes.
func (l *Leg) menu(ivr *store.Record) {
	v := l.c.view()
	if v == nil {
		l.end(MenuUnknownCall, false) // no meeting can be found now
		return
	}
	l.wasMenu = true
	if ivr != nil {
		if id, ok := ivr.Ref("tenant"); ok {
			l.tenant = id
		}
	}
	l.resolve()
	l.outside = branding{kind: prompt.IVR, location: profiles.ForIVR(v, ivr).Text("resourceLocation")}
	l.c.prepare(l.outside)
	group, open := attendant.Group(ivr)
	find := func(number string) []attendant.Entry {
		if v := l.c.view(); v != nil && open {
			return attendant.ByCallIDFor(v, number, group, l.caller())
		}
		return nil
	}
	l.asked = true
	l.converse(attendant.NewMenu(attendant.MenuOptions{Find: find, Limiter: l.c.o.Limiter, Source: l.source()}))
}

// caller is the user whose address the far end has, where somebody vouches for it; the zero ID for none.
func (l *Leg) caller() ID {
	if v := l.c.view(); v != nil && l.remote != "" && l.vouched {
		if user := spaces.UserByJID(v, l.remote); user != nil {
			return user.ID()
		}
	}
	return ID{}
}

// source is who guesses, for limits over all calls: where the signalling comes from, and behind a call control that vouches for its callers
// their addresses. Anybody else would choose a new one for every guess.
func (l *Leg) source() string {
	switch {
	case !l.address.IsValid():
		return l.remote
	case l.vouched:
		return l.address.Addr().String() + " " + l.remote
	}
	return l.address.Addr().String()
}

// askPasscode asks by which way a caller may come in.
func (l *Leg) askPasscode(entries []Entry) {
	v := l.c.view()
	space := entries[0].Space
	var tenant *store.Record
	if v != nil {
		if tenant = v.Ref(space, "tenant"); tenant != nil {
			l.tenant = tenant.ID()
		}
		l.outside = branding{kind: prompt.Call, location: profiles.ForCallBranding(v, space, tenant).Text("resourceLocation")}
		l.c.prepare(l.outside)
	}
	p := callProfile(v, space, tenant)
	seconds, _ := p.Number("passcodeTimeout")
	l.resolve()
	d := attendant.NewPasscode(attendant.PasscodeOptions{Entries: entries, Waits: p.Text("passcodeMode") == "timeout",
		After: time.Duration(seconds) * time.Second, Greet: !l.wasMenu, Limiter: l.c.o.Limiter, Source: l.source() + " " + space.ID().String()})
	if len(entries) == 1 && passcode(entries[0]) == "" {
		l.join(entries[0])
		return
	}
	l.asked = true
	l.converse(d)
}

// confirm asks somebody who was called.
func (l *Leg) confirm() {
	l.invited = true // the question begins with that
	l.converse(attendant.NewConfirm(l.call.space != nil))
}

// schemaTenant finds a tenant's record, nil for none.
func (c *Calls) schemaTenant(id ID) *store.Record {
	if v := c.view(); v != nil && id != (ID{}) {
		return v.Get(schema.Tenants, id)
	}
	return nil
}
