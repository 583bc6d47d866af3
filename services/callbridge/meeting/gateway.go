package meeting

// gateway is a call between two far ends (reference section 5.1): one side that came in, and the other that is called for it.
type gateway struct {
	call    *call
	in, out *Leg
}

// forward makes the other side of an incoming call. It rings until the other side answers, and what ends one ends both.
func (c *Calls) forward(in *Leg, d Dial) {
	tenant := d.Tenant
	if tenant == (ID{}) {
		tenant = in.tenant
	}
	k := c.begin(GatewayCall, nil, tenant, d.To)
	if why := c.full(k, nil); why != "" {
		in.end(why, false)
		k.end(why)
		return
	}
	if k.profile.Bool("gatewayAudioCallOptimization") && in.agreed.Audio && !in.agreed.Video && !in.agreed.Presentation {
		d.NoVideo, d.NoPresent = true, true // nobody there would see or show anything
	}
	g := &gateway{call: k, in: in}
	k.gateway = g
	in.enter(k, nil)
	in.participant.needs, in.participant.active = false, true
	if d.FromName == "" {
		d.FromName = in.ownName()
	}
	if why := c.full(k, nil); why != "" {
		in.end(why, false) // there is room for one side alone
		return
	}
	g.out = c.call(k, nil, dialling{Dial: d}, nil)
	g.out.participant.needs, g.out.participant.active = false, true
}

// gateway is that of the leg's call, nil for none. Legs that record are no side of it.
func (l *Leg) gateway() *gateway {
	if l.call == nil || l.call.gateway == nil || l.sink != nil {
		return nil
	}
	return l.call.gateway
}

// other is the other side.
func (g *gateway) other(l *Leg) *Leg {
	if l == g.in {
		return g.out
	}
	return g.in
}

func (g *gateway) ringing(l *Leg) {
	if l != g.out || g.in.over || g.in.answered {
		return
	}
	g.in.state = Ringing
	g.in.touch()
	g.in.tell(Line.Ring)
}

func (g *gateway) answered(l *Leg) {
	if l == g.out && !g.in.answered {
		g.in.tell(Line.Accept)
	}
	if o := g.other(l); o != nil && o.answered {
		l.films(o)
		o.films(l)
	}
	l.arrived()
}

// films lets the far end move the camera of another one.
func (l *Leg) films(o *Leg) {
	l.tell(func(line Line) {
		l.c.mu.Lock()
		other := o.line
		l.c.mu.Unlock()
		if f, ok := line.(Filmed); ok && other != nil {
			f.CameraOf(other)
		}
	})
}

func (g *gateway) held(l *Leg, on bool) {
	if o := g.other(l); o != nil && !o.over && o.answered {
		o.tell(func(line Line) { line.Hold(on) })
	}
}

// ended: the other side hears why, before it was answered in the words of the side that failed.
func (g *gateway) ended(l *Leg, why Reason) {
	o := g.other(l)
	if o == nil || o.over || l != g.in && l != g.out {
		return
	}
	if l == g.out && !l.answered {
		o.end(why, false)
		return
	}
	o.end(CallEnded, false)
}
