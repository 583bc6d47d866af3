package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"rotunda/init/fat"
)

// ErrProtected is what Remove returns for a version that must stay. Check with errors.Is.
var ErrProtected = errors.New("cannot be deleted")

// Store is the versions on an EFI system partition. One goroutine may change them at a time; List and Plan may run
// meanwhile.
type Store struct {
	volume  *fat.Volume
	running int
}

// NewStore returns the versions on a volume. Running is the number of the version that was started, 0 if that is not
// known, as for the image builder and for a checker.
func NewStore(volume *fat.Volume, running int) *Store {
	return &Store{volume: volume, running: running}
}

// List returns the installed versions, the newest first.
func (s *Store) List() ([]Version, error) {
	versions, _, err := s.scan()
	return versions, err
}

// Next is the version that systemd-boot will start. It fails with fs.ErrNotExist if there is none.
func (s *Store) Next() (Version, error) {
	versions, _, err := s.scan()
	if err != nil {
		return Version{}, err
	}
	// The loader leaves out what it cannot read.
	var files []string
	byFile := map[string]Version{}
	for _, v := range versions {
		if v.Damage != nil {
			continue
		}
		for _, name := range v.Names {
			files = append(files, name)
			byFile[name] = v
		}
	}
	next := NextBoot(files)
	if next == "" {
		return Version{}, fmt.Errorf("no version can be started: %w", fs.ErrNotExist)
	}
	return byFile[next], nil
}

// isStray finds 8.3 names that have lost their long name when a rename of the firmware was torn. The loader starts one
// only if nothing else is there.
func isStray(name string) bool {
	base, ext, _ := strings.Cut(name, ".")
	return len(base) <= 8 && strings.EqualFold(ext, "efi") && strings.Contains(base, "~")
}

// scan reads EFI/Linux. Names of one number are one version; where a power cut left several, the one that the loader
// prefers counts.
func (s *Store) scan() (versions []Version, strays []string, err error) {
	entries, err := s.volume.List(Directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list versions: %w", err)
	}
	byNumber := map[int][]string{}
	sizes := map[string]int64{}
	for _, e := range entries {
		n, ok := ParseName(e.Name)
		switch {
		case e.Directory:
		case ok:
			byNumber[n.Number] = append(byNumber[n.Number], e.Name)
			sizes[e.Name] = e.Size
		case isStray(e.Name):
			strays = append(strays, e.Name)
		}
	}
	for number, files := range byNumber {
		files = Order(files)
		name, _ := ParseName(files[0])
		v := Version{Number: number, File: files[0], Names: files, Size: sizes[files[0]], Trial: name.Counted, TriesLeft: name.Left}
		v.Release, v.Damage = s.read(v.File)
		v.State = stateOf(name, s.running, v.Damage != nil)
		versions = append(versions, v)
	}
	return newestFirst(versions), strays, nil
}

func (s *Store) read(file string) (Release, error) {
	f, err := s.volume.Open(Directory + "/" + file)
	if err != nil {
		return Release{}, err
	}
	return ReadRelease(f, f.Size())
}

// need is the room that an image takes: its clusters and some for directories that grow.
func (s *Store) need(size int64) int64 {
	c := s.volume.ClusterSize()
	return (size+c-1)/c*c + 4*c
}

// Plan says what installing an image of size bytes would do. It fails with fat.ErrFull if there is no room even without
// all that may go.
func (s *Store) Plan(size int64) (Plan, error) {
	if size <= 0 || size > MaxImage {
		return Plan{}, fmt.Errorf("an image of %d bytes, want 1 to %d", size, MaxImage)
	}
	versions, _, err := s.scan()
	if err != nil {
		return Plan{}, err
	}
	free, err := s.volume.Free()
	if err != nil {
		return Plan{}, fmt.Errorf("plan installation: %w", err)
	}
	return plan(versions, s.running, s.need(size), free, s.volume.ClusterSize())
}

// Install makes room, writes the image, reads it back, compares its SHA-256 and then gives it its name: the next number,
// with three tries. When it returns the version is on the disk and will be started next. Progress, which may be nil, is
// told how many bytes are written. If Install fails the versions that were not in the way are as before.
func (s *Store) Install(ctx context.Context, image io.Reader, size int64, sum [sha256.Size]byte, progress func(written int64)) (Version, error) {
	v, err := s.install(ctx, image, size, sum, Name{Counted: true, Left: Tries}, progress)
	if err != nil {
		return Version{}, fmt.Errorf("install version: %w", err)
	}
	return v, nil
}

// install takes the number of the name from the plan.
func (s *Store) install(ctx context.Context, image io.Reader, size int64, sum [sha256.Size]byte, name Name, progress func(int64)) (Version, error) {
	p, err := s.Plan(size)
	if err != nil {
		return Version{}, err
	}
	if err := s.makeRoom(p); err != nil {
		return Version{}, err
	}
	name.Number = p.Number
	v := Version{Number: p.Number, Size: size, State: stateOf(name, s.running, false), Trial: name.Counted, TriesLeft: name.Left,
		File: name.String(), Names: []string{name.String()}}
	err = s.volume.Create(ctx, Directory+"/"+v.File, image, size, fat.CreateOptions{
		Renames:  name.Left,
		Progress: progress,
		Verify: func(f *fat.File) error {
			if got, err := hashFile(ctx, f); err != nil {
				return err
			} else if got != sum {
				return fmt.Errorf("the image on the disk has SHA-256 %x, want %x", got[:8], sum[:8])
			}
			r, err := ReadRelease(f, f.Size())
			v.Release = r
			return err
		},
	})
	if err != nil {
		return Version{}, err
	}
	return v, nil
}

// makeRoom removes what the plan says, and strays unless what runs is not known and might be one, and moves the names that
// stay to the front of the folder.
func (s *Store) makeRoom(p Plan) error {
	for _, v := range p.Remove {
		if err := s.removeNames(v.Names); err != nil {
			return err
		}
	}
	_, strays, err := s.scan()
	if err != nil {
		return err
	}
	if s.running != 0 {
		if err := s.removeNames(strays); err != nil {
			return err
		}
	}
	if err := s.volume.MkdirAll(Directory); err != nil {
		return err
	}
	return s.volume.Pack(Directory)
}

func hashFile(ctx context.Context, f *fat.File) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for off := int64(0); off < f.Size(); {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), f.Size()-off)], off)
		if err != nil {
			return sum, err
		}
		h.Write(buf[:n])
		off += int64(n)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func (s *Store) find(number int) (Version, []Version, error) {
	versions, _, err := s.scan()
	if err != nil {
		return Version{}, nil, err
	}
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Number == number })
	if i < 0 {
		return Version{}, nil, fmt.Errorf("version %d is not installed: %w", number, fs.ErrNotExist)
	}
	return versions[i], versions, nil
}

// Commit takes the counter from a version's name. Committing twice is no error. After a cut within it the loader starts
// the same version, and Commit may be called again.
func (s *Store) Commit(number int) error {
	v, _, err := s.find(number)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if v.Damage != nil {
		return fmt.Errorf("commit version %d: %w", number, v.Damage)
	}
	final := Name{Number: number}.String()
	rest := v.Names
	if !slices.ContainsFunc(v.Names, func(n string) bool { return strings.EqualFold(n, final) }) {
		if err := s.volume.Rename(Directory, v.File, final); err != nil {
			return fmt.Errorf("commit version %d: %w", number, err)
		}
		rest = rest[1:]
	}
	rest = slices.DeleteFunc(slices.Clone(rest), func(n string) bool { return strings.EqualFold(n, final) })
	if err := s.removeNames(rest); err != nil {
		return fmt.Errorf("commit version %d: %w", number, err)
	}
	return nil
}

// Remove deletes a version. The running one and the one to fall back to stay: ErrProtected.
func (s *Store) Remove(number int) error {
	v, versions, err := s.find(number)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	switch {
	case number == s.running:
		return fmt.Errorf("version %d runs: %w", number, ErrProtected)
	case protected(versions, s.running)[number]:
		return fmt.Errorf("version %d is the one to fall back to: %w", number, ErrProtected)
	}
	if err := s.removeNames(v.Names); err != nil {
		return fmt.Errorf("remove version %d: %w", number, err)
	}
	return nil
}

func (s *Store) removeNames(names []string) error {
	for _, name := range names {
		if err := s.volume.Remove(Directory + "/" + name); err != nil {
			return err
		}
	}
	return nil
}
