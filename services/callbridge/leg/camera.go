package leg

import (
	"rotunda/services/callbridge/camera"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sdp"
)

// cameraControl is the way to the far end's camera, and from the far end to those of others.
type cameraControl struct {
	l *Line
	e *camera.Endpoint
	// capable: the far end said that its camera can be moved.
	capable bool
}

var _ camera.Handler = (*cameraControl)(nil)

// openCamera takes a port for camera control, if the description about to be written has a use for one.
func (l *Line) openCamera(wanted bool) {
	if !wanted || len(l.local) == 0 {
		return // see openFloor
	}
	if l.camera != nil && !l.reached(l.camera.e.Local()) {
		l.closeCamera()
	}
	if l.camera != nil {
		return
	}
	c := &cameraControl{l: l}
	local := l.session.Near(l.local)
	e, err := camera.Open(camera.Config{Local: local, DSCP: l.legs.mark(local, "low-latency"), Log: l.log}, c)
	if err != nil {
		l.log.Warn("there is no port for camera control; the call has none", "error", err)
		return
	}
	c.e = e
	l.camera = c
}

func (l *Line) closeCamera() {
	if l.camera != nil {
		l.camera.e.Close()
		l.camera = nil
	}
}

// agreeCamera has the endpoint know what was agreed on.
func (l *Line) agreeCamera(a *sdp.Camera) {
	switch {
	case l.camera == nil:
	case a == nil:
		l.closeCamera()
	default:
		if err := l.camera.e.Agree(camera.Agreement{Remote: a.Remote, SendPayloadType: a.SendPayloadType, ReceivePayloadType: a.ReceivePayloadType, Keys: a.Keys, Held: a.Held}); err != nil {
			l.log.Warn("camera control cannot be agreed on", "error", err)
			l.closeCamera()
		}
	}
}

// Capable implements [camera.Handler].
func (c *cameraControl) Capable(what camera.Capabilities) {
	c.l.q.add(func() {
		if c.l.camera == c && c.capable != what.Camera {
			c.capable = what.Camera
			c.l.changed()
		}
	})
}

// Asked implements [camera.Handler].
func (c *cameraControl) Asked(r camera.Request) {
	// More than the queue takes are dropped: a movement ends by itself.
	c.l.q.offer(func() {
		if to := c.l.cameraOf; to != nil && c.l.camera == c {
			to.q.offer(func() { to.pass(r) })
		}
	})
}

// pass gives somebody else's wish to the far end.
func (l *Line) pass(r camera.Request) {
	if l.camera == nil {
		return
	}
	if err := l.camera.e.Send(r); err != nil {
		l.log.Debug("a camera request is not passed on", "error", err)
	}
}

// Camera implements [meeting.Line].
func (l *Line) Camera(pan, tilt, zoom, focus string) {
	l.q.add(func() {
		if l.camera != nil {
			l.camera.e.Move(pan, tilt, zoom, focus)
		}
	})
}

// CameraOf says whose camera the far end of this leg moves when it moves one: that of another SIP leg, or nobody's for nil and for lines of
// other kinds. In a gateway call it is the other side's.
func (l *Line) CameraOf(other meeting.Line) {
	to, _ := other.(*Line)
	if to == l {
		to = nil
	}
	l.q.add(func() { l.cameraOf = to })
}
