package callbridge

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"

	"rotunda/services/callbridge/sip"
)

// sipTrace writes SIP messages to the log while "sip" is traced (guide chapter 16.1), a line of a message as a line of the log, without what
// is secret in it ([sip.Trace.String]).
type sipTrace struct {
	log *slog.Logger
	// queue is what waits to be written; what does not fit is counted.
	queue chan sip.Trace
	lost  atomic.Uint64
}

// traceQueue messages wait at most: SIP must not wait for the log.
const traceQueue = 512

func newSIPTrace(log *slog.Logger) *sipTrace {
	return &sipTrace{log: log, queue: make(chan sip.Trace, traceQueue)}
}

// take does not wait, and does not keep the message.
func (t *sipTrace) take(m sip.Trace) {
	m.Message = bytes.Clone(m.Message)
	select {
	case t.queue <- m:
	default:
		t.lost.Add(1)
	}
}

// run writes until the context ends.
func (t *sipTrace) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-t.queue:
			t.write(m)
		}
	}
}

func (t *sipTrace) write(m sip.Trace) {
	for line := range strings.Lines(m.String()) {
		t.log.Info("SIP trace: " + strings.TrimRight(line, "\r\n"))
	}
	if n := t.lost.Swap(0); n > 0 {
		t.log.Warn("SIP trace: messages came faster than they could be written", "left out", n)
	}
}

// traced asks whether something is traced now.
func (b *bridge) traced(name string) func() bool {
	return func() bool { return b.traces.Remaining(name) > 0 }
}

// traceFloor logs messages of BFCP while "bfcp" is traced: they are a few dozen bytes, and few.
func (b *bridge) traceFloor(in bool, remote netip.AddrPort, message []byte) {
	if b.traces.Remaining("bfcp") <= 0 {
		return
	}
	way := "sent to"
	if in {
		way = "received from"
	}
	b.log.Info("BFCP trace: "+way+" "+remote.String(), "bytes", hex.EncodeToString(message))
}
