package callbridge

import (
	"testing"
	"time"
)

func TestTracesEndByThemselves(t *testing.T) {
	b := &bridge{traces: newTraces()}
	on := b.traced("events")
	if on() {
		t.Fatal("it is traced from the beginning")
	}
	b.traces.Trace("events", time.Hour)
	if !on() || b.traced("ice")() {
		t.Error("want events to be traced, and nothing else")
	}
	ended := make(chan struct{})
	b.traces.changed = func(name string, on bool) {
		if name == "events" && !on {
			close(ended)
		}
	}
	b.traces.Trace("events", time.Millisecond*50)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the trace does not end")
	}
	if on() {
		t.Error("it is traced after its end")
	}
}
