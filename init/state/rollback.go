package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"rotunda/init/config"
	"rotunda/init/control"
)

// Check reads a backup in the transfer folder to its last byte and says what it holds; nothing changes.
func (s *Sets) Check(ctx context.Context, name string) (control.Backup, error) {
	nothing := func(*manifest) error { return nil }
	return s.readBackup(ctx, name, nothing, func(_ entry, contents io.Reader) error {
		_, err := io.Copy(io.Discard, contents)
		return err
	})
}

// Rollback replaces the current set by a backup in the transfer folder. The new set counts from the next start; until
// then this [Sets] shows the old one. What the backup must not overwrite (see keptByRollback) is carried over. After
// an error nothing has changed.
func (s *Sets) Rollback(ctx context.Context, name string) error {
	_, err := s.replace(func(b *builder) error {
		_, err := s.readBackup(ctx, name, func(m *manifest) error {
			return s.room(m.total())
		}, func(e entry, contents io.Reader) error {
			if keptByRollback(e.Path) {
				_, err := io.Copy(io.Discard, contents)
				return err
			}
			return b.file(e.Path, fs.FileMode(e.Mode), contents)
		})
		if err != nil {
			return err
		}
		return b.copyFrom("files", keptByRollback)
	})
	return err
}

// keptByRollback says which files of the current set a rollback leaves as they are: *.json beside the certificates.
func keptByRollback(name string) bool {
	return path.Dir(name) == "files" && strings.HasSuffix(name, ".json")
}

// readBackup is the one reader of backups. It judges the manifest, lets admit refuse it, gives each file to visit,
// which reads it to its end, and returns without an error only if every hash was right and the configuration is one
// that this version can run on.
func (s *Sets) readBackup(ctx context.Context, name string, admit func(*manifest) error, visit func(entry, io.Reader) error) (control.Backup, error) {
	none := control.Backup{}
	file, err := FileName(name)
	if err != nil {
		return none, err
	}
	f, err := s.fsys.Open(path.Join(transfer, file))
	if errors.Is(err, fs.ErrNotExist) {
		return none, refuse("there is no backup %s: \"backup list\" shows those that are there", file)
	}
	if err != nil {
		return none, fmt.Errorf("open backup: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return none, fmt.Errorf("open backup: %w", err)
	}
	r := cancellable{ctx, f}
	m, err := readManifest(r, info.Size())
	if err != nil {
		return none, err
	}
	if err := m.fits(s.opt); err != nil {
		return none, err
	}
	if err := admit(m); err != nil {
		return none, err
	}
	var found configuration
	for _, e := range m.Files {
		contents := &io.LimitedReader{R: r, N: e.Size}
		sum, seen := sha256.New(), found.writer(e.Path)
		if err := visit(e, io.TeeReader(contents, io.MultiWriter(sum, seen))); err != nil {
			return none, fmt.Errorf("%s: %w", e.Path, err)
		}
		if contents.N != 0 {
			return none, refuse("the backup is cut short at %s: upload it again", e.Path)
		}
		if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
			return none, refuse("the backup is damaged: %s has been altered; upload it again", e.Path)
		}
		found.judge(e.Path)
	}
	if !found.usable {
		return none, refuse("the backup holds no configuration that this version can use")
	}
	return m.about(file, info.Size()), nil
}

// configuration looks for a usable configuration among the files of a backup as they pass.
type configuration struct {
	usable bool
	buffer bytes.Buffer
}

// writer takes the contents of a file: those of a stored configuration are kept until judge, as far as they may go.
func (c *configuration) writer(name string) io.Writer {
	c.buffer.Reset()
	if !strings.HasPrefix(name, "config/") {
		return io.Discard
	}
	return &clipped{&c.buffer, config.MaxSize + 1}
}

func (c *configuration) judge(name string) {
	if strings.HasPrefix(name, "config/") && !c.usable {
		_, err := config.DecodeGeneration(c.buffer.Bytes())
		c.usable = err == nil
	}
}

// clipped keeps so many bytes and drops the rest.
type clipped struct {
	b    *bytes.Buffer
	left int
}

func (c *clipped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.b.Write(p[:n])
	c.left -= n
	return len(p), nil
}
