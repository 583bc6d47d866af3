package callbridge

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"

	"rotunda/services/callbridge/sip"
)

// sipTrace writes SIP messages to the log while "sip" is traced (guide chapter 16.1), a line of a message as a line of the log. What lets
// others in is left out: keys of media, answers to digest challenges, and the key tones of INFO, which may be passcodes.
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
	way, preposition := "sent", "to"
	if m.In {
		way, preposition = "received", "from"
	}
	t.log.Info("SIP trace: "+way+" "+preposition, "far", m.Remote, "near", m.Local, "transport", m.Transport, "at", m.At.UTC().Format("15:04:05.000000"),
		"bytes", len(m.Message))
	for _, text := range strings.Split(strings.TrimRight(clean(string(m.Message)), "\r\n"), "\n") {
		t.log.Info("SIP trace: | " + strings.TrimRight(text, "\r"))
	}
	if n := t.lost.Swap(0); n > 0 {
		t.log.Warn("SIP trace: messages came faster than they could be written", "left out", n)
	}
}

var (
	keysOfMedia = regexp.MustCompile(`inline:[^\s|;]+`)
	digests     = regexp.MustCompile(`(?i)(response|rspauth|nextnonce)="[^"]*"`)
	dtmfBody    = regexp.MustCompile(`(?im)^content-type\s*:\s*application/(dtmf|dtmf-relay|kpml-response\+xml)\b|^c\s*:\s*application/(dtmf|dtmf-relay|kpml-response\+xml)\b`)
)

// clean takes secrets out of a message.
func clean(message string) string {
	head, body, cut := strings.Cut(message, "\r\n\r\n")
	if cut && dtmfBody.MatchString(head) {
		body = "(key tones)"
	}
	if cut {
		head += "\r\n\r\n" + body
	}
	return digests.ReplaceAllString(keysOfMedia.ReplaceAllString(head, "inline:(key)"), `$1="(secret)"`)
}
