package snmp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const bootsFile = "boots"

// countBoot returns the number of this start, once it is kept: no two starts have the same number, or old messages could be played
// again. Where it cannot be kept it is [lastBoots], by which every signed message is refused (RFC 3414 section 2.2.2).
func countBoot(folder string) (int32, error) {
	path := filepath.Join(folder, bootsFile)
	var n int64
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return lastBoots, fmt.Errorf("read the number of starts: %w", err)
	default:
		if n, err = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 32); err != nil || n < 0 {
			return lastBoots, fmt.Errorf("the number of starts in %s is %.20q: remove the SNMP users, and add them anew after a factory reset", path, b)
		}
	}
	n = min(n+1, lastBoots)
	if err := keepBoots(path, n); err != nil {
		return lastBoots, fmt.Errorf("keep the number of starts: %w", err)
	}
	return int32(n), nil
}

// keepBoots puts it on the disk as a whole: after a cut there is the old one or the new one.
func keepBoots(path string, n int64) error {
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, n)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
