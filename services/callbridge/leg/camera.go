package leg

// Camera implements [meeting.Line].
func (l *Line) Camera(pan, tilt, zoom, focus string) {
	l.q.add(func() {
		if l.camera != nil {
			l.camera.Move(pan, tilt, zoom, focus)
		}
	})
}

// cameraEnd is the way to the far end's camera.
type cameraEnd interface {
	// Move moves it one step in each direction that is not empty.
	Move(pan, tilt, zoom, focus string)
	Close()
}
