package callbridge

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rotunda/services/callbridge/meeting"
)

// restarted is the alarm of a Call Bridge that ended while calls were up. The reference names none; this is one of ours. It stays for
// restartedFor, in which somebody will look, or until the next orderly end.
const (
	restarted    = "callBridgeUnexpectedRestart"
	restartedFor = 24 * time.Hour
)

// upFile is there while calls are up. It says nothing but that: what it is about is lost with the process.
const upFile = "calls-up"

// mark keeps a file for as long as there are call legs. A process that finds it at its start follows one that ended without telling the far
// ends. It is not flushed to the disk: after a power cut, the calls ended for a reason that everybody knows.
type mark struct {
	path string

	mu   sync.Mutex
	legs int
	err  error
}

// openMark says whether the process before this one ended while calls were up.
func openMark(folder string) (m *mark, crashed bool) {
	m = &mark{path: filepath.Join(folder, upFile)}
	err := os.Remove(m.path)
	return m, err == nil
}

// note follows the changes of meetings.
func (m *mark) note(c meeting.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch c.Kind {
	case meeting.LegBegan:
		if m.legs++; m.legs == 1 {
			m.err = os.WriteFile(m.path, nil, 0o600)
		}
	case meeting.LegOver:
		if m.legs--; m.legs == 0 {
			if err := os.Remove(m.path); !errors.Is(err, fs.ErrNotExist) {
				m.err = err
			}
		}
	}
}
