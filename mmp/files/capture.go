package files

import (
	"io/fs"
	"os"
)

// CaptureRoom says how large a capture of that name may become, in bytes, and how much of the disk it has to leave. The file itself
// is made by init, which does not know of quotas.
func (s *Store) CaptureRoom(name string) (limit int64, spare uint64, err error) {
	e, ok := classify(name)
	if !ok || !fits("*.pcap", name) || e.partial {
		return 0, 0, refusal(ErrRefused, "%.160q cannot be the name of a capture", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Lstat(s.path(e)); err == nil {
		return 0, 0, refusal(fs.ErrExist, "there already is a file %s", name)
	}
	found, err := s.scan(e.where())
	if err != nil {
		return 0, 0, s.broken("store", name, err)
	}
	total, count := int64(0), 0
	for _, f := range found {
		if f.class == e.class {
			total += f.info.Size()
			count++
		}
	}
	switch left := e.maxTotal - total; {
	case count >= e.maxCount:
		return 0, 0, refusal(ErrFull, "there are already %d packet captures, remove one first", count)
	case left < mib:
		return 0, 0, refusal(ErrFull, "packet captures may take %s together, remove one first", bytesText(e.maxTotal))
	default:
		limit = min(e.maxSize, left)
	}
	if err := s.fitsDisk(e, captureSpare+mib); err != nil {
		return 0, 0, err
	}
	return limit, reserve(e.where()) + captureSpare, nil
}

// captureSpare is left for logs, configuration and uploads beside what the machine itself needs: a capture that runs over night is no
// reason why a certificate cannot be stored in the morning.
const captureSpare = 64 * mib
