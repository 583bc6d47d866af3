// Package state owns the set: everything on the data partition that a backup holds and that a rollback or a factory
// reset replaces in one step.
//
//	current → sets/000002      the one link that says which set counts
//	sets/000002/config/        generations of the configuration (package config)
//	sets/000002/mmp/           accounts and SSH host keys
//	sets/000002/files/         certificates, keys, cms.lic and the other files that administrators upload
//	sets/000002/app/<service>/ application data
//	transfer/                  upgrade.img, *.bak and captures: not part of a set
//	log/ crash/ machine/       the journal, traces, the map of network ports: not part of a set
//
// A set is never changed as a whole: [Sets.Rollback] and [Sets.Reset] build another one beside it, flush every file
// and folder of it, and then rename a new link over the old one. A power cut leaves the old set or the new one, whole.
// What was in use is removed by [Open] at the next start only, so that whatever still runs after the flip writes into
// the set that no longer counts; for that reason [Sets.Path] never goes through the link.
//
// A backup is one file (see [manifest]) that is verified to its last byte before anything that was read from it
// counts. Deployment guide chapter 4.2 and appendix H say what administrators are told.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/init/durable"
)

// Options say what runs and who owns what.
type Options struct {
	// Version, Build and Platform are written into backups; a backup of another platform is refused.
	Version, Build, Platform string
	// Owners is nil where everything belongs to one user, as on a developer's machine.
	Owners *Owners
	// Contributors copy the data of services that cannot be read file by file while they run.
	Contributors []Contributor
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// Owners are the users that the folders of a set belong to. What is not named here belongs to root.
type Owners struct {
	// Shell is the management shell: mmp/, files/ and the transfer folder.
	Shell durable.Owner
	// Services owns app/<service>. Data of a service that is not listed stays root's, where nobody reads it.
	Services map[string]durable.Owner
}

// Sets is the data partition with the set that counted when it was opened.
type Sets struct {
	fsys durable.FS
	root string
	opt  Options
	// current is the number of the set.
	current int
}

const (
	currentLink = "current"
	setsFolder  = "sets"
	transfer    = "transfer"
	// completeMark is the last file that a new set gets. If the link is ever lost, the newest set that has it counts.
	completeMark = ".complete"
	// resetMark in the current set says that what a full reset clears outside of the set is still to be cleared.
	resetMark = ".reset"
)

// folder is one folder of the skeleton.
type folder struct {
	name  string
	mode  fs.FileMode
	shell bool // belongs to the management shell, otherwise to root
	group bool // belongs to root and is readable by the management shell's group
}

// top is what lies beside the sets.
var top = []folder{
	{name: setsFolder, mode: 0o755},
	{name: transfer, mode: 0o700, shell: true},
	{name: "log", mode: 0o750, group: true},
	{name: "crash", mode: 0o700},
	{name: "machine", mode: 0o700},
}

// parts is what a set is made of.
var parts = []folder{
	{name: "config", mode: 0o700},
	{name: "mmp", mode: 0o700, shell: true},
	{name: "files", mode: 0o700, shell: true},
	{name: "app", mode: 0o755},
}

// clearedByFullReset are the folders beside the sets that a full reset empties.
var clearedByFullReset = []string{transfer, "log", "crash", "machine"}

// Open prepares the data partition at root, which is mounted there: it makes what is missing at the first start,
// finishes a reset, removes sets that do not count, and opens the current one. Only PID 1 calls it, before anything
// else uses the partition. The warning says what had to be repaired or could not be removed.
func Open(root string, opt Options) (sets *Sets, warning string, err error) {
	disk, err := durable.OpenDisk(root)
	if err != nil {
		return nil, "", fmt.Errorf("open data partition: %w", err)
	}
	return open(disk, root, opt)
}

// Attach opens the current set and changes nothing, for a child process of PID 1.
func Attach(root string, opt Options) (*Sets, error) {
	disk, err := durable.OpenDisk(root)
	if err != nil {
		return nil, fmt.Errorf("open data partition: %w", err)
	}
	s := newSets(disk, root, opt)
	if s.current, err = s.follow(); err != nil {
		disk.Close()
		return nil, err
	}
	return s, nil
}

func newSets(fsys durable.FS, root string, opt Options) *Sets {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Sets{fsys: fsys, root: root, opt: opt}
}

func open(fsys durable.FS, root string, opt Options) (*Sets, string, error) {
	s := newSets(fsys, root, opt)
	if err := s.ensure(".", top); err != nil {
		return nil, "", err
	}
	var warnings []string
	current, err := s.follow()
	if err != nil {
		if current, err = s.adopt(); err != nil {
			return nil, "", err
		}
		if current == 0 {
			if current, err = s.replace(func(*builder) error { return nil }); err != nil {
				return nil, "", fmt.Errorf("make first set: %w", err)
			}
		} else {
			warnings = append(warnings, fmt.Sprintf("the link to the current set was lost: set %d is the newest whole one and counts now", current))
		}
	}
	s.current = current
	if err := s.ensure(setFolder(current), parts); err != nil {
		return nil, "", err
	}
	for _, err := range []error{s.finishReset(), s.removeOthers(), s.removeLeftovers()} {
		if err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	return s, strings.Join(warnings, "; "), nil
}

// Path is the absolute path of a part of the current set: "config", "mmp", "files" or "app/<service>"; "" is the
// set itself.
func (s *Sets) Path(part string) string {
	return filepath.Join(s.root, setFolder(s.current), filepath.FromSlash(part))
}

// Transfer is the absolute path of the transfer folder.
func (s *Sets) Transfer() string { return filepath.Join(s.root, transfer) }

func setFolder(number int) string { return fmt.Sprintf("%s/%06d", setsFolder, number) }

// setNumber is the inverse of setFolder.
func setNumber(name string) (int, bool) {
	n, err := strconv.Atoi(path.Base(name))
	return n, err == nil && n > 0 && setFolder(n) == name
}

// follow reads the link to the current set.
func (s *Sets) follow() (int, error) {
	target, err := s.fsys.Readlink(currentLink)
	if err != nil {
		return 0, fmt.Errorf("read link to the current set: %w", err)
	}
	n, ok := setNumber(target)
	if !ok {
		return 0, fmt.Errorf("link to the current set leads to %q", target)
	}
	info, err := s.fsys.Lstat(target)
	if err != nil {
		return 0, fmt.Errorf("look at current set: %w", err)
	}
	if !info.IsDir() {
		return 0, fmt.Errorf("current set %s is not a folder", target)
	}
	return n, nil
}

// numbers lists the sets on the disk in ascending order.
func (s *Sets) numbers() ([]int, error) {
	entries, err := s.fsys.ReadDir(setsFolder)
	if err != nil {
		return nil, fmt.Errorf("list sets: %w", err)
	}
	var list []int
	for _, e := range entries {
		if n, ok := setNumber(path.Join(setsFolder, e.Name())); ok {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

// adopt points the link at the newest whole set and returns its number, 0 if there is none.
func (s *Sets) adopt() (int, error) {
	list, err := s.numbers()
	if err != nil {
		return 0, err
	}
	for _, n := range slices.Backward(list) {
		if _, err := s.fsys.Lstat(path.Join(setFolder(n), completeMark)); err == nil {
			return n, s.pointAt(n)
		}
	}
	return 0, nil
}

// ensure makes the folders of a skeleton that are missing and sets mode and owner of all.
func (s *Sets) ensure(in string, skeleton []folder) error {
	for _, f := range skeleton {
		name := path.Join(in, f.name)
		if err := s.fsys.Mkdir(name, f.mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := s.fsys.Chmod(name, f.mode); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
		if o := s.opt.Owners; o != nil {
			owner := durable.Owner{}
			switch {
			case f.shell:
				owner = o.Shell
			case f.group:
				owner.GID = o.Shell.GID
			}
			if err := s.fsys.Chown(name, owner.UID, owner.GID); err != nil {
				return fmt.Errorf("set owner: %w", err)
			}
		}
		if err := s.fsys.SyncDir(name); err != nil {
			return fmt.Errorf("flush folder: %w", err)
		}
	}
	if err := s.fsys.SyncDir(in); err != nil {
		return fmt.Errorf("flush folder: %w", err)
	}
	return nil
}

// owner is who a name inside a set belongs to, nil where owners are not kept. It follows from the place alone: a
// backup cannot give its files to anybody.
func (s *Sets) owner(name string) *durable.Owner {
	o := s.opt.Owners
	if o == nil {
		return nil
	}
	part, rest, _ := strings.Cut(name, "/")
	switch part {
	case "mmp", "files":
		return &o.Shell
	case "app":
		service, _, _ := strings.Cut(rest, "/")
		if owner, ok := o.Services[service]; ok {
			return &owner
		}
	}
	return &durable.Owner{}
}

// removeOthers removes whatever lies beside the current set: the one before a flip, one that never was finished, the
// copies of a backup that was cut short.
func (s *Sets) removeOthers() error {
	entries, err := s.fsys.ReadDir(setsFolder)
	if err != nil {
		return fmt.Errorf("list sets: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if name := path.Join(setsFolder, e.Name()); name != setFolder(s.current) {
			errs = append(errs, durable.RemoveAll(s.fsys, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove old set: %w", err)
	}
	return nil
}

// removeLeftovers removes what was being written when the power went.
func (s *Sets) removeLeftovers() error {
	var errs []error
	for _, dir := range []string{".", transfer} {
		entries, err := s.fsys.ReadDir(dir)
		errs = append(errs, err)
		for _, e := range entries {
			if durable.IsTemporary(e.Name()) {
				errs = append(errs, durable.RemoveAll(s.fsys, path.Join(dir, e.Name())))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove leftovers: %w", err)
	}
	return nil
}
