package callbridge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"rotunda/services/callbridge/api"
)

// lines writes log records as lines that PID 1 passes on to syslog: <priority>callbridge: message attribute=value. What is for the audit
// log is also in the log.
type lines struct {
	to    io.Writer
	attrs []slog.Attr
}

// one keeps lines of several goroutines apart.
var one sync.Mutex

// Enabled implements [slog.Handler].
func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	// The facility user, and the severities of RFC 5424 section 6.2.1.
	priority, audit := 14, r.Level == api.LevelAudit
	switch {
	case r.Level >= slog.LevelError:
		priority = 11
	case r.Level >= slog.LevelWarn:
		priority = 12
	}
	var b strings.Builder
	fmt.Fprintf(&b, "callbridge: %s", r.Message)
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		if value == "" || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c == '"' || c == '=' }) {
			value = strconv.Quote(value)
		}
		b.WriteString(" " + a.Key + "=" + value)
		return true
	}
	for _, a := range l.attrs {
		add(a)
	}
	r.Attrs(add)
	text := strings.Map(func(c rune) rune {
		// A line is a line, whatever came in with a message.
		if c < ' ' && c != '\t' || c == 0x7f {
			return ' '
		}
		return c
	}, b.String())
	text = fmt.Sprintf("<%d>%s\n", priority, text)
	if audit {
		text += "<134" + strings.TrimPrefix(text, "<14")
	}
	one.Lock()
	defer one.Unlock()
	_, err := io.WriteString(l.to, text)
	return err
}

// WithAttrs implements [slog.Handler].
func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lines{to: l.to, attrs: append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup implements [slog.Handler]; names of groups are left out.
func (l *lines) WithGroup(string) slog.Handler { return l }
