//go:build qemu

package powercut

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/init/gpt"
	"rotunda/qemu"
)

const (
	bootLimit    = 5 * time.Minute
	commandLimit = time.Minute
	password     = "Correct-Horse-7"
	newVersion   = "100.0-cut"
	// drops is the number of choices of lost writes tried for every prefix.
	drops = 32
	// boots is the number of states of each recording that are booted, and e2fscks of those that e2fsck looks at.
	boots   = 4
	e2fscks = 12
)

// recording is one run whose writes were recorded.
type recording struct {
	base string
	log  *Log
	// acknowledged is the number of entries that were in the log when the administrator had the answer.
	acknowledged int
	// newImage is what the upgrade at hand installs.
	newImage [sha256.Size]byte
}

// TestPowerCuts records every write of an upgrade, of a configuration change and of a rollback to a backup, and shows for
// every prefix of each that the machine comes up as it was before or as it was meant to be.
func TestPowerCuts(t *testing.T) {
	tree, err := qemu.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	upgrade, err := tree.BuildUpgrade(t.Context(), newVersion, "")
	if err != nil {
		t.Fatal(err)
	}
	prepared := filepath.Join(t.TempDir(), "prepared.img")
	prepare(t, tree, upgrade, prepared)
	newImage := imageHash(t, upgrade)

	t.Run("configuration change", func(t *testing.T) {
		t.Parallel()
		r := record(t, tree, prepared, newImage, func(s session) int {
			s.command("hostname changed")
			return s.position()
		})
		check(t, tree, r, func(o Outcome) (string, error) {
			if len(o.Starts) != 1 || o.Starts[0].Image != "old" {
				return "", fmt.Errorf("the loader would start %v", o.Starts)
			}
			return hostname(o, map[string]string{"prepared": "old", "changed": "new"})
		})
	})
	t.Run("backup rollback", func(t *testing.T) {
		t.Parallel()
		r := record(t, tree, prepared, newImage, func(s session) int {
			return s.confirmed("backup rollback before")
		})
		check(t, tree, r, func(o Outcome) (string, error) {
			if len(o.Starts) != 1 || o.Starts[0].Image != "old" {
				return "", fmt.Errorf("the loader would start %v", o.Starts)
			}
			side, err := hostname(o, map[string]string{"prepared": "old", "original": "new"})
			if err != nil {
				return "", err
			}
			// The files belong to the same side as the configuration: a set is replaced as a whole.
			_, late := o.Data.Files["files/late.crt"]
			_, early := o.Data.Files["files/early.crt"]
			if late != (side == "old") || early != (side == "new") {
				return "", fmt.Errorf("configuration is the %s one, with early.crt %v and late.crt %v", side, early, late)
			}
			return side, nil
		})
	})
	t.Run("upgrade", func(t *testing.T) {
		t.Parallel()
		r := record(t, tree, prepared, newImage, func(s session) int {
			installed := s.confirmed("upgrade")
			s.awaitCommitted()
			return installed
		})
		check(t, tree, r, func(o Outcome) (string, error) {
			if _, err := hostname(o, map[string]string{"prepared": "old"}); err != nil {
				return "", err
			}
			old := 0
			for _, s := range o.Starts {
				if s.Image == "old" {
					old++
				}
			}
			if old == 0 {
				return "", fmt.Errorf("the version to fall back to is gone: %v", o.Starts)
			}
			return o.Starts[0].Image, nil
		})
	})
}

// hostname tells by the configured name which side of the cut a state is on.
func hostname(o Outcome, sides map[string]string) (string, error) {
	var doc config.Document
	if err := json.Unmarshal([]byte(o.Data.Config), &doc); err != nil {
		return "", err
	}
	side, ok := sides[doc.Hostname]
	if !ok {
		return "", fmt.Errorf("the configured name is %q, want one of %v", doc.Hostname, slices.Sorted(maps.Keys(sides)))
	}
	if _, ok := o.Data.Files["mmp/accounts.json"]; !ok {
		return "", errors.New("the accounts are gone")
	}
	return side, nil
}

// session is the administrator at a machine.
type session struct {
	t       *testing.T
	m       *qemu.Machine
	logPath string
}

func (s session) within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	s.t.Cleanup(cancel)
	return ctx
}

func (s session) command(line string) string {
	s.t.Helper()
	got, err := s.m.Serial.Command(s.within(commandLimit), line)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// confirmed runs a command that asks for a capital Y and restarts the machine. It returns the position in the log when the
// command said that it was done, and ends at the next login prompt.
func (s session) confirmed(line string) (done int) {
	s.t.Helper()
	for _, step := range []struct{ send, await string }{
		{line + "\r", `\(Y/n\)[^\n]*\z`}, {"Y\r", `the machine restarts now`}, {"", qemu.LoginPrompt},
	} {
		if step.send != "" {
			s.m.Serial.Drain()
			if err := s.m.Serial.Send(step.send); err != nil {
				s.t.Fatal(err)
			}
		}
		if _, err := s.m.Serial.Await(s.within(bootLimit), step.await); err != nil {
			s.t.Fatal(err)
		}
		if step.send == "Y\r" {
			done = s.position()
		}
	}
	return done
}

func (s session) login() {
	s.t.Helper()
	if err := s.m.Serial.Login(s.within(bootLimit), "admin", password); err != nil {
		s.t.Fatal(err)
	}
}

func (s session) awaitCommitted() {
	s.t.Helper()
	ctx := s.within(bootLimit)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := s.m.SSH("admin", password).Run(ctx, "upgrade list", nil)
		for line := range strings.Lines(r.Stdout) {
			if err == nil && strings.Contains(line, newVersion) && strings.Contains(line, "running") && !strings.Contains(line, "trial") {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("version %s did not commit itself; upgrade list says:\n%s", newVersion, r.Stdout)
		}
	}
}

// position is the number of requests in the write log so far.
func (s session) position() int {
	s.t.Helper()
	l, err := openLog(s.logPath)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(l.Entries)
}

func openLog(path string) (*Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return ReadLog(f, info.Size(), 1<<50)
}

func start(t *testing.T, tree qemu.Tree, name, disk, log string) session {
	t.Helper()
	transcript := filepath.Join(tree.Root, "build", "test-logs", strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()+"-"+name)+".serial")
	m, err := qemu.Start(t.Context(), qemu.Options{
		Name: name, Disk: qemu.Disk{Path: disk, Private: true, WriteLog: log}, Transcript: transcript,
		NICs: []qemu.NIC{{Forward: []qemu.Forward{{Guest: 22}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := t.Failed()
	t.Cleanup(func() {
		if t.Failed() && !before && m.Running() {
			t.Logf("the serial console ended with (all of it is in %s):\n%s", transcript, m.Serial.Tail())
		}
		m.Close()
	})
	return session{t, m, log}
}

// prepare sets a machine up: a backup of a configuration, another configuration since, and an upgrade at hand.
func prepare(t *testing.T, tree qemu.Tree, upgrade, disk string) {
	t.Helper()
	if err := qemu.CopySparse(tree.Product("disk.img"), disk); err != nil {
		t.Fatal(err)
	}
	s := start(t, tree, "prepare", disk, "")
	if err := s.m.Serial.FirstLogin(s.within(bootLimit), "admin", "admin", password); err != nil {
		t.Fatal(err)
	}
	s.command("hostname original")
	certificate := filepath.Join(t.TempDir(), "early.crt")
	if err := os.WriteFile(certificate, []byte("a certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, batch := range [][]string{
		{"put " + certificate + " early.crt"},
		nil,
		{"rm early.crt", "put " + certificate + " late.crt", "put " + upgrade + " upgrade.img"},
	} {
		if batch == nil {
			s.command("backup snapshot before")
			s.command("hostname prepared")
			continue
		}
		r, err := s.m.SSH("admin", password).SFTP(s.within(bootLimit), batch...)
		if err != nil || r.Status != 0 {
			t.Fatalf("sftp %q: got status %d, %v, %q", batch, r.Status, err, r.Stderr)
		}
	}
	s.end()
}

// end shuts the machine down, so that its disk is at rest.
func (s session) end() {
	s.t.Helper()
	if err := s.m.Monitor.PowerButton(s.within(commandLimit)); err != nil {
		s.t.Fatal(err)
	}
	if err := s.m.Wait(s.within(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
}

// record runs a machine on a copy of the prepared disk and records its writes from power-on.
func record(t *testing.T, tree qemu.Tree, prepared string, newImage [sha256.Size]byte, act func(session) int) recording {
	t.Helper()
	dir := t.TempDir()
	disk, log := filepath.Join(dir, "disk.img"), filepath.Join(dir, "log")
	if err := qemu.CopySparse(prepared, disk); err != nil {
		t.Fatal(err)
	}
	s := start(t, tree, "record", disk, log)
	s.login()
	acknowledged := act(s)
	s.end()
	l, err := openLog(log)
	if err != nil {
		t.Fatal(err)
	}
	flushes := 0
	for _, e := range l.Entries {
		if e.Kind == Flush {
			flushes++
		}
	}
	t.Logf("recorded %d requests, %d of them flushes; the answer came after %d", len(l.Entries), flushes, acknowledged)
	return recording{prepared, l, acknowledged, newImage}
}

// check visits every state of a recording. judge says on which side of the change a state is, or what is wrong with it.
func check(t *testing.T, tree qemu.Tree, r recording, judge func(Outcome) (string, error)) {
	t.Helper()
	f, err := os.Open(r.base)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	base := NewDisk(f, info.Size())
	plan := Plan{To: len(r.log.Entries), Drops: drops, Seed: 1}
	checker := &Checker{Scratch: scratch(t)}
	if err := checker.Learn(base, []string{"EFI/BOOT/BOOTX64.EFI", "loader/loader.conf"}, func(string) string { return "old" }); err != nil {
		t.Fatal(err)
	}
	checker.Images[r.newImage] = "new"

	const shown = 10
	states, failures := 0, 0
	sides := map[string]int{}
	began := time.Now()
	err = r.log.Each(base, plan, func(s State) error {
		states++
		outcome, err := checker.Inspect(s.Disk)
		side := ""
		if err == nil {
			side, err = judge(outcome)
		}
		if err == nil && s.Prefix >= r.acknowledged && side != "new" {
			err = errors.New("what had been acknowledged is lost")
		}
		if err != nil {
			if failures++; failures <= shown {
				t.Errorf("%s of %d: %v", s, plan.To, err)
			}
			return nil
		}
		sides[side]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d states of all %d prefixes (0 to %d) checked in %.1f s: %d old, %d new, %d wrong; %s", states, plan.To+1, plan.To,
		time.Since(began).Seconds(), sides["old"], sides["new"], failures, checker.Work())
	if failures > shown {
		t.Errorf("%d further states are wrong", failures-shown)
	}
	if sides["old"] == 0 || sides["new"] == 0 {
		t.Errorf("states by side: got %v, want some of both, or the recording shows nothing", sides)
	}
	fsck(t, r, base, plan, checker)
	bootSome(t, tree, r, base, plan, checker, judge)
}

// imageHash is that of the image in an upgrade.img: after 8 bytes of magic comes the manifest, led by its length.
func imageHash(t *testing.T, upgrade string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(upgrade)
	if err != nil {
		t.Fatal(err)
	}
	const lengthAt, manifestAt = 8, 12
	var manifest struct {
		Image struct{ SHA256 string }
	}
	if err := json.Unmarshal(content[manifestAt:manifestAt+binary.BigEndian.Uint32(content[lengthAt:])], &manifest); err != nil {
		t.Fatal(err)
	}
	sum, err := hex.DecodeString(manifest.Image.SHA256)
	if err != nil || len(sum) != sha256.Size {
		t.Fatalf("SHA-256 in the manifest: %q, %v", manifest.Image.SHA256, err)
	}
	return [sha256.Size]byte(sum)
}

// scratch is a folder in memory if there is one.
func scratch(t *testing.T) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "rotunda-"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// sample returns n prefixes, spread evenly, all but the first with a drop, if they have any.
func sample(plan Plan, n int) []State {
	var list []State
	for i := range n {
		list = append(list, State{Prefix: plan.To * (2*i + 1) / (2 * n), Drop: i % (plan.Drops + 1)})
	}
	return list
}

// at makes a state again. A prefix without unflushed writes has no drops; the next one that has them is taken then.
func at(t *testing.T, r recording, base *Disk, plan Plan, s State) State {
	t.Helper()
	for prefix := s.Prefix; prefix < plan.To; prefix++ {
		if state, err := r.log.At(base, plan, prefix, s.Drop); err == nil {
			return state
		}
	}
	state, err := r.log.At(base, plan, s.Prefix, 0)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// fsck has e2fsck judge the whole file system of some states, and compares what the checker reads before and after.
func fsck(t *testing.T, r recording, base *Disk, plan Plan, checker *Checker) {
	t.Helper()
	for _, s := range sample(plan, e2fscks) {
		state := at(t, r, base, plan, s)
		want, err := checker.Inspect(state.Disk)
		if err != nil {
			continue // reported already
		}
		table, err := gpt.Read(state.Disk)
		if err != nil {
			t.Fatal(err)
		}
		data, ok := table.ByName("data")
		if !ok {
			t.Fatal("no partition data")
		}
		image := filepath.Join(checker.Scratch, "data.img")
		if err := writeSparse(image, io.NewSectionReader(state.Disk, data.Start(), data.Size())); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("e2fsck", "-f", "-p", image).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
			t.Errorf("%s: e2fsck: %v:\n%s", state, err, out)
		}
		f, err := os.Open(image)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readData(f, checker.Scratch)
		_ = f.Close()
		if err != nil || got.Config != want.Data.Config || !maps.Equal(got.Files, want.Data.Files) {
			t.Errorf("%s: after e2fsck the machine would come up differently: %v, %+v, want %+v", state, err, got, want.Data)
		}
		if err := os.Remove(image); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("e2fsck agrees on %d of them", e2fscks)
}

// writeSparse writes all blocks that are not zero.
func writeSparse(path string, from *io.SectionReader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block, zero := make([]byte, 1<<16), make([]byte, 1<<16)
	for offset := int64(0); offset < from.Size(); offset += int64(len(block)) {
		n, err := from.ReadAt(block[:min(int64(len(block)), from.Size()-offset)], offset)
		if err != nil && err != io.EOF {
			return err
		}
		if string(block[:n]) == string(zero[:n]) {
			continue
		}
		if _, err := f.WriteAt(block[:n], offset); err != nil {
			return err
		}
	}
	return errors.Join(f.Truncate(from.Size()), f.Close())
}

// bootSome boots some states and compares what comes up with what the checker said.
func bootSome(t *testing.T, tree qemu.Tree, r recording, base *Disk, plan Plan, checker *Checker, judge func(Outcome) (string, error)) {
	t.Helper()
	delivered, err := tree.Version()
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sample(plan, boots) {
		state := at(t, r, base, plan, s)
		want, err := checker.Inspect(state.Disk)
		if err != nil {
			continue
		}
		side, err := judge(want)
		if err != nil {
			continue
		}
		disk := filepath.Join(t.TempDir(), "disk.img")
		if err := qemu.CopySparse(r.base, disk); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(disk, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(state.Disk.Export(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		m := start(t, tree, fmt.Sprintf("boot-%d", i), disk, "")
		m.login()
		var doc config.Document
		if err := json.Unmarshal([]byte(want.Data.Config), &doc); err != nil {
			t.Fatal(err)
		}
		if got := m.command("hostname"); !strings.Contains(got, doc.Hostname) {
			t.Errorf("%s booted: hostname is %q, want %s", state, got, doc.Hostname)
		}
		version := map[string]string{"old": delivered, "new": newVersion}[want.Starts[0].Image]
		if got := m.command("version"); !strings.Contains(got, version) {
			t.Errorf("%s booted: version is %q, want %s", state, got, version)
		}
		t.Logf("%s booted: %s, hostname %s, version %s", state, side, doc.Hostname, version)
		m.m.Close()
	}
}
