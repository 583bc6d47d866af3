package engine

import (
	"testing"

	"rotunda/services/media/stream"
)

// unit makes an access unit of a layer.
func (b *bench) unit(key bool) *stream.AccessUnit {
	u := b.engine.units.Unit()
	u.Key = key
	return u
}

// waits is what is in the queue: K for a key frame, p for another picture, x for the end of a decoder.
func (d *decoding) waits() (list string) {
	for _, j := range d.queue {
		switch {
		case j.unit == nil:
			list += "x"
		case j.unit.Key:
			list += "K"
		default:
			list += "p"
		}
	}
	return list
}

func TestAfterAnOverflowNothingIsDecodedBeforeAKeyFrame(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	y, d := p.layers()[0], p.engine.decoding
	for range maxWaiting {
		d.put(y, p.unit(false))
	}
	for range 5 {
		d.put(y, p.unit(false))
	}
	if got := d.waits(); got != "" {
		t.Errorf("after an overflow %q waits, want nothing", got)
	}
	d.put(y, p.unit(true))
	d.put(y, p.unit(false))
	if got := d.waits(); got != "Kp" {
		t.Errorf("after the next key frame %q waits, want Kp", got)
	}
}

func TestTheKeyFrameThatOverflowsIsDecoded(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	y, d := p.layers()[0], p.engine.decoding
	for range maxWaiting {
		d.put(y, p.unit(false))
	}
	d.put(y, p.unit(true))
	d.put(y, p.unit(false))
	if got := d.waits(); got != "Kp" {
		t.Errorf("%q waits, want Kp", got)
	}
}

func TestNothingIsKeptOfALayerThatIsOver(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	y, d := p.layers()[0], p.engine.decoding
	d.put(y, p.unit(true))
	d.put(y, p.unit(false))
	d.drop(y)
	d.put(y, p.unit(false)) // it was on its way
	if got := d.waits(); got != "xp" {
		t.Errorf("%q waits, want xp", got)
	}
	for {
		j, ok := d.take()
		if !ok {
			break
		}
		if j.unit != nil {
			j.unit.Release()
		}
	}
	if n := len(d.backlogs); n != 0 {
		t.Errorf("%d layers are remembered, want none", n)
	}
}
