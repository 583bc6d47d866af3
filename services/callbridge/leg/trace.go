package leg

import (
	"bytes"
	"strings"

	"rotunda/services/media/control"
)

// traceICE logs how the media of a leg find their way: candidates, and what becomes of transports. There is nothing secret in that.
func (l *Line) traceICE(e control.Event) {
	if e.Event != control.EventTransport && e.Event != control.EventCandidates || !l.legs.o.TraceICE() {
		return
	}
	l.log.Info("ICE trace: "+e.Event, "transport", e.Transport, "state", e.State, "cipher", e.Cipher, "text", e.Text)
}

// traceOffered logs the candidates that a far end describes, without the passwords beside them, and whether it offers ActiveControl (a channel for
// iX, which is not taken).
func (l *Line) traceOffered(description []byte) {
	if l.legs.o.TraceICE() {
		for line := range strings.Lines(string(description)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "a=candidate:") || line == "a=ice-lite" || strings.HasPrefix(line, "a=end-of-candidates") {
				l.log.Info("ICE trace: the far end describes", "line", line)
			}
		}
	}
	if l.legs.o.TraceControl() {
		l.log.Info("ActiveControl trace: a session description came", "offersActiveControl", bytes.Contains(description, []byte("UDP/UDT/IX")))
	}
}
