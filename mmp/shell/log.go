package shell

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Priorities as in RFC 5424 section 6.2.1: the facility times 8 plus the severity. What somebody did is of facility local0
// (16), which is the audit log; all else is of facility daemon (3), so that connections of strangers and crashes neither
// hide in the audit log nor push out what it holds.
const (
	priorityAudit   = 16*8 + 6
	priorityError   = 3*8 + 3
	priorityWarning = 3*8 + 4
	priorityInfo    = 3*8 + 6
)

// Log writes lines for the journal, each in one write and led by its priority and the tag "cli".
type Log struct {
	mu  sync.Mutex
	out io.Writer
}

// NewLog returns a log that writes to out, which is the standard error of the process.
func NewLog(out io.Writer) *Log { return &Log{out: out} }

// Audit records what somebody did.
func (l *Log) Audit(format string, a ...any) { l.write(priorityAudit, format, a...) }

// audits records what somebody did in several steps, in one write: each wakes PID 1, which writes it down.
func (l *Log) audits(texts []string) {
	if len(texts) > 0 {
		l.Line(priorityAudit, "cli", strings.Join(texts, "\n"))
	}
}

// Info records what happened by itself.
func (l *Log) Info(format string, a ...any) { l.write(priorityInfo, format, a...) }

// Warn records what an administrator may want to look at.
func (l *Log) Warn(format string, a ...any) { l.write(priorityWarning, format, a...) }

// Error records what is broken.
func (l *Log) Error(format string, a ...any) { l.write(priorityError, format, a...) }

func (l *Log) write(priority int, format string, a ...any) {
	l.Line(priority, "cli", fmt.Sprintf(format, a...))
}

// Line records a text under another priority and tag. A text of several lines becomes several entries.
func (l *Log) Line(priority int, tag, text string) {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(&b, "<%d>%s: %s\n", priority, tag, part)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// There is nowhere left to report that the journal is gone.
	_, _ = io.WriteString(l.out, b.String())
}
