package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"

	"rotunda/init/durable"
)

// mapSchema is the version of the map's file.
const mapSchema = 1

// maxMapSize bounds what is read; four entries need 400 bytes.
const maxMapSize = 64 << 10

// cardMap is the file: which card is behind which letter.
type cardMap struct {
	Schema     int             `json:"schema"`
	Interfaces map[string]Card `json:"interfaces"`
}

// Identify finds the machine's ports, deals the letters in names to them and stores the map at path. It always
// returns an assignment: without a readable map one by PCI order, without a readable sysfs an empty one. What went
// wrong on the way, and what an administrator may wonder about, is in the warnings.
func Identify(sys, path string, names []string, permanent func(kernel string) string) (Assignment, []string) {
	var warnings []string
	nics, err := Discover(sys, permanent)
	if err != nil {
		warnings = append(warnings, err.Error())
	}
	stored, err := loadMap(path)
	if err != nil {
		warnings = append(warnings, fmt.Sprintf("interface map is not readable, letters follow PCI order: %v", err))
	}
	assignment, next := Assign(nics, stored, names)
	for _, letter := range assignment.Vanished {
		c := stored[letter]
		warnings = append(warnings, fmt.Sprintf("interface %s: card %s at %s is not there", letter, c.MAC, c.PCI))
	}
	for _, n := range assignment.Unnamed {
		warnings = append(warnings, fmt.Sprintf("card %s at %s has no letter", n.MAC, n.PCI))
	}
	if !maps.Equal(stored, next) {
		if err := saveMap(path, next); err != nil {
			warnings = append(warnings, fmt.Sprintf("store interface map: %v", err))
		}
	}
	return assignment, warnings
}

// loadMap returns an empty map for a file that does not exist yet.
func loadMap(path string) (map[string]Card, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Card{}, nil
	}
	if err != nil {
		return map[string]Card{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMapSize+1))
	if err != nil {
		return map[string]Card{}, fmt.Errorf("read %s: %w", path, err)
	}
	m, err := parseMap(b)
	if err != nil {
		return map[string]Card{}, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

func parseMap(b []byte) (map[string]Card, error) {
	if len(b) > maxMapSize {
		return nil, fmt.Errorf("larger than %d bytes", maxMapSize)
	}
	var m cardMap
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.Schema != mapSchema {
		return nil, fmt.Errorf("schema %d, want %d", m.Schema, mapSchema)
	}
	for letter, c := range m.Interfaces {
		if number(letter) == 0 {
			return nil, fmt.Errorf("%q is no interface", letter)
		}
		if mac, err := net.ParseMAC(c.MAC); err != nil || mac.String() != c.MAC {
			return nil, fmt.Errorf("interface %s: %q is no MAC address", letter, c.MAC)
		}
		if _, ok := pciFrom(c.PCI); !ok {
			return nil, fmt.Errorf("interface %s: %q is no PCI address", letter, c.PCI)
		}
	}
	if m.Interfaces == nil {
		m.Interfaces = map[string]Card{}
	}
	return m.Interfaces, nil
}

// saveMap replaces the file so that a power cut leaves the old one or the new one.
func saveMap(path string, m map[string]Card) error {
	b, err := json.MarshalIndent(cardMap{Schema: mapSchema, Interfaces: m}, "", "\t")
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	disk, err := durable.OpenDisk(folder)
	if err != nil {
		return err
	}
	return errors.Join(durable.WriteFile(disk, filepath.Base(path), append(b, '\n'), 0o644, nil), disk.Close())
}
