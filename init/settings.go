package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/licence"
	"rotunda/init/supervise"
)

const (
	// maxCertificate bounds a key, a certificate or a bundle: a chain of RSA certificates is about 10 kB.
	maxCertificate = 256 << 10
	// maxGathered bounds what all files of a service have together: services read 1 MiB of settings.
	maxGathered = 900 << 10
)

// configured is a service that runs by what administrators have set. PID 1 writes its part of the document, with the contents of
// the files that it names, to where the service alone may read it: no service sees the document, nor the folder of keys.
type configured struct {
	// user is whom it runs as; its name is the service's.
	user supervise.User
	// sockets says that its folder below /run has sockets of its own beside the settings.
	sockets bool
	// wanted says whether the document wants it to run.
	wanted func(*config.Document) bool
	// settings are what it is to know. What cannot be read is left out, and told.
	settings func(*gathering, *config.Document) any
	spec     func(*machine, *config.Document) supervise.Spec
}

// configuredServices in the order in which they start. The Web Admin is the Call Bridge's face.
var configuredServices = []configured{resolver, timesyncing, forwarding, snmpAgent, metricsGatherer, identifying, turnServer, callBridge, webAdmin}

// settingsRoot has a folder for each service; a test has its own.
var settingsRoot = "/run/rotunda"

func settingsFolder(u supervise.User) string { return filepath.Join(settingsRoot, u.Name) }

func settingsFile(u supervise.User) string { return filepath.Join(settingsFolder(u), "settings.json") }

// applyServices makes the services what the document says: each is started, ended, or told that its settings have changed. What is
// wrong with one keeps none of the others back. The caller holds changing.
func (m *machine) applyServices(doc *config.Document) error {
	var errs []error
	for _, s := range configuredServices {
		errs = append(errs, m.applyService(s, doc))
	}
	return errors.Join(errs...)
}

func (m *machine) applyService(s configured, doc *config.Document) error {
	_, services := m.parts()
	if services == nil {
		return nil
	}
	name := s.user.Name
	if !s.wanted(doc) {
		delete(m.stamps, name)
		services.End(name)
		if err := os.RemoveAll(settingsFolder(s.user)); err != nil {
			return fmt.Errorf("remove settings of %s: %w", name, err)
		}
		return nil
	}
	now := m.stamp(s, doc)
	if before, ok := m.stamps[name]; ok && services.Runs(name) && reflect.DeepEqual(now, before) {
		return nil
	}
	delete(m.stamps, name)
	if s.sockets {
		runFolder(s.user)
	} else if err := ownFolder(settingsFolder(s.user), 0o750, 0, s.user.GID); err != nil {
		return fmt.Errorf("write settings of %s: %w", name, err)
	}
	settings, problem := m.gather(s, doc)
	changed, err := writeSettings(settingsFile(s.user), settings, s.user)
	switch {
	case err != nil:
		return fmt.Errorf("write settings of %s: %w", name, err)
	case !services.Runs(name):
		services.Start(m.countsOn(s.spec(m, doc)))
	case changed:
		problem = errors.Join(problem, services.Signal(name, syscall.SIGHUP))
	}
	if problem == nil {
		// What was read may have changed since: the looks are those from before it was.
		now.file = look(settingsFile(s.user))
		m.stamps[name] = now
	}
	return problem
}

// stamp is what the settings of a service were made of, and the look of the file that has them: a service may take it away.
type stamp struct {
	settings any
	file     string
}

// stamp gathers the settings of a service with the looks of files in the place of their contents. Most changes concern none or one of the
// services, and the others have nothing to read, to encode and to compare.
func (m *machine) stamp(s configured, doc *config.Document) stamp {
	g := m.gatherer(s)
	g.looks = true
	return stamp{s.settings(g, doc), look(settingsFile(s.user))}
}

// look is a text that is another once a file has changed.
func look(file string) string {
	var st unix.Stat_t
	if err := unix.Lstat(file, &st); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %d %o %d %d %d", st.Dev, st.Ino, st.Mode, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
}

// Restart ends a service and starts it anew, by its settings and files as they are now.
func (m *machine) Restart(_ context.Context, name string) error {
	i := slices.IndexFunc(configuredServices, func(s configured) bool { return s.user.Name == name })
	if i < 0 {
		return control.Refuse(http.StatusNotFound, "there is no service %q that can be restarted", name)
	}
	m.changing.Lock()
	defer m.changing.Unlock()
	m.mu.Lock()
	doc := m.config.Document
	m.mu.Unlock()
	_, services := m.parts()
	switch {
	case services == nil:
		return control.Refuse(http.StatusServiceUnavailable, "the services did not start; health says why")
	case !configuredServices[i].wanted(doc):
		return control.Refuse(http.StatusConflict, "%s is not enabled", name)
	}
	m.info("%s is restarted", name)
	services.End(name)
	delete(m.stamps, name)
	return m.applyService(configuredServices[i], doc)
}

// gathering reads what settings name. It goes on after an error, so that a service gets what there is.
type gathering struct {
	service string
	// files is the folder of what administrators have put, empty without a data partition.
	files string
	// devices are the kernel's names of the interfaces, by their own.
	devices map[string]string
	leased  leased
	// looks says that the looks of files are enough; see [machine.stamp].
	looks bool
	// size of what was read so far.
	size int
	errs []error
}

func (m *machine) gather(s configured, doc *config.Document) (settings any, problem error) {
	g := m.gatherer(s)
	settings = s.settings(g, doc)
	return settings, errors.Join(g.errs...)
}

func (m *machine) gatherer(s configured) *gathering {
	g := &gathering{service: s.user.Name, devices: map[string]string{}}
	if m.sets != nil {
		g.files = m.sets.Path("files")
	}
	// The cards were told apart at the start and stay what they are. The kernel would be asked for all links, addresses and routes, once for
	// every service of every change.
	m.mu.Lock()
	maps.Copy(g.devices, devicesOf(m.ports))
	m.mu.Unlock()
	g.leased = m.leases()
	return g
}

// file is the content of a file, nothing for no name.
func (g *gathering) file(name string) []byte {
	if name == "" || g.files == "" {
		return nil
	}
	if g.looks {
		return []byte(name + " " + look(filepath.Join(g.files, name)))
	}
	b, err := readStored(g.files, name)
	if err == nil && g.size+len(b) > maxGathered {
		err = fmt.Errorf("%s: the files of this service have more than %d bytes together", name, maxGathered)
	}
	if err != nil {
		g.errs = append(g.errs, fmt.Errorf("%s: %w", g.service, err))
		return nil
	}
	g.size += len(b)
	return b
}

// pair is a key and the chain of its certificate, both in PEM. One that cannot be read takes the other with it.
func (g *gathering) pair(c config.Certificates) (key, chain string) {
	k, certificate, bundle := g.file(c.Key), g.file(c.Certificate), g.file(c.Bundle)
	if len(k) == 0 || len(certificate) == 0 {
		return "", ""
	}
	// A file need not end with a new line, and PEM begins on one.
	for _, b := range [][]byte{certificate, bundle} {
		if len(b) > 0 {
			chain += string(b) + "\n"
		}
	}
	return string(k), chain
}

func (g *gathering) kind(k config.TLSKind) config.TLSKindService {
	return config.TLSKindService{Trust: string(g.file(k.Trust)), Verify: k.Verify, MinVersion: k.MinVersion, Ciphers: k.Ciphers}
}

func (g *gathering) peer(p config.Peer) config.PeerService {
	return config.PeerService{Trust: string(g.file(p.Trust)), Verify: p.Verify}
}

// licence is the licence file, which need not be there.
func (g *gathering) licence() []byte {
	if g.files == "" {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(g.files, licence.FileName)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return g.file(licence.FileName)
}

// readStored reads a file that an administrator has put. Its folder is the shell's; see [openUpgrade].
func readStored(folder, name string) ([]byte, error) {
	f, err := openUpgrade(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err == nil && len(b) > maxCertificate {
		err = fmt.Errorf("larger than %d bytes", maxCertificate)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// writeSettings puts settings where only a service's user may read them, in one step, and says whether they are others
// than before. The folder may belong to the service, which is not trusted: a link that it has put in the way is never
// followed.
func writeSettings(file string, settings any, user supervise.User) (changed bool, err error) {
	b, err := json.MarshalIndent(settings, "", "\t")
	if err != nil {
		return false, err
	}
	if old, err := readPlain(file, int64(len(b))+1); err == nil && bytes.Equal(old, b) {
		return false, nil
	}
	partial := file + ".new"
	if err := os.Remove(partial); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o400)
	if err != nil {
		return false, err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chown(int(user.UID), int(user.GID)), f.Close()); err != nil {
		return false, err
	}
	return true, os.Rename(partial, file)
}

// readPlain reads at most so many bytes of a file that is neither a link nor anything that blocks.
func readPlain(file string, most int64) ([]byte, error) {
	f, err := openUpgrade(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
