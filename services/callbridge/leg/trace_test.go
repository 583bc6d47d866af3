package leg

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"rotunda/services/media/control"
)

func TestTracesAreWrittenWhileTheyAreOn(t *testing.T) {
	var ice, active atomic.Bool
	var b bytes.Buffer
	s := New(Options{TraceICE: ice.Load, TraceControl: active.Load})
	l := &Line{legs: s, log: slog.New(slog.NewTextHandler(&b, nil))}
	description := []byte("m=audio 5000 RTP/AVP 0\r\na=ice-pwd:verysecretpassword\r\na=candidate:1 1 UDP 1 192.0.2.9 5000 typ host\r\nm=application 9 UDP/UDT/IX *\r\n")
	say := func() string {
		b.Reset()
		l.traceOffered(description)
		l.traceICE(control.Event{Event: control.EventTransport, State: "connected"})
		l.traceICE(control.Event{Event: control.EventKey})
		return b.String()
	}
	if said := say(); said != "" {
		t.Errorf("want nothing, got %s", said)
	}
	ice.Store(true)
	if said := say(); strings.Count(said, "ICE trace") != 2 || !strings.Contains(said, "192.0.2.9 5000 typ host") || !strings.Contains(said, "connected") || strings.Contains(said, "secret") {
		t.Errorf("want the candidate and the state, and no password, got %s", said)
	}
	ice.Store(false)
	active.Store(true)
	if said := say(); !strings.Contains(said, "offersActiveControl=true") || strings.Contains(said, "ICE") {
		t.Errorf("want what is offered of ActiveControl alone, got %s", said)
	}
}
