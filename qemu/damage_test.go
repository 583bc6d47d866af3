//go:build qemu

package qemu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rotunda/init/fat"
	"rotunda/init/gpt"
)

// TestStaysReachable damages what is stored while the machine is off, and fills its disk: it must come up, say what is
// wrong, lose nothing, and take a repair.
func TestStaysReachable(t *testing.T) {
	t.Parallel()
	tree := checkout(t)
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := CopySparse(tree.Product("disk.img"), disk); err != nil {
		t.Fatal(err)
	}
	power := func(t *testing.T) *trial { return boot(t, Options{Disk: Disk{Path: disk, Private: true}}) }

	step := func(name string, f func(t *testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	step("set up", func(t *testing.T) {
		m := power(t)
		m.firstLogin()
		m.serial("hostname precious")
		wantContains(t, "backup snapshot", m.serial("backup snapshot good"), "good.bak")
		m.off()
	})
	step("a configuration that cannot be read brings up the fail-safe one", func(t *testing.T) {
		generations := debugfs(t, disk, "ls -p /current/config/v1")
		var commands []string
		garbage := file(t, "garbage", []byte("{ this is not a configuration"))
		for _, name := range names(generations, ".json") {
			commands = append(commands, "rm /current/config/v1/"+name, fmt.Sprintf("write %s /current/config/v1/%s", garbage, name))
		}
		if len(commands) == 0 {
			t.Fatalf("no generation to damage in:\n%s", generations)
		}
		debugfs(t, disk, commands...)

		m := power(t)
		m.login()
		wantContains(t, "the prompt's name", m.serial("hostname"), "rotunda-failsafe")
		wantContains(t, "health", m.serial("health"), "configuration")
		m.confirmed("backup rollback good")
		m.login()
		wantContains(t, "hostname after the rollback", m.serial("hostname"), "precious")
		m.off()
	})
	step("a full disk refuses what needs room and loses nothing", func(t *testing.T) {
		fill(t, disk)
		m := power(t)
		m.login()
		wantContains(t, "hostname on a full disk", m.serial("hostname"), "precious")
		wantContains(t, "health", m.serial("health"), "left")
		refused := withoutAlarms(m.serial("backup snapshot nothing-fits"))
		if strings.Contains(refused, "ready for download") || strings.Contains(refused, "\n") {
			t.Errorf("backup snapshot on a full disk: got %q, want one line that says why not", refused)
		}
		r, err := m.admin().SFTP(m.within(time.Minute), "put "+tree.Product("upgrade.img"))
		if err != nil || r.Status == 0 {
			t.Errorf("put upgrade.img on a full disk: got status %d, %v, want it refused", r.Status, err)
		}
		wantContains(t, "files on a full disk", m.sftp("ls -1"), "good.bak", "fill.bak")
		m.sftp("rm fill.bak")
		wantContains(t, "backup snapshot with room", m.serial("backup snapshot fits"), "fits.bak")
		m.off()
	})
}

// withoutAlarms leaves out what the machine says on the console by itself: on a full disk the database ends again and again, and that may be
// found out at any moment.
func withoutAlarms(answer string) string {
	var left []string
	for line := range strings.SplitSeq(answer, "\n") {
		if line != "" && !strings.HasPrefix(line, "rotunda: alarm ") {
			left = append(left, line)
		}
	}
	return strings.Join(left, "\n")
}

// TestADiskThatCannotBeWrittenTo is one at the end of its life: what it holds is shown, and changes are refused.
func TestADiskThatCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	tree := checkout(t)
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := CopySparse(tree.Product("disk.img"), disk); err != nil {
		t.Fatal(err)
	}
	m := boot(t, Options{Disk: Disk{Path: disk, Private: true}})
	m.firstLogin()
	m.serial("hostname precious")
	m.off()
	m = boot(t, Options{Disk: Disk{Path: disk, Private: true, ReadOnly: true}})
	m.login()
	wantContains(t, "health", m.serial("health"), "read-only")
	wantContains(t, "hostname", m.serial("hostname"), "precious")
	refused := withoutAlarms(m.serial("hostname other"))
	if refused == "" || strings.Contains(refused, "\n") || strings.Contains(refused, "reboot is required") {
		t.Errorf("hostname on a disk that cannot be written to: got %q, want one line that says why not", refused)
	}
	wantContains(t, "hostname", m.serial("hostname"), "precious")
	wantContains(t, "whoami by SSH", m.ssh("whoami"), "admin")
}

// off presses the power button and waits until the machine is off.
func (m *trial) off() {
	m.t.Helper()
	if err := m.Monitor.PowerButton(m.within(commandLimit)); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Wait(m.within(time.Minute)); err != nil {
		m.t.Fatal(err)
	}
}

// dataOffset is where the data partition begins.
func dataOffset(t *testing.T, disk string) gpt.Partition {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	device, err := fat.NewDevice(f)
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Read(device)
	if err != nil {
		t.Fatal(err)
	}
	data, ok := table.ByName("data")
	if !ok {
		t.Fatal("the disk has no partition data")
	}
	return data
}

// debugfs changes the file system of a machine that is off.
func debugfs(t *testing.T, disk string, commands ...string) string {
	t.Helper()
	c := exec.Command("debugfs", "-w", "-f", "-", fmt.Sprintf("%s?offset=%d", disk, dataOffset(t, disk).Start()))
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
	return string(out)
}

// names picks file names out of the listing of "ls -p": /inode/mode/uid/gid/name/size/.
func names(listing, suffix string) []string {
	var list []string
	for line := range strings.Lines(listing) {
		if f := strings.Split(line, "/"); len(f) > 6 && strings.HasSuffix(f[5], suffix) {
			list = append(list, f[5])
		}
	}
	return list
}

// fill leaves a few blocks free on the data partition: fill.bak, of the shell's user, takes the rest.
func fill(t *testing.T, disk string) {
	t.Helper()
	stats := debugfs(t, disk, "show_super_stats -h")
	var free, size int64
	for line := range strings.Lines(stats) {
		_, _ = fmt.Sscanf(line, "Free blocks: %d", &free)
		_, _ = fmt.Sscanf(line, "Block size: %d", &size)
	}
	if free == 0 || size == 0 {
		t.Fatalf("free blocks and block size are not in:\n%s", stats)
	}
	const left = 64
	blocks := free - left
	empty := file(t, "empty", nil)
	out := debugfs(t, disk, "write "+empty+" /transfer/fill.bak", fmt.Sprintf("fallocate /transfer/fill.bak 0 %d", blocks-1),
		fmt.Sprintf("set_inode_field /transfer/fill.bak size %d", blocks*size),
		"set_inode_field /transfer/fill.bak uid 100", "set_inode_field /transfer/fill.bak gid 100",
		"set_inode_field /transfer/fill.bak mode 0100600")
	if check, err := exec.Command("e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", disk, dataOffset(t, disk).Start())).CombinedOutput(); err != nil {
		t.Fatalf("the filled file system is not sound: %v: %s\n%s", err, check, out)
	}
}
