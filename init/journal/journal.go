// Package journal is the machine's own log: what init, the services and the kernel say, one line each, in the layout
// that the tools of the field read:
//
//	Feb 23 09:02:21.588 user.info rotunda cli: text
//
// Lines are kept in two files, "messages" and "audit" (facility local0), each with [Predecessors] named "messages.1" and up, the
// newest first; the oldest lines make room for the newest. What forwards the log and what shows it reads those files (see
// [Reader]): no reader can hold PID 1 up, and a reader that was away goes on where it was. Before the data partition is there, and while it cannot be written, lines wait in memory,
// at most [pending] of them and [pendingBytes], a quarter of it for the audit log; the oldest stay, and the log says how many came too late.
//
// A power cut loses lines of the last second at most: the writer syncs a file that grew once a second. Nothing that calls
// [Journal.Log] ever waits for the disk.
package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rotunda/init/plain"
)

// Priority is facility*8 + severity, RFC 5424 section 6.2.1.
type Priority int

// The priorities that init itself uses.
const (
	KernWarning   Priority = 0*8 + 4
	UserInfo      Priority = 1*8 + 6
	DaemonError   Priority = 3*8 + 3
	DaemonWarning Priority = 3*8 + 4
	DaemonNotice  Priority = 3*8 + 5
	DaemonInfo    Priority = 3*8 + 6
	Audit         Priority = 16*8 + 6
)

var facilities = [...]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

var severities = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

// String is "local0.info" for 134.
func (p Priority) String() string {
	if p < 0 || int(p) >= len(facilities)*8 {
		p = UserInfo
	}
	return facilities[p/8] + "." + severities[p%8]
}

// audit says that lines of this priority are of the audit log.
func (p Priority) audit() bool { return p/8 == Audit/8 }

const (
	// maxLine in bytes; a longer message is cut.
	maxLine = 8 << 10
	// pending lines wait in memory for the disk, with pendingBytes of text: PID 1 is to stay below 24 MiB.
	pending      = 4096
	pendingBytes = 4 << 20
	// fileSize at which a file makes way for its successor.
	fileSize = 8 << 20
	// Predecessors of each file: 96 MiB of each kind at most. 10,000 lines of [maxLine], what a log server may miss in an
	// outage, are 80 MiB.
	Predecessors = 11
	tick         = time.Second
)

// MessagesFile and AuditFile are the names of the two files.
const (
	MessagesFile = "messages"
	AuditFile    = "audit"
)

// Journal is safe for concurrent use.
type Journal struct {
	mu       sync.Mutex
	hostname string
	lines    []line
	waiting  int // bytes of lines
	dropped  int
	wake     chan struct{}

	dir    string
	gid    int
	files  map[string]*os.File
	closed chan struct{}
	done   chan struct{}
}

type line struct {
	audit bool
	text  string
}

// New returns a journal that keeps lines in memory until [Journal.Open].
func New() *Journal {
	return &Journal{hostname: "rotunda", wake: make(chan struct{}, 1), files: map[string]*os.File{}}
}

// SetHostname names the machine in the lines to come.
func (j *Journal) SetHostname(name string) {
	j.mu.Lock()
	j.hostname = name
	j.mu.Unlock()
}

// Open starts to write into dir. Members of the group gid may read the files.
func (j *Journal) Open(dir string, gid int) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if err := os.Chown(dir, 0, gid); err != nil && os.Geteuid() == 0 {
		return fmt.Errorf("open journal: %w", err)
	}
	j.dir, j.gid = dir, gid
	j.closed, j.done = make(chan struct{}), make(chan struct{})
	go j.write()
	return nil
}

// Close writes what waits, syncs and closes the files.
func (j *Journal) Close() {
	if j.closed == nil {
		return
	}
	close(j.closed)
	<-j.done
	j.closed = nil
}

// Log adds one line. What is not to be shown as it is (see [plain.Line]) becomes a blank.
func (j *Journal) Log(p Priority, tag, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	// The last quarter is for the audit log: whoever makes others talk must not silence it.
	lines, bytes := pending, pendingBytes
	if !p.audit() {
		lines, bytes = lines/4*3, bytes/4*3
	}
	if len(j.lines) >= lines || j.waiting >= bytes {
		j.dropped++
		return
	}
	j.lines = append(j.lines, j.format(p, tag, clean(text)))
	j.waiting += len(j.lines[len(j.lines)-1].text)
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// format makes a line of the time that it is now. The caller holds mu.
func (j *Journal) format(p Priority, tag, text string) line {
	now := time.Now().UTC().Format("Jan _2 15:04:05.000")
	return line{audit: p.audit(), text: now + " " + p.String() + " " + j.hostname + " " + tag + ": " + text + "\n"}
}

// Line takes a line that a service printed: "<134>cli: text" names its own priority and tag, any other is user.info
// under the service's name. The audit log takes lines of the tags audits alone: a service that somebody has
// taken over must not be able to tell of others what they have not done. What it is not to have is a warning in the other log.
func (j *Journal) Line(service string, audits []string, text string) {
	p, tag, said := ParseLine(service, text)
	if p.audit() && !slices.Contains(audits, tag) {
		p, tag, said = DaemonWarning, service, "this service may not write into the audit log as "+tag+": "+said
	}
	j.Log(p, tag, said)
}

// ParseLine splits "<PRI>tag: text". A tag is at most 32 letters, digits and "_-[]:." without a blank.
func ParseLine(service, s string) (Priority, string, string) {
	rest, ok := strings.CutPrefix(s, "<")
	if !ok {
		return UserInfo, service, s
	}
	digits, rest, ok := strings.Cut(rest, ">")
	p := 0
	if !ok || len(digits) == 0 || len(digits) > 3 {
		return UserInfo, service, s
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return UserInfo, service, s
		}
		p = p*10 + int(c-'0')
	}
	if p >= len(facilities)*8 {
		return UserInfo, service, s
	}
	if tag, text, ok := strings.Cut(rest, ": "); ok && isTag(tag) {
		return Priority(p), tag, text
	}
	return Priority(p), service, rest
}

func isTag(s string) bool {
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("_-[]:.", c):
		default:
			return false
		}
	}
	return true
}

func clean(s string) string {
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return strings.TrimRight(plain.Line(s, ' '), " ")
}

// write is the one goroutine that touches the disk.
func (j *Journal) write() {
	defer close(j.done)
	timer := time.NewTicker(tick)
	defer timer.Stop()
	dirty := map[*os.File]bool{}
	wake := j.wake
	for {
		ending := false
		select {
		case <-j.closed:
			ending = true
		case <-wake:
		case <-timer.C:
			for f := range dirty {
				f.Sync()
				delete(dirty, f)
			}
		}
		// After a refusal by the disk the timer alone tries again.
		wake = j.wake
		if !j.flush(dirty) {
			wake = nil
		}
		for name, f := range j.files {
			if st, err := f.Stat(); err == nil && st.Size() > fileSize {
				f.Sync()
				f.Close()
				delete(dirty, f)
				delete(j.files, name)
				j.makeWay(name)
			}
		}
		if ending {
			for _, f := range j.files {
				f.Sync()
				f.Close()
			}
			j.files = map[string]*os.File{}
			return
		}
	}
}

// makeWay moves a file and its predecessors on by one, the oldest first, so that at every moment each of them has a name and the
// order of the names is that of the lines.
func (j *Journal) makeWay(name string) {
	for n := Predecessors; n > 0; n-- {
		_ = os.Rename(filepath.Join(j.dir, generation(name, n-1)), filepath.Join(j.dir, generation(name, n)))
	}
}

// generation is the name of a file's n-th predecessor, of the file itself for 0.
func generation(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, n)
}

// flush writes the lines that wait. Those that the disk does not take go on waiting, in front of what has come meanwhile.
func (j *Journal) flush(dirty map[*os.File]bool) (ok bool) {
	j.mu.Lock()
	lines, dropped := j.lines, j.dropped
	j.lines, j.waiting, j.dropped = nil, 0, 0
	if dropped > 0 {
		lines = append(lines, j.format(DaemonWarning, "journal", fmt.Sprintf("%d lines lost: the disk did not take them", dropped)))
	}
	j.mu.Unlock()
	for n, l := range lines {
		if err := j.put(l, dirty); err != nil {
			j.mu.Lock()
			j.lines = append(lines[n:], j.lines...)
			for _, l := range lines[n:] {
				j.waiting += len(l.text)
			}
			j.mu.Unlock()
			return false
		}
	}
	return true
}

func (j *Journal) put(l line, dirty map[*os.File]bool) error {
	name := MessagesFile
	if l.audit {
		name = AuditFile
	}
	f, err := j.file(name)
	if err != nil {
		return err
	}
	if n, err := f.WriteString(l.text); err != nil {
		if n > 0 {
			// The rest of a line would follow on the next; better the whole one once more.
			_, _ = f.WriteString("\n")
		}
		return err
	}
	dirty[f] = true
	return nil
}

func (j *Journal) file(name string) (*os.File, error) {
	if f := j.files[name]; f != nil {
		return f, nil
	}
	f, err := os.OpenFile(filepath.Join(j.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	// Without root, as on a developer's machine, the group stays the caller's own.
	_ = f.Chown(os.Geteuid(), j.gid)
	j.files[name] = f
	return f, nil
}
