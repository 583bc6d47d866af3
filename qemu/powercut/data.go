package powercut

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rotunda/init/config"
	"rotunda/init/state"
	"rotunda/qemu/powercut/ext4"
)

// Limits of what is taken out of a data partition; far above what a machine under test stores.
const (
	maxFile  = 16 << 20
	maxFiles = 10000
)

// Data is what a machine finds on its data partition when it starts.
type Data struct {
	// Config is the configuration that it runs on, as JSON, and Generation its number.
	Config     string
	Generation int
	// Files holds the SHA-256 of every file of the current set but for the configuration and what [ownWriters] write.
	Files map[string]string
	// Warning is what the start-up would log about it.
	Warning string
}

// readData does what PID 1 does at the start, on a copy: it replays the journal, opens the sets and loads the
// configuration. scratch is an empty folder, which is left empty.
func readData(partition io.ReaderAt, scratch string) (data Data, err error) {
	v, err := ext4.Open(partition)
	if err != nil {
		return data, fmt.Errorf("mount data partition: %w", err)
	}
	root, err := os.MkdirTemp(scratch, "data-")
	if err != nil {
		return data, fmt.Errorf("make folder for the copy: %w", err)
	}
	defer func() {
		if e := os.RemoveAll(root); err == nil && e != nil {
			err = fmt.Errorf("remove the copy: %w", e)
		}
	}()
	copier := copier{v: v, root: root}
	for _, name := range []string{"current", "sets", "machine"} {
		if err := copier.copy(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	sets, warning, err := state.Open(root, state.Options{})
	if err != nil {
		return data, fmt.Errorf("open sets: %w", err)
	}
	store, err := config.OpenStore(sets.Path("config"))
	if err != nil {
		return data, err
	}
	doc, generation, passedOver, err := store.Load()
	if err != nil {
		return data, fmt.Errorf("load configuration: %w", err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return data, fmt.Errorf("encode configuration: %w", err)
	}
	data = Data{Config: string(text), Generation: generation, Files: map[string]string{}, Warning: warning + passedOver}
	for _, part := range []string{"mmp", "files", "app"} {
		if err := data.hash(sets.Path(""), part); err != nil {
			return data, err
		}
	}
	return data, nil
}

// ownWriters are folders of a set in which a service writes whenever it likes, and not in the step that is cut. What survives of
// that is for the service's own tests to show: those of services/database kill it under writes.
var ownWriters = []string{"app/database", "app/callbridge"}

// isOwn says whether a path on the partition, sets/000001/app/database for example, is one of them.
func isOwn(name string) bool {
	steps := strings.SplitN(name, "/", 3)
	return len(steps) == 3 && steps[0] == "sets" && slices.Contains(ownWriters, steps[2])
}

// hash adds the files below one part of the set.
func (d *Data) hash(set, part string) error {
	return filepath.WalkDir(filepath.Join(set, part), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(set, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		d.Files[relative] = hex.EncodeToString(sum[:])
		return nil
	})
}

// copier takes files out of a volume.
type copier struct {
	v     *ext4.Volume
	root  string
	files int
}

func (c *copier) copy(name string) error {
	if isOwn(name) {
		return nil
	}
	if c.files++; c.files > maxFiles {
		return fmt.Errorf("copy %s: more than %d files", name, maxFiles)
	}
	info, err := c.v.Lstat(name)
	if err != nil {
		return err
	}
	target := filepath.Join(c.root, filepath.FromSlash(name))
	switch info.Kind {
	case ext4.Directory:
		if err := os.Mkdir(target, 0o700); err != nil {
			return err
		}
		list, err := c.v.List(name)
		if err != nil {
			return err
		}
		for _, child := range list {
			if err := c.copy(path.Join(name, child.Name)); err != nil {
				return err
			}
		}
		return nil
	case ext4.Symlink:
		to, err := c.v.Readlink(name)
		if err != nil {
			return err
		}
		return os.Symlink(to, target)
	case ext4.Regular:
		content, err := c.v.ReadFile(name, maxFile)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	default:
		return fmt.Errorf("copy %s: not a file, folder or link", name)
	}
}
