package files

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// maxUploads at a time, for everybody together.
	maxUploads = 16
	// maxPartials are files of clients that upload under another name first.
	maxPartials = 8
	// step is how far ahead of the writer room is taken: large enough to cost nothing.
	step = 8 * mib
)

// reserve is what uploads leave free for the log, the configuration and the backup that an upgrade takes.
func reserve(where place) uint64 {
	if where == stored {
		return 4 * mib
	}
	return 32 * mib
}

// Upload is a file that is being stored. WriteAt may be called at the same time from several goroutines; Commit or Abort,
// whichever comes first, ends it.
type Upload struct {
	store  *Store
	person Person
	entry  entry
	file   *os.File
	blocks *blocks
	path   string
	// excl keeps a file of that name that came meanwhile.
	excl bool

	size atomic.Int64
	// taken is how many bytes room has been made for.
	taken atomic.Int64
	grow  sync.Mutex
	// sparse is set where the file system cannot take room ahead.
	sparse atomic.Bool

	failed atomic.Pointer[error]
	once   sync.Once
	result error
}

// Create begins an upload. With excl it fails if there is a file of that name.
func (s *Store) Create(p Person, name string, excl bool) (*Upload, error) {
	e, err := forWrite(p, name)
	if err != nil {
		s.cfg.Log(syslog.LOG_LOCAL0|syslog.LOG_WARNING, "files", fmt.Sprintf("User %s from %s may not store %.160q", p.User, p.Source, name))
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if excl {
		if _, err := os.Lstat(s.path(e)); err == nil {
			return nil, refusal(fs.ErrExist, "there already is a file %s", name)
		}
	}
	if s.uploads >= maxUploads {
		return nil, refusal(ErrFull, "%d uploads are under way, try again when one has ended", s.uploads)
	}
	if err := s.fitsQuota(e, 0, e); err != nil {
		return nil, err
	}
	if err := s.fitsDisk(e, 1); err != nil {
		return nil, err
	}
	path := filepath.Join(s.cfg.Transfer, hidden+rand.Text())
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, s.broken("store", name, err)
	}
	s.uploads++
	return &Upload{store: s, person: p, entry: e, file: f, blocks: newBlocks(f, path), path: path, excl: excl}, nil
}

// fitsQuota says whether a file of that size may take the place of the entry; freed is another name that it gives up.
// The caller holds mu.
func (s *Store) fitsQuota(e entry, size int64, freed entry) error {
	if size > e.maxSize {
		return refusal(ErrFull, "%s is larger than %s, the most that a file of this kind (%s) may have", e.name, bytesText(e.maxSize), e.kind)
	}
	found, err := s.scan(e.where())
	if err != nil {
		return s.broken("store", e.name, err)
	}
	count, total := 1, size
	for _, f := range found {
		if f.name == e.name || f.name == freed.name || f.partial != e.partial || !e.partial && f.class != e.class {
			continue
		}
		count++
		total += f.info.Size()
	}
	switch {
	case e.partial && count > maxPartials:
		return refusal(ErrFull, "there are already %d unfinished uploads, remove files that end in %s", count-1, partialSuffix)
	case e.partial:
		return nil
	case count > e.maxCount:
		return refusal(ErrFull, "there are already %d files of this kind (%s), remove one first", count-1, e.kind)
	case total > e.maxTotal:
		return refusal(ErrFull, "files of this kind (%s) may take %s together, remove one first", e.kind, bytesText(e.maxTotal))
	}
	return nil
}

// fitsDisk says whether n more bytes leave enough room for the machine itself.
func (s *Store) fitsDisk(e entry, n int64) error {
	free, err := s.cfg.Free(s.cfg.Transfer)
	if err != nil {
		return s.broken("store", e.name, err)
	}
	if free < uint64(n)+reserve(e.where()) {
		s.log(syslog.LOG_ERR, fmt.Sprintf("no room to store %s: %s are free", e.name, bytesText(int64(free))))
		return refusal(ErrFull, "no room: the disk is full, %s was not stored", e.name)
	}
	return nil
}

func bytesText(n int64) string {
	switch {
	case n >= gib:
		return fmt.Sprintf("%d GiB", n/gib)
	case n >= mib:
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d KiB", n/kib)
}

// Name is the file's name-to-be.
func (u *Upload) Name() string { return u.entry.name }

// Size is the end of what has been written so far.
func (u *Upload) Size() int64 { return u.size.Load() }

// WriteAt implements [io.WriterAt]. After an error the upload can only be ended.
func (u *Upload) WriteAt(p []byte, off int64) (int, error) {
	if err := u.failed.Load(); err != nil {
		return 0, *err
	}
	end := off + int64(len(p))
	if off < 0 || end < off || end > u.entry.maxSize {
		return 0, u.fail(refusal(ErrFull, "%s is larger than %s, the most that a file of this kind (%s) may have", u.entry.name,
			bytesText(u.entry.maxSize), u.entry.kind))
	}
	if end > u.taken.Load() {
		if err := u.take(end); err != nil {
			return 0, u.fail(err)
		}
	}
	if err := u.blocks.writeAt(p, off); err != nil {
		return 0, u.fail(u.store.broken("store", u.entry.name, err))
	}
	for {
		size := u.size.Load()
		if end <= size || u.size.CompareAndSwap(size, end) {
			break
		}
	}
	return len(p), nil
}

// take makes room up to the next step after end, so that a full disk is noticed early and the file is in few pieces.
func (u *Upload) take(end int64) error {
	u.grow.Lock()
	defer u.grow.Unlock()
	have := u.taken.Load()
	if end <= have {
		return nil
	}
	want := min((end+step-1)/step*step, u.entry.maxSize)
	if err := u.store.fitsDisk(u.entry, want-have); err != nil {
		return err
	}
	// A small file is not worth it: its blocks are taken and given back for nothing.
	if u.entry.maxSize > step && !u.sparse.Load() {
		err := unix.Fallocate(int(u.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, have, want-have)
		switch {
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			u.sparse.Store(true)
		case errors.Is(err, unix.EINTR):
			// The writer takes its room itself then.
		case err != nil:
			return u.store.broken("store", u.entry.name, err)
		}
	}
	u.taken.Store(want)
	return nil
}

// fail keeps the first error, which is also that of Commit.
func (u *Upload) fail(err error) error {
	u.failed.CompareAndSwap(nil, &err)
	return *u.failed.Load()
}

// Abort gives the upload up. why is for the log.
func (u *Upload) Abort(why string) {
	u.once.Do(func() {
		u.result = refusal(ErrRefused, "the upload of %s has ended", u.entry.name)
		u.drop()
		u.store.logAs(u.person, syslog.LOG_WARNING, fmt.Sprintf("did not store %s %s: %s", u.entry.kind, u.entry.name, why))
	})
}

// drop removes the hidden file.
func (u *Upload) drop() {
	u.blocks.close()
	u.file.Close()
	if err := os.Remove(u.path); err != nil {
		u.store.log(syslog.LOG_WARNING, fmt.Sprintf("cannot remove an unfinished upload: %v", err))
	}
	u.release()
}

func (u *Upload) release() {
	u.store.mu.Lock()
	u.store.uploads--
	u.store.mu.Unlock()
}

// Commit stores the file. If it fails, nothing has changed.
func (u *Upload) Commit() error {
	u.once.Do(func() {
		err := u.finish()
		if err != nil {
			u.drop()
			u.store.logAs(u.person, syslog.LOG_WARNING, fmt.Sprintf("did not store %s %s: %v", u.entry.kind, u.entry.name, err))
			u.result = err
			return
		}
		u.release()
	})
	return u.result
}

func (u *Upload) finish() error {
	if err := u.failed.Load(); err != nil {
		return *err
	}
	if err := u.blocks.flush(); err != nil {
		return u.store.broken("store", u.entry.name, err)
	}
	size := u.size.Load()
	// Gives back the room behind the end.
	if err := u.file.Truncate(size); err != nil {
		return u.store.broken("store", u.entry.name, err)
	}
	about, err := examine(u.entry, u.file, size)
	if err != nil {
		return err
	}
	if err := u.file.Sync(); err != nil {
		return u.store.broken("store", u.entry.name, err)
	}
	u.blocks.close()
	if err := u.file.Close(); err != nil {
		return u.store.broken("store", u.entry.name, err)
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	if u.excl {
		if _, err := os.Lstat(u.store.path(u.entry)); err == nil {
			return refusal(fs.ErrExist, "there already is a file %s", u.entry.name)
		}
	}
	if err := u.store.fitsQuota(u.entry, size, u.entry); err != nil {
		return err
	}
	if err := u.store.move(u.path, u.entry); err != nil {
		return u.store.broken("store", u.entry.name, err)
	}
	if !u.entry.partial {
		u.store.logAs(u.person, syslog.LOG_INFO, storedText(u.entry, size, about))
	}
	return nil
}

func storedText(e entry, size int64, about string) string {
	text := fmt.Sprintf("stored %s %s, %d bytes", e.kind, e.name, size)
	if about != "" {
		text += ": " + about
	}
	return text
}

// examine applies a class's check to the content and describes it. Neither looks at what a client has not finished.
func examine(e entry, content io.ReaderAt, size int64) (about string, err error) {
	if e.partial || e.check == nil && e.describe == nil {
		return "", nil
	}
	data, err := io.ReadAll(io.NewSectionReader(content, 0, min(size, e.maxSize)))
	if err != nil {
		return "", fmt.Errorf("read %s back: %w", e.name, err)
	}
	if e.check != nil {
		if err := e.check(data); err != nil {
			return "", &Error{Text: err.Error(), Kind: ErrRefused}
		}
	}
	if e.describe != nil {
		about = e.describe(data)
	}
	return about, nil
}
