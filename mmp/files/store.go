// Package files owns the flat folder that an administrator sees by SFTP (guide appendix H, chapter 16.2): upgrade images,
// backups, keys, certificates and a few named files to put and get, and the log, the audit log and live.json to get.
//
// There are no folders and no other names. What a name is, where it lives on the disk, which roles may read, store and
// remove it, how large it may be and how many there may be is one table (class.go). Names that come from outside are
// looked up there before anything touches the disk, and only plain names are in it, so that none leads out of its folder.
//
// An [Upload] is invisible until it is committed: it is written to a hidden file in the transfer folder, synced, and
// renamed to where it belongs. What it replaces stays until then. A power cut or a crash leaves the old file or the
// new one, and perhaps a hidden file that [Open] removes. A file is mode 0600 whatever it holds, because some hold keys.
package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/mmp/grammar"
)

// Log takes one line for the journal.
type Log func(priority syslog.Priority, tag, text string)

// Config says where things are. All but Machine must be set.
type Config struct {
	// Stored is the folder of the files that a backup holds, Transfer that of the files that pass through; both are
	// on one file system. Logs holds "messages" and "audit".
	Stored, Transfer, Logs string
	// Machine is what live.json is made of; nil means that there is none.
	Machine Machine
	// API reaches the Call Bridge of this machine, for log bundles; nil means that there is none.
	API http.RoundTripper
	Log Log
	// Free returns the bytes that a folder's file system can still take; nil means to ask the kernel.
	Free func(folder string) (uint64, error)
}

// Person is who does something to a file.
type Person struct {
	User string
	Role grammar.Role
	// Source is "serial console" or ip:port.
	Source string
}

// Store is the view. All its methods may be called at the same time.
type Store struct {
	cfg Config
	// mu is held while names change, so that two changes cannot both fit into the last of a quota.
	mu      sync.Mutex
	uploads int
	bundles atomic.Int32
}

// Info describes one file.
type Info struct {
	Name    string
	Size    int64
	ModTime time.Time
	// Writable is whether the person may store a new one in its place.
	Writable bool
}

// File is an open file. ReadAt may be called at the same time.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

const (
	// hidden begins the name of a file that is being written.
	hidden = ".part-"
	// maxListed bounds a listing; the quotas keep a folder far below it.
	maxListed = 4096
	// generateTimeout is how long init may take to say what live.json is made of.
	generateTimeout = 5 * time.Second
)

// Open makes the folders if they are not there and removes what uploads that broke off have left. It fails only for a
// mistake in cfg: on a broken disk the view is there and each operation says what is wrong.
func Open(cfg Config) (*Store, error) {
	if cfg.Stored == "" || cfg.Transfer == "" || cfg.Logs == "" || cfg.Log == nil {
		return nil, errors.New("the file view needs three folders and a log")
	}
	if cfg.Free == nil {
		cfg.Free = freeSpace
	}
	s := &Store{cfg: cfg}
	for _, folder := range []string{cfg.Stored, cfg.Transfer} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			s.log(syslog.LOG_ERR, fmt.Sprintf("cannot make the folder of files: %v", err))
		}
	}
	s.sweep()
	return s, nil
}

// sweep removes hidden files, and files that a client had not finished to send under their own name.
func (s *Store) sweep() {
	list, err := os.ReadDir(s.cfg.Transfer)
	if err != nil {
		s.log(syslog.LOG_ERR, fmt.Sprintf("cannot look for unfinished uploads: %v", err))
		return
	}
	for _, d := range list {
		e, ok := classify(d.Name())
		if !strings.HasPrefix(d.Name(), hidden) && !(ok && e.partial) {
			continue
		}
		if err := os.Remove(filepath.Join(s.cfg.Transfer, d.Name())); err != nil {
			s.log(syslog.LOG_WARNING, fmt.Sprintf("cannot remove an unfinished upload: %v", err))
		}
	}
}

// freeSpace asks the kernel what an unprivileged writer may still take.
func freeSpace(folder string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: folder, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func (s *Store) folder(p place) string {
	switch p {
	case transfer:
		return s.cfg.Transfer
	case logs:
		return s.cfg.Logs
	}
	return s.cfg.Stored
}

func (s *Store) path(e entry) string { return filepath.Join(s.folder(e.where()), e.diskName()) }

// List returns the files that a person may see, sorted by name.
func (s *Store) List(ctx context.Context, p Person) ([]Info, error) {
	var list []Info
	for _, where := range []place{stored, transfer} {
		found, err := s.scan(where)
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		for _, f := range found {
			if may(f.read, p) {
				list = append(list, f.infoFor(p))
			}
		}
	}
	for i := range classes {
		c := &classes[i]
		if (c.place != logs && c.place != generated) || !may(c.read, p) {
			continue
		}
		// What cannot be made or is not there yet is not listed.
		if info, err := s.Stat(ctx, p, c.names[0]); err == nil {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// onDisk is an entry that is there.
type onDisk struct {
	entry
	info fs.FileInfo
}

func (f onDisk) infoFor(p Person) Info {
	return Info{Name: f.name, Size: f.info.Size(), ModTime: f.info.ModTime(), Writable: may(f.write, p)}
}

// scan returns the files of one folder that the view has names for.
func (s *Store) scan(where place) ([]onDisk, error) {
	folder, err := os.Open(s.folder(where))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(maxListed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var found []onDisk
	for _, name := range names {
		e, ok := keptOnDisk(name)
		if !ok {
			e, ok = classify(name)
		}
		if !ok || e.where() != where {
			continue
		}
		info, err := os.Lstat(filepath.Join(s.folder(where), name))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		found = append(found, onDisk{e, info})
	}
	return found, nil
}

// Stat describes one file.
func (s *Store) Stat(ctx context.Context, p Person, name string) (Info, error) {
	e, err := s.forRead(p, name)
	if err != nil {
		return Info{}, err
	}
	switch {
	case name == liveName:
		f, err := s.live(ctx)
		if err != nil {
			return Info{}, err
		}
		return Info{Name: name, Size: f.Size(), ModTime: time.Now()}, nil
	case name == bundleName:
		// It is made when it is fetched; its size is not known before, and 1 KiB is what administrators have been told.
		log, err := os.Lstat(filepath.Join(s.cfg.Logs, logFile))
		if err != nil {
			return Info{}, s.missing(name, err)
		}
		return Info{Name: name, Size: kib, ModTime: log.ModTime()}, nil
	}
	info, err := os.Lstat(s.path(e))
	if err != nil || !info.Mode().IsRegular() {
		return Info{}, s.missing(name, err)
	}
	return onDisk{e, info}.infoFor(p), nil
}

// missing is the answer for a file that cannot be looked at.
func (s *Store) missing(name string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return refusal(fs.ErrNotExist, "there is no file %.160q", name)
	}
	s.log(syslog.LOG_ERR, fmt.Sprintf("%s: %v", name, err))
	return fmt.Errorf("%s cannot be read: %w", name, err)
}

// Open opens a file for reading.
func (s *Store) Open(ctx context.Context, p Person, name string) (File, error) {
	e, err := s.forRead(p, name)
	if err != nil {
		return nil, err
	}
	switch name {
	case liveName:
		return s.live(ctx)
	case bundleName:
		return s.openBundle(ctx, p)
	}
	f, err := openRegular(s.path(e))
	if err != nil {
		return nil, s.missing(name, err)
	}
	if e.where() != logs {
		s.logAs(p, syslog.LOG_INFO, fmt.Sprintf("reads %s %s", e.kind, name))
	}
	return f, nil
}

// OpenStored opens a stored file for the machine itself, whoever may see it. An error wraps [fs.ErrNotExist] if there is
// none.
func (s *Store) OpenStored(name string) (io.ReadCloser, error) {
	e, ok := classify(name)
	if !ok || e.where() != stored {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := openRegular(s.path(e))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// diskFile is a [File] on the disk.
type diskFile struct{ *os.File }

// Size is the present one: a log grows while it is read.
func (f diskFile) Size() int64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// openRegular never follows a link and never waits for a pipe.
func openRegular(path string) (diskFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return diskFile{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close()
		return diskFile{}, err
	}
	return diskFile{f}, nil
}

// memoryFile is a [File] that was made when it was opened.
type memoryFile struct{ *bytes.Reader }

// Close implements [File].
func (memoryFile) Close() error { return nil }

// live makes live.json.
func (s *Store) live(ctx context.Context) (memoryFile, error) {
	none := memoryFile{}
	if s.cfg.Machine == nil {
		return none, refusal(fs.ErrNotExist, "there is no configuration to mirror")
	}
	ctx, cancel := context.WithTimeout(ctx, generateTimeout)
	defer cancel()
	c, err := s.cfg.Machine.Config(ctx)
	if err != nil {
		return none, fmt.Errorf("%s cannot be made: %w", liveName, err)
	}
	interfaces, err := s.cfg.Machine.Interfaces(ctx)
	if err != nil {
		return none, fmt.Errorf("%s cannot be made: %w", liveName, err)
	}
	data, err := LiveJSON(c, interfaces)
	if err != nil {
		return none, err
	}
	return memoryFile{bytes.NewReader(data)}, nil
}

// Remove removes a file.
func (s *Store) Remove(p Person, name string) error {
	e, err := s.forRemove(p, name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if info, err := os.Lstat(s.path(e)); err != nil || !info.Mode().IsRegular() {
		return s.missing(name, err)
	}
	if err := os.Remove(s.path(e)); err != nil {
		return s.broken("remove", name, err)
	}
	if err := syncFolder(s.folder(e.where())); err != nil {
		return s.broken("remove", name, err)
	}
	s.logAs(p, syslog.LOG_INFO, fmt.Sprintf("removed %s %s", e.kind, name))
	return nil
}

// Rename gives a file another name, for which the same rights, sizes and checks hold as for an upload. An existing
// file of that name is replaced if replace is set, in one step.
func (s *Store) Rename(p Person, from, to string, replace bool) error {
	old, err := forRemove(p, from)
	if err != nil {
		return err
	}
	next, err := forWrite(p, to)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := openRegular(s.path(old))
	if err != nil {
		return s.missing(from, err)
	}
	defer f.Close()
	if from == to {
		return nil
	}
	if _, err := os.Lstat(s.path(next)); err == nil && !replace {
		return refusal(fs.ErrExist, "there already is a file %s", to)
	}
	if err := s.fitsQuota(next, f.Size(), old); err != nil {
		return err
	}
	about, err := examine(next, f, f.Size())
	if err != nil {
		return err
	}
	if err := s.move(s.path(old), next); err != nil {
		return s.broken("rename", from, err)
	}
	if old.partial {
		s.logAs(p, syslog.LOG_INFO, storedText(next, f.Size(), about))
		return nil
	}
	s.logAs(p, syslog.LOG_INFO, fmt.Sprintf("renamed %s to %s", from, to))
	return nil
}

// move puts a synced file in its place. The folders are on one file system, so it is one step.
func (s *Store) move(path string, to entry) error {
	if err := os.Rename(path, s.path(to)); err != nil {
		return err
	}
	if err := syncFolder(s.folder(to.where())); err != nil {
		return err
	}
	if from := filepath.Dir(path); from != s.folder(to.where()) {
		return syncFolder(from)
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// broken logs what the disk said and returns it for the person.
func (s *Store) broken(what, name string, err error) error {
	s.log(syslog.LOG_ERR, fmt.Sprintf("cannot %s %s: %v", what, name, err))
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return refusal(ErrFull, "no room: the disk is full, %s was not stored", name)
	}
	if errors.Is(err, unix.EROFS) {
		return refusal(ErrRefused, "the disk cannot be written, %s was not stored", name)
	}
	return fmt.Errorf("cannot %s %s: %w", what, name, err)
}

// FreeSpace returns the bytes that uploads may still take, and the size of the disk.
func (s *Store) FreeSpace() (free, size uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.cfg.Transfer, &st); err != nil {
		return 0, 0, fmt.Errorf("ask for free space: %w", err)
	}
	free, err = s.cfg.Free(s.cfg.Transfer)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for free space: %w", err)
	}
	return free - min(free, reserve(transfer)), st.Blocks * uint64(st.Bsize), nil
}

func (s *Store) log(severity syslog.Priority, text string) {
	s.cfg.Log(syslog.LOG_USER|severity, "files", text)
}

// logAs records what a person did to a file, in the audit log as well.
func (s *Store) logAs(p Person, severity syslog.Priority, text string) {
	text = fmt.Sprintf("User %s from %s %s", p.User, p.Source, text)
	s.cfg.Log(syslog.LOG_USER|severity, "files", text)
	s.cfg.Log(syslog.LOG_LOCAL0|severity, "files", text)
}
