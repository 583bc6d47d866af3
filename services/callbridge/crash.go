package callbridge

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"rotunda/services/callbridge/ledger"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sip"
)

// restarted is the alarm of a Call Bridge that ended while calls were up. The reference names none; this is one of ours. It stays for
// restartedFor, in which somebody will look, or until the next orderly end.
const (
	restarted    = "callBridgeUnexpectedRestart"
	restartedFor = 24 * time.Hour
)

// upFile is the ledger of the calls that are up.
const upFile = "calls-up"

// mark notes for the next process what this one has: how many legs, and the dialogs with their far ends. A process that finds something at its start
// follows one that was killed. What calls are about is lost with the process.
type mark struct {
	ledger *ledger.Ledger

	mu   sync.Mutex
	legs int
}

// remains are what the process before this one left.
type remains struct {
	// crashed: it ended while calls were up. Dialogs are those with far ends that do not know it.
	crashed bool
	dialogs []sip.Remains
}

// openMark finds out how the process before this one ended. Without a ledger calls go on; they are not cleaned up after a crash.
func openMark(folder string, log *slog.Logger) (*mark, remains) {
	l, left, err := ledger.Open(filepath.Join(folder, upFile))
	if err != nil {
		log.Error("should the Call Bridge be killed, the far ends of its calls will not be told", "error", err)
	}
	r := remains{crashed: left.Legs > 0 || len(left.Notes) > 0}
	for _, note := range left.Notes {
		d, err := sip.ReadRemains(note)
		if err != nil {
			log.Warn("the far end of a call before the crash is not known", "error", err)
			continue
		}
		r.dialogs = append(r.dialogs, d)
	}
	return &mark{ledger: l}, r
}

// note follows the changes of meetings.
func (m *mark) note(c meeting.Change) {
	by := 0
	switch c.Kind {
	case meeting.LegBegan:
		by = 1
	case meeting.LegOver:
		by = -1
	default:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.legs += by
	m.ledger.Legs(m.legs)
}

// keep notes a dialog ([sip.Options.Keep]).
func (m *mark) keep(r sip.Remains) (forget func()) {
	at := m.ledger.Put(r.Note())
	return func() { m.ledger.Take(at) }
}

func (m *mark) close() error { return m.ledger.Close() }

// How far ends of a killed process are told: when SIP listens again, so many at a time, since a proxy that all calls went through would take all at
// once for a flood.
const (
	buryLook   = 50 * time.Millisecond
	buryAtOnce = 100
	buryEvery  = 250 * time.Millisecond
)

// bury tells the far ends of calls of a process that was killed that these are over: they would stay in them, and hear nothing, until their session
// timers end. One that cannot be reached finds out by itself.
func (c *calls) bury(ctx context.Context, list []sip.Remains) error {
	if len(list) == 0 {
		return nil
	}
	tick := time.NewTicker(buryLook)
	defer tick.Stop()
	for len(c.agent.Addresses()) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	tick.Reset(buryEvery)
	answers := make(chan error, len(list))
	for i, r := range list {
		if i > 0 && i%buryAtOnce == 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
		c.agent.Bury(r, func(err error) { answers <- err })
	}
	told := 0
	for range list {
		select {
		case <-ctx.Done():
			return nil
		case err := <-answers:
			if err == nil {
				told++
			} else {
				c.b.log.Info("the far end of a call before the crash cannot be told", "error", err)
			}
		}
	}
	c.b.log.Info("far ends of calls before the crash were told that these are over", "calls", len(list), "told", told)
	return nil
}
