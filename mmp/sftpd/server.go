// Package sftpd serves the flat file view by SFTP version 3 (draft-ietf-secsh-filexfer-02, with the posix-rename and
// statvfs extensions of OpenSSH) to the clients that administrators use: OpenSSH, WinSCP, FileZilla and scripts.
//
// An upload appears under its name only after the client has closed it. A connection that breaks off, a write that failed
// or a client that never closes leaves nothing behind; a file that was there stays as it was. What clients do around an
// upload is understood: setting times and modes is accepted and has no effect, and a name with .filepart is kept until
// it is renamed. An upload cannot be resumed, since what had arrived is gone; the refusal says so. Reads seek freely.
//
// Rights, names and quotas are those of package files. Every refusal is a line in the log and, for clients that show only
// a status code, also on the channel's standard error. A session holds a bounded number of handles and about 1 MiB of
// packets of the size that OpenSSH uses, 8 MiB of the largest.
package sftpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"rotunda/mmp/files"
	"rotunda/mmp/shell"
)

const (
	// maxHandles a session may have open. OpenSSH uses one at a time, WinSCP up to nine.
	maxHandles = 32
	// maxRead is the largest piece of a file in one answer: what fits a packet of the library's with its header.
	maxRead = 255 << 10
	// maxNotes on standard error for a session. They wait in the client's window, which is larger than all of them.
	maxNotes = 64
)

// Server serves any number of sessions at a time.
type Server struct {
	Files *files.Store
	Log   files.Log
}

// Serve answers one client until it closes the channel or ctx ends, and leaves no handle open. It has the type that the
// SSH server asks for. To end a client that neither reads nor closes, its connection has to be closed.
func (s *Server) Serve(ctx context.Context, login *shell.Login, channel io.ReadWriteCloser) error {
	h := &session{
		server: s, ctx: ctx, uploads: map[string]*files.Upload{},
		person: files.Person{User: login.User, Role: login.Role, Source: login.Source.String()},
	}
	if c, ok := channel.(interface{ Stderr() io.ReadWriter }); ok {
		h.notes = c.Stderr()
	}
	wire := newWire(channel)
	server := sftp.NewRequestServer(wire, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithRSAllocator(), sftp.WithRSMaxTxPacket(maxRead))
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.Serve()
	wire.drain()
	if err == nil || errors.Is(err, io.EOF) {
		return ctx.Err()
	}
	return fmt.Errorf("serve sftp: %w", err)
}

// session is the handlers of one client. The library calls them from several goroutines.
type session struct {
	server *Server
	ctx    context.Context
	person files.Person
	notes  io.Writer

	handles atomic.Int32
	noted   atomic.Int32

	mu sync.Mutex
	// uploads under way, so that a client that asks for the size of what it sends gets it.
	uploads map[string]*files.Upload
}

// status is an error as it goes to the client: a text, and the code that the library finds by Unwrap.
type status struct {
	text string
	code error
}

func (e *status) Error() string { return e.text }
func (e *status) Unwrap() error { return e.code }

// answer turns an error into a status, after telling it.
func (h *session) answer(what string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	// Clients look for files that may not be there all the time.
	if !errors.Is(err, fs.ErrNotExist) {
		h.tell(what, err)
	}
	return statusOf(err)
}

func statusOf(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &status{err.Error(), sftp.ErrSSHFxNoSuchFile}
	case errors.Is(err, errUnsupported):
		return &status{err.Error(), sftp.ErrSSHFxOpUnsupported}
	case errors.Is(err, fs.ErrPermission):
		return &status{err.Error(), sftp.ErrSSHFxPermissionDenied}
	}
	return &status{err.Error(), sftp.ErrSSHFxFailure}
}

// tell logs a refusal and notes it on standard error, a bounded number of times for a session.
func (h *session) tell(what string, err error) {
	if h.noted.Add(1) > maxNotes {
		return
	}
	h.server.Log(syslog.LOG_USER|syslog.LOG_WARNING, "sftp", fmt.Sprintf("%s, user %s from %s: %v", what, h.person.User,
		h.person.Source, err))
	h.note(err)
}

// note writes to standard error.
func (h *session) note(err error) {
	if h.notes != nil {
		// A client that has gone will be noticed by its channel.
		_, _ = io.WriteString(h.notes, strings.ToValidUTF8(err.Error(), "?")+"\r\n")
	}
}

var errUnsupported = errors.New("unsupported")

func unsupported(format string, a ...any) error {
	return &files.Error{Text: fmt.Sprintf(format, a...), Kind: errUnsupported}
}

// guard keeps a mistake in a handler to the request that met it: the library's goroutines do not recover.
func (h *session) guard(what string, err *error) {
	if r := recover(); r != nil {
		h.server.Log(syslog.LOG_USER|syslog.LOG_CRIT, "sftp", fmt.Sprintf("%s: panic: %v\n%s", what, r, debug.Stack()))
		*err = sftp.ErrSSHFxFailure
	}
}

// fileName takes the name out of a path. The library has made it absolute and clean.
func fileName(path string) (string, error) {
	name := strings.TrimPrefix(path, "/")
	if name == "" {
		return "", unsupported("this is the folder itself")
	}
	if strings.Contains(name, "/") {
		return "", &files.Error{Text: fmt.Sprintf("there are no folders here: %.160q", path), Kind: fs.ErrNotExist}
	}
	return name, nil
}

// open counts a handle.
func (h *session) open() error {
	if h.handles.Add(1) > maxHandles {
		h.handles.Add(-1)
		return unsupported("there are already %d files open", maxHandles)
	}
	return nil
}

func (h *session) closed() { h.handles.Add(-1) }

// Fileread implements [sftp.FileReader].
func (h *session) Fileread(r *sftp.Request) (at io.ReaderAt, err error) {
	defer h.guard("open for reading", &err)
	name, err := fileName(r.Filepath)
	if err != nil {
		return nil, h.answer("get", err)
	}
	if err := h.open(); err != nil {
		return nil, h.answer("get", err)
	}
	f, err := h.server.Files.Open(h.ctx, h.person, name)
	if err != nil {
		h.closed()
		return nil, h.answer("get", err)
	}
	return &reader{f, h}, nil
}

type reader struct {
	files.File
	session *session
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.session.closed()
	return r.File.Close()
}

// Filewrite implements [sftp.FileWriter].
func (h *session) Filewrite(r *sftp.Request) (at io.WriterAt, err error) {
	defer h.guard("open for writing", &err)
	name, err := fileName(r.Filepath)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = unsupported("%v", err)
		}
		return nil, h.answer("put", err)
	}
	flags := r.Pflags()
	if !flags.Trunc && !flags.Excl {
		_, err := h.server.Files.Stat(h.ctx, h.person, name)
		if err == nil || flags.Append {
			return nil, h.answer("put", unsupported("an upload cannot be resumed or appended to: send all of %.160q again", name))
		}
	}
	if err := h.open(); err != nil {
		return nil, h.answer("put", err)
	}
	u, err := h.server.Files.Create(h.person, name, flags.Excl)
	if err != nil {
		h.closed()
		return nil, h.answer("put", err)
	}
	h.mu.Lock()
	h.uploads[name] = u
	h.mu.Unlock()
	return &writer{upload: u, session: h}, nil
}

type writer struct {
	upload  *files.Upload
	session *session
	// told is set once the reason why this upload fails has been: a client has up to 64 writes under way, and all of
	// them and the close fail with it.
	told atomic.Bool
}

// WriteAt implements [io.WriterAt].
func (w *writer) WriteAt(p []byte, off int64) (n int, err error) {
	defer w.session.guard("write", &err)
	if n, err = w.upload.WriteAt(p, off); err != nil {
		return n, w.failed(err)
	}
	return n, nil
}

// failed notes the first error. The log has it from the upload itself.
func (w *writer) failed(err error) error {
	if !w.told.Swap(true) && w.session.noted.Add(1) <= maxNotes {
		w.session.note(err)
	}
	return statusOf(err)
}

// TransferError implements [sftp.TransferError]: the connection ended with the file still open.
func (w *writer) TransferError(err error) {
	w.upload.Abort("the connection ended before the file was complete")
}

// Close implements [io.Closer].
func (w *writer) Close() (err error) {
	defer w.session.guard("close", &err)
	h := w.session
	h.closed()
	h.mu.Lock()
	if h.uploads[w.upload.Name()] == w.upload {
		delete(h.uploads, w.upload.Name())
	}
	h.mu.Unlock()
	if err := w.upload.Commit(); err != nil {
		return w.failed(err)
	}
	return nil
}

// Filecmd implements [sftp.FileCmder].
func (h *session) Filecmd(r *sftp.Request) (err error) {
	defer h.guard(r.Method, &err)
	switch r.Method {
	case "Setstat":
		return h.answer("set attributes", h.setAttributes(r))
	case "Rename":
		return h.answer("rename", h.rename(r, false))
	case "Remove":
		name, err := fileName(r.Filepath)
		if err == nil {
			err = h.server.Files.Remove(h.person, name)
		}
		return h.answer("remove", err)
	case "Mkdir", "Rmdir":
		return h.answer(r.Method, unsupported("there are no folders here"))
	}
	return h.answer(r.Method, unsupported("there are no links here"))
}

// setAttributes accepts what clients send after an upload. A size is not what they send then: it would cut the file.
func (h *session) setAttributes(r *sftp.Request) error {
	if !r.AttrFlags().Size {
		return nil
	}
	info, err := h.stat(r.Filepath)
	if err != nil {
		return err
	}
	if uint64(info.Size()) != r.Attributes().Size {
		return unsupported("a file cannot be cut or extended: send all of it again")
	}
	return nil
}

func (h *session) rename(r *sftp.Request, replace bool) error {
	from, err := fileName(r.Filepath)
	if err != nil {
		return err
	}
	to, err := fileName(r.Target)
	if err != nil {
		return err
	}
	return h.server.Files.Rename(h.person, from, to, replace)
}

// PosixRename implements [sftp.PosixRenameFileCmder]: a file of the new name is replaced.
func (h *session) PosixRename(r *sftp.Request) (err error) {
	defer h.guard(r.Method, &err)
	return h.answer("rename", h.rename(r, true))
}

// StatVFS implements [sftp.StatVFSFileCmder], for "df".
func (h *session) StatVFS(*sftp.Request) (st *sftp.StatVFS, err error) {
	defer h.guard("statvfs", &err)
	free, size, err := h.server.Files.FreeSpace()
	if err != nil {
		return nil, h.answer("df", err)
	}
	const block = 4096
	return &sftp.StatVFS{Bsize: block, Frsize: block, Blocks: size / block, Bfree: free / block, Bavail: free / block, Namemax: 128}, nil
}

// Filelist implements [sftp.FileLister].
func (h *session) Filelist(r *sftp.Request) (at sftp.ListerAt, err error) {
	defer h.guard(r.Method, &err)
	switch r.Method {
	case "List":
		if r.Filepath != "/" {
			return nil, h.answer("list", &files.Error{Text: "there are no folders here", Kind: fs.ErrNotExist})
		}
		if err := h.open(); err != nil {
			return nil, h.answer("list", err)
		}
		list, err := h.server.Files.List(h.ctx, h.person)
		if err != nil {
			h.closed()
			return nil, h.answer("list", err)
		}
		l := &listing{session: h}
		for _, i := range list {
			l.entries = append(l.entries, fileInfo{i})
		}
		return l, nil
	case "Stat":
		info, err := h.stat(r.Filepath)
		if err != nil {
			return nil, h.answer("stat", err)
		}
		return &listing{entries: []os.FileInfo{info}}, nil
	}
	return nil, h.answer(r.Method, unsupported("there are no links here"))
}

func (h *session) stat(path string) (os.FileInfo, error) {
	if path == "/" {
		return folderInfo{}, nil
	}
	name, err := fileName(path)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	u := h.uploads[name]
	h.mu.Unlock()
	if u != nil {
		return fileInfo{files.Info{Name: name, Size: u.Size(), ModTime: time.Now(), Writable: true}}, nil
	}
	info, err := h.server.Files.Stat(h.ctx, h.person, name)
	if err != nil {
		return nil, err
	}
	return fileInfo{info}, nil
}

// listing implements [sftp.ListerAt].
type listing struct {
	entries []os.FileInfo
	// session is set where the listing is a handle of its own.
	session *session
}

// ListAt implements [sftp.ListerAt].
func (l *listing) ListAt(into []os.FileInfo, off int64) (int, error) {
	if off < 0 || off >= int64(len(l.entries)) {
		return 0, io.EOF
	}
	n := copy(into, l.entries[off:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements [io.Closer].
func (l *listing) Close() error {
	if l.session != nil {
		l.session.closed()
	}
	return nil
}

// fileInfo shows a file to the library.
type fileInfo struct{ files.Info }

func (i fileInfo) Name() string       { return i.Info.Name }
func (i fileInfo) Size() int64        { return i.Info.Size }
func (i fileInfo) ModTime() time.Time { return i.Info.ModTime }
func (fileInfo) IsDir() bool          { return false }
func (fileInfo) Sys() any             { return nil }
func (i fileInfo) Mode() fs.FileMode {
	if i.Writable {
		return 0o600
	}
	return 0o400
}

// folderInfo is the one folder.
type folderInfo struct{}

func (folderInfo) Name() string       { return "/" }
func (folderInfo) Size() int64        { return 0 }
func (folderInfo) ModTime() time.Time { return time.Time{} }
func (folderInfo) IsDir() bool        { return true }
func (folderInfo) Sys() any           { return nil }
func (folderInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o700 }
