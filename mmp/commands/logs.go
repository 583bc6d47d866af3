package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"rotunda/init/journal"
	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
)

// LogKeeper stores a log for good.
type LogKeeper interface {
	Keep(ctx context.Context, p files.Person, kind files.LogKind, name string, content io.Reader) (int64, error)
}

const (
	// tailLines is how much "tail" and "follow" show where nothing else is said, maxTail the most.
	tailLines = 10
	maxTail   = 10000
	// pageLines leaves room for the question on a terminal of 24 lines.
	pageLines = 22
	// followEvery is how often a log is looked at for new lines.
	followEvery = 200 * time.Millisecond
)

// logCommands show the two logs; the audit log has the same commands with one word more.
func (d Deps) logCommands() []grammar.Command {
	var list []grammar.Command
	for _, l := range []struct {
		verb, what, file string
		kind             files.LogKind
		roles            []grammar.Role
	}{
		{"syslog", "the log", journal.MessagesFile, files.SystemLog, admins},
		{"syslog audit", "the audit log", journal.AuditFile, files.AuditLog, auditReaders},
	} {
		list = append(list,
			grammar.Command{
				Syntax: l.verb + " follow", Roles: l.roles,
				Help: "Show what is written to " + l.what + ", until Ctrl-C",
				Run:  func(c *grammar.Call) error { return d.follow(c, l.file) },
			},
			grammar.Command{
				Syntax: l.verb + fmt.Sprintf(" tail [<lines:1..%d>]", maxTail), Roles: l.roles,
				Help: "Show the newest lines of " + l.what + ", 10 of them unless told",
				Run:  func(c *grammar.Call) error { return d.tail(c, l.file) },
			},
			grammar.Command{
				Syntax: l.verb + " search <string:text>", Roles: l.roles,
				Help:   "Show the lines of " + l.what + " that contain a text, in capitals or not",
				Detail: "Blanks need double quotes.",
				Run:    func(c *grammar.Call) error { return d.searchLog(c, l.file) },
			},
			grammar.Command{
				Syntax: l.verb + " page", Roles: l.roles,
				Help: "Show " + l.what + " page by page",
				Run:  func(c *grammar.Call) error { return d.page(c, l.file) },
			},
			grammar.Command{
				Syntax: l.verb + " dump <filename:file> [<from:logtime> [<to:logtime>]]", Roles: l.roles,
				Help:   "Keep what " + l.what + " has of a time as a file",
				Detail: "For example " + l.verb + " dump monday 2026-05-04 2026-05-05T06:00:00. Times are in UTC, as those in the log. The file is at SFTP.",
				Run:    func(c *grammar.Call) error { return d.dump(c, l.file, l.kind) },
			},
			grammar.Command{
				Syntax: l.verb + " rotate <filename:file>", Roles: l.roles,
				Help:   "Keep all of " + l.what + " for good, as a file",
				Detail: "For example " + l.verb + " rotate before_upgrade. The file is at SFTP and stays until it is removed there; the log itself goes on.",
				Run:    func(c *grammar.Call) error { return d.dump(c, l.file, l.kind) },
			},
		)
	}
	return list
}

func (d Deps) logFolder() (string, error) {
	if d.Logs == "" {
		return "", errors.New("the log cannot be read: there is no storage")
	}
	return d.Logs, nil
}

// lines reads a log to its end.
func lines(ctx context.Context, r *journal.Reader, each func(string) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(string(line)); err != nil {
			return err
		}
	}
}

func (d Deps) follow(c *grammar.Call, file string) error {
	folder, err := d.logFolder()
	if err != nil {
		return err
	}
	r := journal.NewReader(folder, file)
	defer r.Close()
	if err := r.SeekBack(tailLines); err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := lines(c.Context, r, func(l string) error {
			_, err := fmt.Fprintf(c.Out, "%s\n", printable(l))
			return err
		}); err != nil {
			return err
		}
		select {
		case <-c.Context.Done():
			return c.Context.Err()
		case <-tick.C:
		}
	}
}

func (d Deps) tail(c *grammar.Call, file string) error {
	folder, err := d.logFolder()
	if err != nil {
		return err
	}
	n := tailLines
	if c.Has("lines") {
		n = c.Int("lines")
	}
	list, err := journal.Tail(folder, file, n)
	if err != nil {
		return err
	}
	for _, l := range list {
		c.Printf("%s\n", printable(l))
	}
	return nil
}

func (d Deps) searchLog(c *grammar.Call, file string) error {
	folder, err := d.logFolder()
	if err != nil {
		return err
	}
	r := journal.NewReader(folder, file)
	defer r.Close()
	wanted := strings.ToLower(c.Arg("string"))
	return lines(c.Context, r, func(l string) error {
		if !strings.Contains(strings.ToLower(l), wanted) {
			return nil
		}
		_, err := fmt.Fprintf(c.Out, "%s\n", printable(l))
		return err
	})
}

// errPaged ends a reading that somebody has seen enough of.
var errPaged = errors.New("enough")

func (d Deps) page(c *grammar.Call, file string) error {
	folder, err := d.logFolder()
	if err != nil {
		return err
	}
	r := journal.NewReader(folder, file)
	defer r.Close()
	shown := 0
	err = lines(c.Context, r, func(l string) error {
		if shown == pageLines && c.Caller.Terminal != nil {
			answer, err := c.Ask("Press Return for more, q to end: ")
			if errors.Is(err, grammar.ErrAborted) || strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "q") {
				return errPaged
			}
			if err != nil {
				return err
			}
			shown = 0
		}
		shown++
		_, err := fmt.Fprintf(c.Out, "%s\n", printable(l))
		return err
	})
	if errors.Is(err, errPaged) {
		return nil
	}
	return err
}

// logTimes are the forms of a time, the shorter ones without what is zero.
var logTimes = []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05"}

func parseLogTime(w string) (time.Time, error) {
	for _, layout := range logTimes {
		if t, err := time.Parse(layout, strings.TrimSuffix(w, "Z")); err == nil {
			return t, nil
		}
	}
	// The kind's help says what is right.
	return time.Time{}, errors.New("")
}

// dump keeps a log, or what it has from one time up to another.
func (d Deps) dump(c *grammar.Call, file string, kind files.LogKind) error {
	folder, err := d.logFolder()
	if err != nil {
		return err
	}
	if d.Keeper == nil {
		return errors.New("the log cannot be kept: there is no storage")
	}
	var from, to time.Time
	if c.Has("from") {
		from, _ = parseLogTime(c.Arg("from"))
	}
	if c.Has("to") {
		if to, _ = parseLogTime(c.Arg("to")); !to.After(from) {
			return fmt.Errorf("the time from %s to %s is empty: the second has to be the later one", c.Arg("from"), c.Arg("to"))
		}
	}
	r := journal.NewReader(folder, file)
	defer r.Close()
	p := files.Person{User: c.Caller.User, Role: c.Caller.Role, Source: c.Caller.Source}
	content := &span{ctx: c.Context, reader: r, now: time.Now(), from: from, to: to}
	n, err := d.Keeper.Keep(c.Context, p, kind, c.Arg("filename"), content)
	if err != nil {
		return err
	}
	c.Printf("%s ready for download, %s\n", c.Arg("filename"), size(uint64(n)))
	return nil
}

// span reads the lines of a time. A line whose time cannot be read belongs to the one before.
type span struct {
	ctx      context.Context
	reader   *journal.Reader
	now      time.Time
	from, to time.Time
	out      bool
	rest     []byte
}

func (s *span) wants(line string) bool {
	if e, ok := journal.ParseEntry(line, s.now); ok {
		s.out = e.Time.Before(s.from) || !s.to.IsZero() && !e.Time.Before(s.to)
	}
	return !s.out
}

func (s *span) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
		line, err := s.reader.Next()
		if err != nil {
			return 0, err
		}
		if s.wants(string(line)) {
			s.rest = append(append(s.rest[:0], line...), '\n')
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
