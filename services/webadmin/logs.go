package webadmin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxTail of a log is looked at for a page; the download has all of it.
	maxTail = 4 << 20
	// logPage lines are shown.
	logPage = 200
)

// severities by number (RFC 5424 section 6.2.1), as the journal writes them.
var severities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

func severityOf(name string) int { return slices.Index(severities, name) }

// line is one of the log: "Feb 23 09:02:21.588 user.info rotunda cli: text".
type line struct {
	Time, Facility, Level, Host, Tag, Text string
	Severity                               int
}

// parseLine splits a line of the journal; what has another form is text alone.
func parseLine(s string) line {
	l := line{Text: s, Severity: severityOf("info"), Level: "info"}
	// The day of the month is padded with a blank.
	if len(s) < 20 || s[3] != ' ' || s[6] != ' ' {
		return l
	}
	end := strings.IndexByte(s[7:], ' ')
	if end < 0 {
		return l
	}
	stamp := s[:7+end]
	if _, err := time.Parse("Jan _2 15:04:05.000", stamp); err != nil {
		return l
	}
	priority, rest, ok := strings.Cut(s[7+end+1:], " ")
	facility, level, ok2 := strings.Cut(priority, ".")
	host, rest, ok3 := strings.Cut(rest, " ")
	n := severityOf(level)
	if !ok || !ok2 || !ok3 || n < 0 {
		return l
	}
	l = line{Time: stamp, Facility: facility, Level: level, Severity: n, Host: host, Text: rest}
	if tag, text, ok := strings.Cut(rest, ": "); ok && !strings.Contains(tag, " ") {
		l.Tag, l.Text = tag, text
	}
	return l
}

// Kind is what a line is shown as.
func (l line) Kind() string {
	switch {
	case l.Severity <= 3:
		return "error"
	case l.Severity == 4:
		return "warning"
	case l.Severity == 7:
		return "debug"
	}
	return "info"
}

// logLines returns the newest lines that keep accepts, the newest first.
func (s *Server) logLines(name string, keep func(*line) bool, most int) ([]line, error) {
	var found []line
	left := int64(maxTail)
	// A log that was just turned over is short; its predecessor has what came before.
	for i, file := range []string{name, name + ".1"} {
		b, err := tail(filepath.Join(s.options.Logs, file), left)
		if errors.Is(err, fs.ErrNotExist) && (i > 0 || s.options.Logs != "") {
			continue
		}
		if err != nil {
			return found, err
		}
		left -= int64(len(b))
		for len(b) > 0 {
			at := strings.LastIndexByte(string(b[:len(b)-1]), '\n')
			text := strings.TrimSuffix(string(b[at+1:]), "\n")
			b = b[:at+1]
			l := parseLine(text)
			if keep(&l) {
				if found = append(found, l); len(found) == most {
					return found, nil
				}
			}
		}
	}
	return found, nil
}

// tail reads the end of a file, from the beginning of a line.
func tail(path string, most int64) ([]byte, error) {
	if most <= 0 {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, st.Size()-most)
	b, err := io.ReadAll(io.NewSectionReader(f, from, st.Size()-from))
	if err != nil {
		return nil, err
	}
	if from > 0 {
		_, rest, _ := strings.Cut(string(b), "\n")
		b = []byte(rest)
	}
	return b, nil
}

// eventsPage is Logs > Event log.
type eventsPage struct {
	Log, Level, Filter string
	Levels             []Option
	Lines              []line
	More, Audit        bool
	Trouble            string
	Downloads          []item
}

// logs are those that one may read: the audit log is for auditors and administrators of the machine (guide 4.1).
func (v *visit) logs() []string {
	list := []string{"messages"}
	if v.session.has(roleAdmin, roleAudit) {
		list = append(list, "audit")
	}
	return list
}

func (v *visit) events() {
	query := v.r.URL.Query()
	p := &eventsPage{Log: query.Get("log"), Level: query.Get("level"), Filter: query.Get("filter")}
	if !slices.Contains(v.logs(), p.Log) {
		p.Log = "messages"
	}
	p.Audit = slices.Contains(v.logs(), "audit")
	most := severityOf(p.Level)
	if most < 0 {
		most, p.Level = severityOf("info"), "info"
	}
	for _, o := range []Option{{Value: "err", Label: "errors"}, {Value: "warning", Label: "errors and warnings"}, {Value: "info", Label: "all but details"}, {Value: "debug", Label: "everything"}} {
		o.Chosen = o.Value == p.Level
		p.Levels = append(p.Levels, o)
	}
	filter := strings.ToLower(p.Filter)
	lines, err := v.logLines(p.Log, func(l *line) bool {
		return l.Severity <= most && (filter == "" || strings.Contains(strings.ToLower(l.Tag+": "+l.Text), filter))
	}, logPage+1)
	if err != nil {
		v.options.Log.Warn("the log cannot be read", "error", err)
		p.Trouble = "The log cannot be read at the moment."
	}
	if p.More = len(lines) > logPage; p.More {
		lines = lines[:logPage]
	}
	p.Lines = lines
	for _, name := range v.logs() {
		title := "Download the event log"
		if name == "audit" {
			title = "Download the audit log"
		}
		p.Downloads = append(p.Downloads, item{Title: title, Path: "/logs/download?" + url.Values{"log": {name}}.Encode()})
	}
	v.show("events", "Event log", p)
}

// download sends a whole log, oldest line first.
func (v *visit) download() {
	name := v.r.URL.Query().Get("log")
	if !slices.Contains(v.logs(), name) {
		v.problem(http.StatusNotFound, "There is no such log", "It does not exist, or it is not for your role.")
		return
	}
	var parts []io.Reader
	size := int64(0)
	for _, file := range []string{name + ".1", name} {
		f, err := os.Open(filepath.Join(v.options.Logs, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			v.options.Log.Warn("the log cannot be read", "error", err)
			v.problem(http.StatusServiceUnavailable, "The log cannot be read", "Try again in a moment.")
			return
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			v.problem(http.StatusServiceUnavailable, "The log cannot be read", "Try again in a moment.")
			return
		}
		// It grows while it is sent.
		parts = append(parts, io.LimitReader(f, st.Size()))
		size += st.Size()
	}
	if name == "audit" {
		v.options.Audit(fmt.Sprintf("audit log downloaded by user %q, source %s", v.who.user, v.who.source))
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.log"`)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(v.w, io.MultiReader(parts...))
}
