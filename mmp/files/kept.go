package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"rotunda/mmp/grammar"
)

// Logs that an administrator keeps for good (commands "syslog rotate" and "syslog audit rotate") have any plain name that no other
// kind of file has. On the disk a prefix says what they are; it has a character that no name in the view may have. Who may
// change the machine may not remove what the audit log says of it, so kept audit logs are removed by the audit role.
var keptClasses = map[string]*class{
	"~log~": {kind: "kept log", place: transfer, read: admins, remove: admins,
		maxSize: 256 * mib, maxTotal: gib, maxCount: 32},
	"~audit~": {kind: "kept audit log", place: transfer, read: []grammar.Role{grammar.Admin, grammar.Audit}, remove: []grammar.Role{grammar.Audit},
		maxSize: 256 * mib, maxTotal: gib, maxCount: 32},
}

// LogKind says which log is kept.
type LogKind string

// The two logs.
const (
	SystemLog LogKind = "~log~"
	AuditLog  LogKind = "~audit~"
)

func keptEntry(kind LogKind, name string) entry {
	return entry{name: name, class: keptClasses[string(kind)], disk: string(kind) + name}
}

// keptOnDisk is the entry of a kept log by its name on the disk.
func keptOnDisk(disk string) (entry, bool) {
	for _, kind := range []LogKind{SystemLog, AuditLog} {
		if name, ok := strings.CutPrefix(disk, string(kind)); ok && plain(name) {
			return keptEntry(kind, name), true
		}
	}
	return entry{}, false
}

// kept finds a kept log by the name that is shown.
func (s *Store) kept(name string) (entry, bool) {
	if !plain(name) || len(name) > maxName {
		return entry{}, false
	}
	for _, kind := range []LogKind{SystemLog, AuditLog} {
		e := keptEntry(kind, name)
		if info, err := os.Lstat(s.path(e)); err == nil && info.Mode().IsRegular() {
			return e, true
		}
	}
	return entry{}, false
}

// forRead is [forRead] that also knows kept logs.
func (s *Store) forRead(p Person, name string) (entry, error) {
	e, err := forRead(p, name)
	if err == nil {
		return e, nil
	}
	if k, ok := s.kept(name); ok && may(k.read, p) {
		return k, nil
	}
	return e, err
}

// forRemove is [forRemove] that also knows kept logs.
func (s *Store) forRemove(p Person, name string) (entry, error) {
	k, ok := s.kept(name)
	switch {
	case !ok || !may(k.read, p):
		return forRemove(p, name)
	case !may(k.remove, p):
		return k, refusal(fs.ErrPermission, "%s can be removed by users of the role %s only", name, k.class.remove[0])
	}
	return k, nil
}

// Keep stores a log under a name, which must be new. Nothing is there before all of it is.
func (s *Store) Keep(ctx context.Context, p Person, kind LogKind, name string, content io.Reader) (size int64, err error) {
	if !plain(name) || len(name) > maxName || strings.HasSuffix(name, partialSuffix) {
		return 0, refusal(ErrRefused, "%.160q cannot be the name of a file: use letters, digits and . _ - @ +, for example log_2026_05_04", name)
	}
	if e, ok := classify(name); ok {
		return 0, refusal(ErrRefused, "%s is the name of another kind of file (%s): use one such as log_2026_05_04", name, e.kind)
	}
	e := keptEntry(kind, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.kept(name); there {
		return 0, refusal(fs.ErrExist, "there already is a file %s", name)
	}
	path := filepath.Join(s.cfg.Transfer, hidden+rand.Text())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return 0, s.broken("store", name, err)
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := s.fitsDisk(e, mib); err != nil {
			return 0, err
		}
		n, err := io.CopyN(f, content, mib)
		size += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, s.broken("store", name, err)
		}
		if size > e.maxSize {
			break
		}
	}
	if err := s.fitsQuota(e, size, e); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, s.broken("store", name, err)
	}
	if err := s.move(path, e); err != nil {
		return 0, s.broken("store", name, err)
	}
	s.logAs(p, syslog.LOG_INFO, fmt.Sprintf("stored %s %s, %d bytes", e.kind, name, size))
	return size, nil
}
