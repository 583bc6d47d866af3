package syslog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"rotunda/init/journal"
)

// places keeps up to where servers have the log, a file each.
type places struct{ dir string }

// placeFile is the name of a server's file; server is what tells it apart.
func placeFile(server string) string {
	sum := sha256.Sum256([]byte(server))
	return hex.EncodeToString(sum[:12]) + ".json"
}

const maxPlace = 4 << 10

// load says whether the server is known.
func (p places) load(server string) (pos journal.Position, known bool, err error) {
	f, err := os.Open(filepath.Join(p.dir, placeFile(server)))
	if errors.Is(err, fs.ErrNotExist) {
		return pos, false, nil
	}
	if err != nil {
		return pos, false, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPlace))
	if err != nil {
		return pos, true, err
	}
	if err := json.Unmarshal(b, &pos); err != nil || pos.Offset < 0 {
		// Lines twice are better than lines lost.
		return journal.Position{}, true, nil
	}
	return pos, true, nil
}

// save leaves the old file or the new one.
func (p places) save(server string, pos journal.Position) error {
	b, err := json.Marshal(pos)
	if err != nil {
		return err
	}
	name := filepath.Join(p.dir, placeFile(server))
	fresh := name + ".new"
	if err := os.WriteFile(fresh, b, 0o600); err != nil {
		return fmt.Errorf("keep the place of %s: %w", server, err)
	}
	if err := os.Rename(fresh, name); err != nil {
		return fmt.Errorf("keep the place of %s: %w", server, err)
	}
	return nil
}

// keep removes the places of all other servers: one that comes back begins anew.
func (p places) keep(servers map[string]bool) {
	list, err := os.ReadDir(p.dir)
	if err != nil {
		return
	}
	known := map[string]bool{}
	for s := range servers {
		known[placeFile(s)] = true
	}
	for _, d := range list {
		if !known[d.Name()] && filepath.Ext(d.Name()) != "" {
			_ = os.Remove(filepath.Join(p.dir, d.Name()))
		}
	}
}
