package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/boards"
	"rotunda/init/config"
	"rotunda/init/supervise"
)

const (
	turnService = "turn"
	// turnFolder holds the settings of the TURN server, with its credentials and its key: nobody else may look inside.
	turnFolder = "/run/rotunda/turn"
	// maxCertificate bounds a key, a certificate or a bundle: a chain of RSA certificates is about 10 kB.
	maxCertificate = 256 << 10
)

// turnSpec is the TURN server. It may use every processor: on an edge server nothing else carries media, and in a combined
// deployment what it relays is a small part of what a worker does for the same call.
func turnSpec(c boards.Cores) supervise.Spec {
	return supervise.Spec{
		Name:    turnService,
		Program: "/bin/services",
		Args:    []string{"turn", "-settings", filepath.Join(turnFolder, "settings.json")},
		User:    turnUser,
		// For "turn tls 443".
		Capabilities: []uintptr{unix.CAP_NET_BIND_SERVICE},
		Confine:      supervise.Confine{ReadOnly: []string{turnFolder, "/proc/sys/net/core/somaxconn"}},
		CPUs:         allProcessors(c),
		MemoryMax:    1 << 30,
		ReadyWithin:  30 * time.Second,
		Watchdog:     30 * time.Second,
	}
}

func allProcessors(c boards.Cores) []int {
	all := slices.Concat(append([][]int{c.System}, c.Modules...)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// applyTURN makes the TURN server what the document says: it is started, ended, or told that its settings have changed. The
// caller holds changing.
func (m *machine) applyTURN(ctx context.Context, doc *config.Document) error {
	_, services := m.parts()
	if services == nil {
		return nil
	}
	if !doc.TURN.Enabled {
		services.End(turnService)
		if err := os.RemoveAll(turnFolder); err != nil {
			return fmt.Errorf("remove settings of TURN: %w", err)
		}
		return nil
	}
	settings, problem := m.turnSettings(ctx, doc.TURN)
	changed, err := writeSettings(turnFolder, settings, turnUser)
	switch {
	case err != nil:
		return fmt.Errorf("write settings of TURN: %w", err)
	case !services.Runs(turnService):
		services.Start(turnSpec(m.cores))
	case changed:
		problem = errors.Join(problem, services.Signal(turnService, syscall.SIGHUP))
	}
	return problem
}

// turnSettings gathers what the service is to know. Without its certificate it still serves UDP and plain TCP.
func (m *machine) turnSettings(ctx context.Context, t config.TURN) (config.TURNService, error) {
	s := config.TURNService{TURN: t, Devices: map[string]string{}}
	var errs []error
	if interfaces, _ := m.parts(); interfaces != nil {
		list, err := interfaces.Observed(ctx)
		errs = append(errs, err)
		for _, i := range list {
			s.Devices[i.Name] = i.Kernel
		}
	}
	if t.Certificates.Key == "" || m.sets == nil {
		return s, errors.Join(errs...)
	}
	folder := m.sets.Path("files")
	var chain []byte
	for _, name := range []string{t.Certificates.Certificate, t.Certificates.Bundle} {
		if name == "" {
			continue
		}
		b, err := readStored(folder, name)
		errs = append(errs, err)
		// A file need not end with a new line, and PEM begins on one.
		chain = append(append(chain, b...), '\n')
	}
	key, err := readStored(folder, t.Certificates.Key)
	errs = append(errs, err)
	s.Key, s.Chain = string(key), string(chain)
	return s, errors.Join(errs...)
}

// readStored reads a file that an administrator has put. Its folder is the shell's; see [openUpgrade].
func readStored(folder, name string) ([]byte, error) {
	f, err := openUpgrade(filepath.Join(folder, name))
	if err != nil {
		return nil, fmt.Errorf("TURN certificate: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err == nil && len(b) > maxCertificate {
		err = fmt.Errorf("larger than %d bytes", maxCertificate)
	}
	if err != nil {
		return nil, fmt.Errorf("TURN certificate %s: %w", name, err)
	}
	return b, nil
}

// writeSettings puts settings where only a service's user may read them, in one step, and says whether they are others
// than before.
func writeSettings(folder string, settings any, user supervise.User) (changed bool, err error) {
	b, err := json.MarshalIndent(settings, "", "\t")
	if err != nil {
		return false, err
	}
	file := filepath.Join(folder, "settings.json")
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, b) {
		return false, nil
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return false, err
	}
	if err := os.Chown(folder, 0, int(user.GID)); err != nil {
		return false, err
	}
	partial := file + ".new"
	_ = os.Remove(partial)
	if err := os.WriteFile(partial, b, 0o400); err != nil {
		return false, err
	}
	if err := os.Chown(partial, int(user.UID), int(user.GID)); err != nil {
		return false, err
	}
	return true, os.Rename(partial, file)
}
