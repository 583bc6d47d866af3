package powercut

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"rotunda/init/fat"
	"rotunda/init/gpt"
	"rotunda/init/release"
)

// Outcome is what comes up on a disk after a power cut.
type Outcome struct {
	// Starts are the images that the loader tries, in its order.
	Starts []Start
	Data   Data
}

// Start is one image that the loader may start.
type Start struct {
	// File is its name in EFI/Linux.
	File string
	// Image is what the checker knows the content as, for example "old".
	Image string
}

// Checker finds out what a disk boots and what it comes up with. It is not safe for concurrent use.
type Checker struct {
	// Images are the EFI images that may be on the disk, by SHA-256.
	Images map[[sha256.Size]byte]string
	// Loader are the files outside of EFI/Linux that starting depends on, by path. They must not change.
	Loader map[string][sha256.Size]byte
	// Scratch is an empty folder, best in memory.
	Scratch string

	layout Memo[result[*gpt.Table]]
	starts Memo[result[[]Start]]
	data   Memo[result[Data]]
}

type result[T any] struct {
	value T
	err   error
}

// Inspect returns what comes up, or why nothing does.
func (c *Checker) Inspect(d *Disk) (Outcome, error) {
	layout := c.layout.Do(d, func(d *Disk) result[*gpt.Table] {
		t, err := gpt.Read(d)
		return result[*gpt.Table]{t, err}
	})
	if layout.err != nil {
		return Outcome{}, fmt.Errorf("read partition table: %w", layout.err)
	}
	esp, ok := layout.value.ByName("esp")
	data, okData := layout.value.ByName("data")
	if !ok || !okData {
		return Outcome{}, errors.New("read partition table: esp or data is missing")
	}
	starts := c.starts.Do(d, func(d *Disk) result[[]Start] {
		s, err := c.readStarts(d, esp)
		return result[[]Start]{s, err}
	})
	if starts.err != nil {
		return Outcome{}, fmt.Errorf("EFI system partition: %w", starts.err)
	}
	content := c.data.Do(d, func(d *Disk) result[Data] {
		s, err := readData(io.NewSectionReader(d, data.Start(), data.Size()), c.Scratch)
		return result[Data]{s, err}
	})
	if content.err != nil {
		return Outcome{Starts: starts.value}, fmt.Errorf("data partition: %w", content.err)
	}
	return Outcome{starts.value, content.value}, nil
}

// Work says how many checks were computed and how many were answered from memory.
func (c *Checker) Work() string {
	return fmt.Sprintf("boot files read %d times and answered from memory %d times, data %d and %d",
		c.starts.Runs, c.starts.Hits, c.data.Runs, c.data.Hits)
}

// readStarts lists the images that the loader may start and compares each, byte for byte by its hash, with those that are
// known. An image with unknown content fails the disk even if it is last in the order: the loader would come to it.
func (c *Checker) readStarts(d *Disk, esp gpt.Partition) ([]Start, error) {
	partition, err := fat.NewPartition(d, esp.Start(), esp.Size())
	if err != nil {
		return nil, err
	}
	volume, err := fat.Open(partition, fat.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	for _, p := range volume.Check() {
		// A rename by the firmware may be torn into two names of one chain, which both read well.
		if p.Kind != fat.Shared {
			return nil, errors.New(p.String())
		}
	}
	for name, want := range c.Loader {
		got, err := hash(volume, name)
		if err != nil {
			return nil, err
		}
		if got != want {
			return nil, fmt.Errorf("%s has changed", name)
		}
	}
	entries, err := volume.List(release.Directory)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	var starts []Start
	for _, name := range release.Order(names) {
		sum, err := hash(volume, path.Join(release.Directory, name))
		if err != nil {
			return nil, err
		}
		known, ok := c.Images[sum]
		if !ok {
			return nil, fmt.Errorf("%s may be started and is no version that was installed", name)
		}
		starts = append(starts, Start{name, known})
	}
	if len(starts) == 0 {
		return nil, fmt.Errorf("nothing to start in %s: %s", release.Directory, strings.Join(names, " "))
	}
	return starts, nil
}

// hash returns the SHA-256 of a file.
func hash(volume *fat.Volume, name string) (sum [sha256.Size]byte, err error) {
	f, err := volume.Open(name)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(f, 0, f.Size()), make([]byte, 1<<20)); err != nil {
		return sum, fmt.Errorf("read %s: %w", name, err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Learn takes the images and the loader's files of a disk that is known to be good. It names the images by label, in the
// loader's order.
func (c *Checker) Learn(d *Disk, loader []string, label func(file string) string) error {
	table, err := gpt.Read(d)
	if err != nil {
		return err
	}
	esp, ok := table.ByName("esp")
	if !ok {
		return errors.New("no partition esp")
	}
	partition, err := fat.NewPartition(d, esp.Start(), esp.Size())
	if err != nil {
		return err
	}
	volume, err := fat.Open(partition, fat.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	if c.Images == nil {
		c.Images = map[[sha256.Size]byte]string{}
		c.Loader = map[string][sha256.Size]byte{}
	}
	entries, err := volume.List(release.Directory)
	if err != nil {
		return err
	}
	for _, e := range entries {
		sum, err := hash(volume, path.Join(release.Directory, e.Name))
		if err != nil {
			return err
		}
		c.Images[sum] = label(e.Name)
	}
	for _, name := range loader {
		if c.Loader[name], err = hash(volume, name); err != nil {
			return err
		}
	}
	return nil
}
