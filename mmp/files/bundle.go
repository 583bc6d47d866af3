package files

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"time"
)

// makeBundle makes logbundle.tar.gz: the log, its predecessor and live.json (guide 16.2). It is a file without a name, so
// nothing is left of it when it is closed. Only one is made at a time; 16 MiB of log take about a second on a server.
func (s *Store) makeBundle(ctx context.Context) (File, error) {
	s.bundle.Lock()
	defer s.bundle.Unlock()
	path := filepath.Join(s.cfg.Transfer, hidden+rand.Text())
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, s.broken("make", bundleName, err)
	}
	os.Remove(path)
	if err := s.writeBundle(ctx, f); err != nil {
		f.Close()
		return nil, s.broken("make", bundleName, err)
	}
	return diskFile{f}, nil
}

func (s *Store) writeBundle(ctx context.Context, w io.Writer) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	add := func(name string, f File, at time.Time) error {
		defer f.Close()
		// The log grows meanwhile: what it has now is what goes in.
		size := f.Size()
		if err := archive.WriteHeader(&tar.Header{Name: "logbundle/" + name, Mode: 0o600, Size: size, ModTime: at}); err != nil {
			return err
		}
		_, err := io.Copy(archive, io.NewSectionReader(f, 0, size))
		return err
	}
	now := time.Now()
	for _, l := range []struct{ name, file string }{{"log.1", logFile + ".1"}, {"log", logFile}} {
		f, err := openRegular(filepath.Join(s.cfg.Logs, l.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := add(l.name, f, now); err != nil {
			return err
		}
	}
	if f, err := s.live(ctx); err != nil {
		s.log(syslog.LOG_WARNING, fmt.Sprintf("the log bundle is made without %s: %v", liveName, err))
	} else if err := add(liveName, f, now); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}
