package database

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The priorities of lines, RFC 5424: facility daemon.
const (
	daemonError   = 27
	daemonWarning = 28
	daemonInfo    = 30
)

// Lines writes what a service says, one line each, in the form that PID 1 reads from it.
type Lines struct {
	mu sync.Mutex
	to io.Writer
}

func (l *Lines) line(priority int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.to, "<%d>database: %s\n", priority, strings.ReplaceAll(text, "\n", " "))
}

func (l *Lines) info(format string, args ...any) { l.line(daemonInfo, fmt.Sprintf(format, args...)) }
func (l *Lines) warning(format string, args ...any) {
	l.line(daemonWarning, fmt.Sprintf(format, args...))
}
func (l *Lines) error(format string, args ...any) { l.line(daemonError, fmt.Sprintf(format, args...)) }

// etcd is a logger for etcd's warnings and errors. On a slow disk it would say the same for every request: three lines of each
// message go through in a minute.
func (l *Lines) etcd() *zap.Logger {
	return zap.New(zapcore.NewSamplerWithOptions(&core{lines: l}, time.Minute, 3, 0))
}

// panicking makes a logger panic where it would end the process.
func panicking(l *zap.Logger) *zap.Logger {
	return l.WithOptions(zap.WithFatalHook(zapcore.WriteThenPanic))
}

// life is what etcd's logger does in the stages of a node. While it starts, etcd's way to give up is a panic that Open turns into an
// error; later it is the end of the process, which PID 1 starts anew, and a trace would say no more than the line. While it ends,
// etcd finds fault with its own closed sockets.
type life struct{ running, ending atomic.Bool }

func (l *life) logger(of *zap.Logger) *zap.Logger {
	return of.WithOptions(zap.WithFatalHook(l), zap.WrapCore(func(c zapcore.Core) zapcore.Core { return &lifeCore{c, l} }))
}

// OnWrite is what happens after a last line.
func (l *life) OnWrite(e *zapcore.CheckedEntry, _ []zapcore.Field) {
	if l.running.Load() {
		os.Exit(1)
	}
	panic(e.Message)
}

type lifeCore struct {
	zapcore.Core
	life *life
}

func (c *lifeCore) With(fields []zapcore.Field) zapcore.Core {
	return &lifeCore{c.Core.With(fields), c.life}
}

func (c *lifeCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.life.ending.Load() && e.Level < zapcore.DPanicLevel {
		return ce
	}
	return c.Core.Check(e, ce)
}

// core is zap's end: it turns an entry into a line.
type core struct {
	lines  *Lines
	fields []zapcore.Field
}

// usual are messages about our settings that are meant so.
var usual = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
	// It looks whether an old segment of the log is still in use by trying to lock it.
	"failed to lock file": true,
	// Said of every request beside the line that one took too long.
	"request stats": true,
	// Tests elect and flush as no server should.
	"running etcd with unsafe-no-fsync": true,
}

func (c *core) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{c.lines, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) || usual[e.Message] {
		return ce
	}
	return ce.AddCore(e, c)
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var b strings.Builder
	b.WriteString("etcd: " + e.Message)
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		if !loggable(f) {
			continue
		}
		f.AddTo(encoder)
		fmt.Fprintf(&b, " %s=%v", f.Key, encoder.Fields[f.Key])
	}
	priority := daemonWarning
	if e.Level >= zapcore.ErrorLevel {
		priority = daemonError
	}
	c.lines.line(priority, b.String())
	return nil
}

// loggable leaves out what may be a key or a value: those hold passcodes.
func loggable(f zapcore.Field) bool {
	switch f.Type {
	case zapcore.ErrorType, zapcore.DurationType, zapcore.BoolType, zapcore.Int64Type, zapcore.Uint64Type, zapcore.Float64Type:
		return true
	case zapcore.StringType:
		return f.Key == "path" || f.Key == "took" || f.Key == "expected-duration" || f.Key == "error" || f.Key == "alarm"
	}
	return false
}

func (c *core) Sync() error { return nil }
