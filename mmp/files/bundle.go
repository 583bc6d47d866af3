package files

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/control"
	"rotunda/init/journal"
)

const (
	// maxBundles are made at a time, and sectionTimeout is how long one part of what is in them may take.
	maxBundles     = 4
	sectionTimeout = 10 * time.Second
	// maxSection bounds an answer of the API and a status file.
	maxSection = 16 * mib
	// roomEvery is how often a bundle looks whether the disk still has room.
	roomEvery = mib
)

// openBundle makes logbundle.tar.gz while it is read (guide 16.2). It is a file without a name, so nothing is left of it when it is
// closed, and it grows no further than a little ahead of who reads it: a client that stops costs what it has read.
func (s *Store) openBundle(ctx context.Context, p Person) (File, error) {
	f, release, err := s.bundleFile(bundleName)
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	return grow(ctx, f, func(ctx context.Context, w io.Writer) error {
		defer release()
		err := s.writeBundle(ctx, p, s.whileThereIsRoom(bundleName, w))
		if err != nil && ctx.Err() == nil {
			err = s.broken("make", bundleName, err)
		}
		return err
	}), nil
}

// GenerateBundle makes generatedlogbundle.tar.gz, which takes the place of the one before in one step when all of it is on the disk.
func (s *Store) GenerateBundle(ctx context.Context, p Person) (name string, size int64, err error) {
	e, err := s.forRead(p, generatedName)
	if err != nil {
		return "", 0, refusal(ErrRefused, "users of the role %s may not make %s", p.Role, generatedName)
	}
	f, release, err := s.bundleFile(generatedName)
	if err != nil {
		return "", 0, err
	}
	defer release()
	defer func() {
		f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := s.writeBundle(ctx, p, s.whileThereIsRoom(generatedName, f)); err != nil {
		if ctx.Err() != nil {
			return "", 0, ctx.Err()
		}
		return "", 0, s.broken("make", generatedName, err)
	}
	if err := f.Sync(); err != nil {
		return "", 0, s.broken("make", generatedName, err)
	}
	size = diskFile{f}.Size()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.move(f.Name(), e); err != nil {
		return "", 0, s.broken("make", generatedName, err)
	}
	s.logAs(p, syslog.LOG_INFO, fmt.Sprintf("made %s, %d bytes", generatedName, size))
	return generatedName, size, nil
}

// bundleFile counts a bundle until release is called.
func (s *Store) bundleFile(name string) (f *os.File, release func(), err error) {
	if s.bundles.Add(1) > maxBundles {
		s.bundles.Add(-1)
		return nil, nil, refusal(ErrRefused, "%d log bundles are being made already: wait until one is complete", maxBundles)
	}
	path := filepath.Join(s.cfg.Transfer, hidden+rand.Text())
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		s.bundles.Add(-1)
		return nil, nil, s.broken("make", name, err)
	}
	var once atomic.Bool
	return f, func() {
		if !once.Swap(true) {
			s.bundles.Add(-1)
		}
	}, nil
}

// roomy fails where the disk gets full.
type roomy struct {
	io.Writer
	room  func() error
	since int64
}

func (s *Store) whileThereIsRoom(name string, w io.Writer) io.Writer {
	e, _ := classify(name)
	return &roomy{Writer: w, room: func() error { return s.fitsDisk(e, 2*roomEvery) }, since: roomEvery}
}

func (r *roomy) Write(p []byte) (int, error) {
	if r.since += int64(len(p)); r.since > roomEvery {
		if err := r.room(); err != nil {
			return 0, err
		}
		r.since = 0
	}
	return r.Writer.Write(p)
}

// section is one file of a bundle that is made for it.
type section struct {
	name string
	make func(ctx context.Context) ([]byte, error)
}

// bundleSections are those of every bundle. None has a secret: what comes from the configuration is a copy without them.
func (s *Store) bundleSections(p Person) []section {
	asJSON := func(name string, ask func(ctx context.Context, m Machine) (any, error)) section {
		return section{name, func(ctx context.Context) ([]byte, error) {
			if s.cfg.Machine == nil {
				return nil, errors.New("there is nobody to ask")
			}
			answer, err := ask(ctx, s.cfg.Machine)
			if err != nil {
				return nil, err
			}
			b, err := json.MarshalIndent(answer, "", "    ")
			return append(b, '\n'), err
		}}
	}
	list := []section{
		{liveName, func(ctx context.Context) ([]byte, error) {
			f, err := s.live(ctx)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
		}},
		asJSON("configuration.json", func(ctx context.Context, m Machine) (any, error) {
			c, err := m.Config(ctx)
			if err != nil {
				return nil, err
			}
			if c.Document == nil {
				return nil, errors.New("there is no configuration")
			}
			c.Document, err = c.Document.WithoutSecrets()
			return c, err
		}),
		asJSON("version.json", func(ctx context.Context, m Machine) (any, error) { return m.Release(ctx) }),
		asJSON("versions.json", func(ctx context.Context, m Machine) (any, error) { return m.Versions(ctx) }),
		asJSON("health.json", func(ctx context.Context, m Machine) (any, error) { return m.Health(ctx) }),
		asJSON("alarms.json", func(ctx context.Context, m Machine) (any, error) {
			h, err := m.Health(ctx)
			return append([]control.Alarm{}, h.Alarms...), err
		}),
		asJSON("services.json", func(ctx context.Context, m Machine) (any, error) {
			h, err := m.Health(ctx)
			return append([]control.Service{}, h.Services...), err
		}),
		asJSON("media.json", func(ctx context.Context, m Machine) (any, error) {
			h, err := m.Health(ctx)
			return append([]control.MediaModule{}, h.Media...), err
		}),
		asJSON("interfaces.json", func(ctx context.Context, m Machine) (any, error) { return m.Interfaces(ctx) }),
		asJSON("filesystems.json", func(ctx context.Context, m Machine) (any, error) { return m.Filesystems(ctx) }),
		{"dmesg.txt", func(ctx context.Context) ([]byte, error) {
			return s.traces(ctx, func(t control.Traces) string { return t.Kernel })
		}},
		{"crash.txt", func(ctx context.Context) ([]byte, error) {
			return s.traces(ctx, func(t control.Traces) string { return t.Crash })
		}},
		{"files.txt", func(ctx context.Context) ([]byte, error) { return s.listing(ctx, p) }},
	}
	for name, file := range map[string]string{"ntp.json": control.TimeStatusFile, "syslog.json": control.SyslogStatusFile} {
		list = append(list, section{name, func(context.Context) ([]byte, error) { return readStatus(file) }})
	}
	for name, path := range map[string]string{
		"database.xml": "system/database", "callbridge.xml": "system/status", "callbridge-alarms.xml": "system/alarms", "calls.xml": "calls",
		"calllegs.xml": "callLegs",
	} {
		list = append(list, section{name, func(ctx context.Context) ([]byte, error) { return s.askAPI(ctx, path) }})
	}
	return list
}

func (s *Store) traces(ctx context.Context, choose func(control.Traces) string) ([]byte, error) {
	if s.cfg.Machine == nil {
		return nil, errors.New("there is nobody to ask")
	}
	t, err := s.cfg.Machine.Traces(ctx)
	return []byte(choose(t)), err
}

// listing is what SFTP shows, but for what is made when it is fetched.
func (s *Store) listing(ctx context.Context, p Person) ([]byte, error) {
	list, err := s.List(ctx, p)
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%12d %s %s\n", f.Size, f.ModTime.UTC().Format(time.RFC3339), f.Name)
	}
	return []byte(b.String()), err
}

func readStatus(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSection))
}

// askAPI asks the Call Bridge on this machine, which lets the shell read.
func (s *Store) askAPI(ctx context.Context, path string) ([]byte, error) {
	if s.cfg.API == nil {
		return nil, errors.New("there is no Call Bridge to ask")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://callbridge/api/v1/"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.cfg.API.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxSection))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the Call Bridge answers %s", resp.Status)
	}
	return b, err
}

// writeBundle writes all of it; what could not be found out is named in missing.txt.
func (s *Store) writeBundle(ctx context.Context, p Person, w io.Writer) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	var missing strings.Builder
	add := func(name string, size int64, at time.Time, content io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: "logbundle/" + name, Mode: 0o600, Size: size, ModTime: at}); err != nil {
			return err
		}
		_, err := io.Copy(archive, content)
		return err
	}
	for _, one := range s.bundleSections(p) {
		b, err := s.run(ctx, one)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(&missing, "%s: %v\n", one.name, err)
			continue
		}
		if err := add(one.name, int64(len(b)), time.Now(), strings.NewReader(string(b))); err != nil {
			return err
		}
	}
	for _, l := range []struct{ shown, file string }{{"log", journal.MessagesFile}, {"audit", journal.AuditFile}} {
		if e, ok := classify(l.shown); !ok || !may(e.read, p) {
			continue
		}
		if err := s.addLogs(add, l.shown, l.file, &missing); err != nil {
			return err
		}
	}
	if missing.Len() > 0 {
		if err := add("missing.txt", int64(missing.Len()), time.Now(), strings.NewReader(missing.String())); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

// run makes a section. One that crashes or takes too long is missing, and the others are there.
func (s *Store) run(ctx context.Context, one section) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log(syslog.LOG_ERR, fmt.Sprintf("%s of a log bundle crashed: %v\n%s", one.name, p, debug.Stack()))
			b, err = nil, errors.New("it crashed; the log says where")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, sectionTimeout)
	defer cancel()
	return one.make(ctx)
}

// addLogs adds a log and all its predecessors, as they are now: log is the newest, log.1 the one before. They are opened at once,
// since they are renamed while the bundle is made.
func (s *Store) addLogs(add func(string, int64, time.Time, io.Reader) error, shown, file string, missing *strings.Builder) error {
	list, err := journal.Files(s.cfg.Logs, file)
	if err != nil {
		fmt.Fprintf(missing, "%s: %v\n", shown, err)
		return nil
	}
	defer func() {
		for _, f := range list {
			f.Close()
		}
	}()
	for i, f := range list {
		name := shown
		if n := len(list) - 1 - i; n > 0 {
			name = fmt.Sprintf("%s.%d", shown, n)
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		// The log grows meanwhile: what it has now is what goes in.
		if err := add(name, info.Size(), info.ModTime(), io.NewSectionReader(f, 0, info.Size())); err != nil {
			return err
		}
	}
	return nil
}
