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
	"slices"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/durable"
)

// Contributor copies the data of a service that writes while a backup is taken, such as a database.
type Contributor interface {
	// Service is the folder below app/ that the copy stands for.
	Service() string
	// Contribute writes a consistent copy into a folder that is empty. Names and their bounds are those of a set.
	Contribute(ctx context.Context, folder string) error
}

// reserve is the room that a backup or a rollback leaves free: a machine whose disk is full can neither log nor store
// its configuration.
const reserve = 32 << 20

// attempts is how often a snapshot starts again because a file changed while it was read.
const attempts = 3

// errChanged is a file that is not any more what the manifest says.
var errChanged = errors.New("changed while it was read")

// Snapshot writes the current set into the transfer folder and returns the file's name. A backup of that name is
// replaced. After an error nothing is left behind.
func (s *Sets) Snapshot(ctx context.Context, name string) (string, error) {
	file, err := FileName(name)
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		err := s.snapshot(ctx, file)
		if err == nil {
			return file, nil
		}
		if n == attempts || !errors.Is(err, errChanged) {
			return "", fmt.Errorf("backup: %w", err)
		}
	}
}

// source is a file to back up and the folder it is read from.
type source struct {
	set  string
	file listed
}

func (s *Sets) snapshot(ctx context.Context, file string) error {
	copies := path.Join(setsFolder, ".contributed")
	defer durable.RemoveAll(s.fsys, copies)
	sources, err := s.sources(ctx, copies)
	if err != nil {
		return err
	}
	m, err := s.survey(ctx, sources)
	if err != nil {
		return err
	}
	head, err := encodeManifest(m)
	if err != nil {
		return err
	}
	if err := s.room(int64(len(head)) + m.total()); err != nil {
		return err
	}
	var owner *durable.Owner
	if s.opt.Owners != nil {
		owner = &s.opt.Owners.Shell
	}
	w, err := durable.NewWriter(s.fsys, path.Join(transfer, file), 0o600, owner)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(head); err != nil {
		return err
	}
	for n, src := range sources {
		if err := s.pack(ctx, w, src, m.Files[n]); err != nil {
			return err
		}
	}
	return w.Commit()
}

// sources lists what goes into a backup, in the order of the names.
func (s *Sets) sources(ctx context.Context, copies string) ([]source, error) {
	set := setFolder(s.current)
	var list []source
	for _, p := range parts {
		files, err := s.list(set, p.name)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if s.backedUp(f.name) {
				list = append(list, source{set, f})
			}
		}
	}
	for _, c := range s.opt.Contributors {
		files, err := s.contributed(ctx, c, copies)
		if err != nil {
			return nil, fmt.Errorf("copy data of %s: %w", c.Service(), err)
		}
		for _, f := range files {
			list = append(list, source{copies, f})
		}
	}
	if len(list) > maxFiles {
		return nil, fmt.Errorf("the set holds %d files and a backup takes %d", len(list), maxFiles)
	}
	slices.SortFunc(list, func(a, b source) int { return strings.Compare(a.file.name, b.file.name) })
	return list, nil
}

// backedUp leaves out what a rollback does not overwrite, what a contributor copies, and what belongs to a newer
// version's configuration.
func (s *Sets) backedUp(name string) bool {
	steps := strings.Split(name, "/")
	switch steps[0] {
	case "config":
		schema, err := strconv.Atoi(strings.TrimPrefix(steps[1], "v"))
		return err == nil && schema <= config.Schema
	case "files":
		return !keptByRollback(name)
	case "app":
		return !slices.ContainsFunc(s.opt.Contributors, func(c Contributor) bool { return c.Service() == steps[1] })
	}
	return true
}

// contributed lets a service copy its data.
func (s *Sets) contributed(ctx context.Context, c Contributor, copies string) ([]listed, error) {
	for _, dir := range []string{copies, path.Join(copies, "app"), path.Join(copies, "app", c.Service())} {
		if err := s.fsys.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	part := path.Join("app", c.Service())
	if err := durable.Empty(s.fsys, path.Join(copies, part)); err != nil {
		return nil, err
	}
	if err := c.Contribute(ctx, path.Join(s.root, copies, part)); err != nil {
		return nil, err
	}
	return s.list(copies, part)
}

// survey reads every file once for its size and hash.
func (s *Sets) survey(ctx context.Context, sources []source) (*manifest, error) {
	m := &manifest{
		Format: formatVersion, Product: product, Created: s.opt.Now().UTC(),
		Version: s.opt.Version, Build: s.opt.Build, Platform: s.opt.Platform,
		Hostname: s.hostname(), Schema: config.Schema, Files: []entry{},
	}
	for _, src := range sources {
		h := sha256.New()
		size, err := s.read(ctx, src, h)
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, entry{
			Path: src.file.name, Mode: uint32(src.file.mode), Size: size, SHA256: hex.EncodeToString(h.Sum(nil)),
		})
	}
	if m.total() > maxTotal {
		return nil, fmt.Errorf("the set is larger than the %d GiB that a backup takes", maxTotal>>30)
	}
	return m, nil
}

// read copies one file to w.
func (s *Sets) read(ctx context.Context, src source, w io.Writer) (int64, error) {
	f, err := s.fsys.Open(path.Join(src.set, src.file.name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s: %w", src.file.name, errChanged)
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	counted := &io.LimitedReader{R: cancellable{ctx, f}, N: maxTotal}
	err = transferAll(w, counted)
	return maxTotal - counted.N, err
}

// pack copies one file into the backup and fails if it is not what the manifest says.
func (s *Sets) pack(ctx context.Context, w io.Writer, src source, e entry) error {
	h := sha256.New()
	size, err := s.read(ctx, src, io.MultiWriter(w, h))
	if err != nil {
		return err
	}
	if size != e.Size || hex.EncodeToString(h.Sum(nil)) != e.SHA256 {
		return fmt.Errorf("%s: %w", e.Path, errChanged)
	}
	return nil
}

// hostname is the configured one, for people who look for the right backup; empty if it cannot be read.
func (s *Sets) hostname() string {
	files, err := s.list(setFolder(s.current), currentSchema)
	if err != nil {
		return ""
	}
	for _, f := range slices.Backward(files) {
		var b bytes.Buffer
		src := source{setFolder(s.current), f}
		if _, err := s.read(context.Background(), src, &clipped{&b, config.MaxSize + 1}); err != nil {
			continue
		}
		if doc, err := config.DecodeGeneration(b.Bytes()); err == nil {
			return doc.Hostname
		}
	}
	return ""
}

// currentSchema is the folder of the configuration that this version runs on.
var currentSchema = fmt.Sprintf("config/v%d", config.Schema)

// room fails unless so many more bytes fit on the disk.
func (s *Sets) room(need int64) error {
	free, err := s.fsys.Free()
	if err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	if want := uint64(need) + reserve; free < want {
		return control.Refuse(507, "no room on the disk: %d MiB are needed and %d MiB are free; delete files by SFTP", want>>20+1, free>>20)
	}
	return nil
}

// cancellable ends a copy when its caller has gone.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
