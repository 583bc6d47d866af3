package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"rotunda/init/control"
	"rotunda/init/fat"
	"rotunda/init/release"
	"rotunda/init/state"
)

const keysDir = "/etc/rotunda/keys"

// loaderEntry is the EFI variable in which systemd-boot says what it started (systemd's Boot Loader Interface):
// four bytes of attributes, then UTF-16.
const loaderEntry = "/sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// startedNumber is the install number that the loader started; 0 if it does not say.
func startedNumber(file string) int {
	b, err := os.ReadFile(file)
	if err != nil || len(b) > 1024 {
		return 0
	}
	n, ok := release.ParseName(decodeEntry(b))
	if !ok {
		return 0
	}
	return n.Number
}

func decodeEntry(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	var units []uint16
	for b = b[4:]; len(b) >= 2; b = b[2:] {
		u := uint16(b[0]) | uint16(b[1])<<8
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// versionErrand is the argument of what works on the EFI system partition.
type versionErrand struct {
	// ESP is the partition's device.
	ESP string `json:"esp"`
	// Running is what runs, Started the install number that the loader named, 0 if it did not.
	Running control.Release `json:"running"`
	Started int             `json:"started"`
	// File is an upgrade image, Number an installed version.
	File   string `json:"file,omitempty"`
	Number int    `json:"number,omitempty"`
}

// openVersions opens the partition; it is closed by the end of the errand's process.
func (a versionErrand) openVersions(write bool) (*release.Store, error) {
	dev, err := fat.OpenDevice(a.ESP, write)
	if err != nil {
		return nil, fmt.Errorf("open EFI system partition: %w", err)
	}
	volume, err := fat.Open(dev, fat.Options{})
	if err != nil {
		return nil, fmt.Errorf("open EFI system partition: %w", err)
	}
	if a.Started != 0 {
		return release.NewStore(volume, a.Started), nil
	}
	// Without the loader's word: what the loader would start next, if it is what runs. A version that has failed its
	// trial is not, and then nothing can be told from names alone.
	s := release.NewStore(volume, 0)
	if next, err := s.Next(); err == nil && next.Build == a.Running.Build {
		return release.NewStore(volume, next.Number), nil
	}
	return s, nil
}

func listVersions(a versionErrand) (any, error) {
	s, err := a.openVersions(false)
	if err != nil {
		return nil, err
	}
	versions, err := s.List()
	if err != nil {
		return nil, err
	}
	list := []control.Version{}
	for _, v := range versions {
		list = append(list, control.Version{Number: v.Number, Version: v.Version, Build: v.Build, Size: v.Size,
			State: string(v.State), Trial: v.Trial, TriesLeft: v.TriesLeft, File: v.File})
	}
	return list, nil
}

func commitVersion(a versionErrand) (any, error) {
	s, err := a.openVersions(true)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.Commit(a.Number)
}

func deleteVersion(a versionErrand) (any, error) {
	s, err := a.openVersions(true)
	if err != nil {
		return nil, err
	}
	err = s.Remove(a.Number)
	switch {
	case errors.Is(err, release.ErrProtected):
		return nil, control.Refuse(http.StatusUnprocessableEntity, "%v", err)
	case errors.Is(err, os.ErrNotExist):
		return nil, control.Refuse(http.StatusNotFound, "there is no version %d; upgrade list shows those that there are", a.Number)
	}
	return struct{}{}, err
}

// openUpgrade opens a regular file. Its folder belongs to the shell, which must not send root after a link or let it wait
// at a pipe.
func openUpgrade(file string) (*os.File, error) {
	notAFile := fmt.Errorf("%s is not a file", filepath.Base(file))
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s: put it by SFTP first", filepath.Base(file))
	case errors.Is(err, unix.ELOOP):
		return nil, notAFile
	case err != nil:
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, notAFile)
	}
	return f, nil
}

// checkUpgrade verifies the file to its last byte and plans the installation.
func (a versionErrand) checkUpgrade(s *release.Store) (*os.File, release.Manifest, control.UpgradePlan, error) {
	refuse := func(err error) (*os.File, release.Manifest, control.UpgradePlan, error) {
		return nil, release.Manifest{}, control.UpgradePlan{}, control.Refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	keys, err := trustedKeys(keysDir)
	if err != nil {
		return refuse(err)
	}
	f, err := openUpgrade(a.File)
	if err != nil {
		return refuse(err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return refuse(err)
	}
	manifest, err := release.Verify(f, st.Size(), keys)
	if err == nil && !manifest.Runs(a.Running.Platform) {
		err = fmt.Errorf("upgrade.img is for the platforms %s, and this machine is not one of them: it is %s",
			strings.Join(manifest.Platforms, ", "), a.Running.Platform)
	}
	var plan release.Plan
	if err == nil {
		plan, err = s.Plan(manifest.Image.Size)
	}
	if err != nil {
		f.Close()
		return refuse(err)
	}
	p := control.UpgradePlan{File: filepath.Base(a.File), Version: manifest.Version, Build: manifest.Build,
		Platform: a.Running.Platform, Size: manifest.Image.Size, From: a.Running.Version}
	for _, v := range plan.Remove {
		p.Replaces = append(p.Replaces, fmt.Sprintf("%s (install %d, %s)", v.Version, v.Number, v.State))
	}
	return f, manifest, p, nil
}

func planUpgrade(a versionErrand) (any, error) {
	s, err := a.openVersions(false)
	if err != nil {
		return nil, err
	}
	f, _, plan, err := a.checkUpgrade(s)
	if err != nil {
		return nil, err
	}
	return plan, f.Close()
}

// installUpgrade verifies anew: the file may have changed since it was planned. Install compares the hash once more
// with what it reads back from the disk.
func installUpgrade(a versionErrand) (any, error) {
	s, err := a.openVersions(true)
	if err != nil {
		return nil, err
	}
	f, manifest, plan, err := a.checkUpgrade(s)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := manifest.Content(f)
	if _, err := s.Install(context.Background(), content, content.Size(), manifest.Sum(), nil); err != nil {
		return nil, err
	}
	return plan, nil
}

// trustedKeys are the public keys that the image brings: base64, one a file.
func trustedKeys(dir string) ([]ed25519.PublicKey, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.pub"))
	if err != nil {
		return nil, err
	}
	var keys []ed25519.PublicKey
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, 4096))
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("read key %s: not the base64 of 32 bytes", filepath.Base(file))
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("this image trusts no key, so nothing can be installed")
	}
	return keys, nil
}

// onVersions runs an errand on the EFI system partition.
func onVersions[R any](ctx context.Context, m *machine, errand string, file string, number int) (result R, err error) {
	if m.storage.esp == "" {
		return result, control.Refuse(http.StatusServiceUnavailable, "the EFI system partition is not there")
	}
	return send[R](ctx, m, errand, versionErrand{ESP: m.storage.esp, Running: m.running(), Started: startedNumber(loaderEntry), File: file, Number: number})
}

func (m *machine) Versions(ctx context.Context) ([]control.Version, error) {
	return onVersions[[]control.Version](ctx, m, "versions", "", 0)
}

func (m *machine) DeleteVersion(ctx context.Context, number int) error {
	_, err := onVersions[struct{}](context.WithoutCancel(ctx), m, "delete-version", "", number)
	if err == nil {
		m.info("version of install %d removed", number)
		m.alarm(failedAlarm(number), "")
	}
	return err
}

// upgradeFile is the path of an upgrade image: a plain name in the transfer folder.
func (m *machine) upgradeFile(name string) (string, error) {
	if m.sets == nil {
		return "", errNoStorage
	}
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return "", control.Refuse(http.StatusUnprocessableEntity, "%q is not the name of a file put by SFTP", name)
	}
	return filepath.Join(m.sets.Transfer(), name), nil
}

func (m *machine) CheckUpgrade(ctx context.Context, file string) (control.UpgradePlan, error) {
	path, err := m.upgradeFile(file)
	if err != nil {
		return control.UpgradePlan{}, err
	}
	return onVersions[control.UpgradePlan](ctx, m, "plan-upgrade", path, 0)
}

// automaticBackup names the backup that is taken before an upgrade. A version may hold characters that a backup's name
// may not, such as the plus sign of 1.2.0+3, and both have their limits.
func automaticBackup(version string, now time.Time) string {
	version = strings.Map(func(r rune) rune {
		if r == '+' || r == '~' {
			return '_'
		}
		return r
	}, version)
	const prefix, date = "upgrade_from_", "_2006_01_02"
	return prefix + version[:min(len(version), state.MaxBackupName-len(prefix)-len(date))] + now.UTC().Format(date)
}

// Upgrade goes on to its end even if the caller goes away: an administrator who loses the connection half-way finds
// the new version.
func (m *machine) Upgrade(ctx context.Context, file string) (control.UpgradePlan, error) {
	ctx = context.WithoutCancel(ctx)
	plan, err := m.CheckUpgrade(ctx, file)
	if err != nil {
		return plan, err
	}
	backup, err := m.Snapshot(ctx, automaticBackup(m.running().Version, time.Now()))
	if err != nil {
		return plan, fmt.Errorf("automatic backup: %w", err)
	}
	path, err := m.upgradeFile(file)
	if err != nil {
		return plan, err
	}
	plan, err = onVersions[control.UpgradePlan](ctx, m, "install", path, 0)
	if err != nil {
		return plan, fmt.Errorf("install: %w", err)
	}
	plan.Backup = backup
	// The note is about the trial before; a new one starts.
	_ = os.Remove(trialFile)
	m.info("version %s build %s installed; it starts on trial", plan.Version, plan.Build)
	m.endSoon(actionReboot)
	return plan, nil
}
