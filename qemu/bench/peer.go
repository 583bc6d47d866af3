package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"rotunda/firmware"
	"rotunda/qemu"
)

// peerPackages hold what runs in the peer and is not on every Debian machine. They are unpacked, not installed: installing
// would start a server on the machine that measures.
var peerPackages = []string{"openssh-server", "openssh-sftp-server", "libwrap0"}

// peerModules are the drivers of the peer's network card, each after those that it needs.
var peerModules = []string{
	"drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko", "drivers/virtio/virtio_pci_legacy_dev.ko",
	"drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci.ko", "net/core/failover.ko",
	"drivers/net/net_failover.ko", "drivers/net/virtio_net.ko",
}

const peerConfiguration = `HostKey /etc/ssh/host_key
PermitRootLogin yes
UsePAM no
PasswordAuthentication no
AuthorizedKeysFile /etc/ssh/authorized_keys
StrictModes no
PidFile none
Subsystem sftp /usr/lib/openssh/sftp-server
`

// peer is OpenSSH's server in a guest.
type peer struct {
	machine *qemu.Machine
	client  qemu.Client
	// release is the version of OpenSSH, such as 9.2p1.
	release string
}

// startPeer boots the peer; its files are made in dir, packages are kept in cache.
func startPeer(ctx context.Context, tree qemu.Tree, dir string) (*peer, error) {
	cache := filepath.Join(tree.Root, "build", "cache")
	fw, err := firmware.Fetch(ctx, cache)
	if err != nil {
		return nil, err
	}
	root, err := peerRoot(ctx, filepath.Join(cache, "peer"))
	if err != nil {
		return nil, err
	}
	a := archive{}
	for _, folder := range []string{"proc", "sys", "dev", "run", "root", "tmp", "etc/ssh", "modules"} {
		a.folder(folder)
	}
	program := filepath.Join(dir, "init")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./qemu/bench/peer")
	build.Dir, build.Env = tree.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build peer: %w: %s", err, out)
	}
	identity, err := a.keys(ctx, dir)
	if err != nil {
		return nil, err
	}
	a.text("etc/ssh/sshd_config", peerConfiguration)
	a.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n")
	a.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
	a.text("modules/order", strings.Join(bases(peerModules), "\n"))
	for _, m := range peerModules {
		a.copy(filepath.Join(fw.Modules, "kernel", m), "modules/"+filepath.Base(m))
	}
	a.copy(program, "init")
	for _, p := range []struct{ from, to string }{
		{filepath.Join(root, "usr/sbin/sshd"), "usr/sbin/sshd"},
		{filepath.Join(root, "usr/lib/openssh/sftp-server"), "usr/lib/openssh/sftp-server"},
		{"/bin/sh", "bin/sh"},
		{"/bin/true", "bin/true"},
	} {
		a.program(ctx, p.from, p.to, root)
	}
	initrd := filepath.Join(dir, "peer.cpio")
	if err := a.write(initrd); err != nil {
		return nil, err
	}
	m, err := qemu.Start(ctx, qemu.Options{
		Name:   "peer",
		Kernel: &qemu.Kernel{Image: fw.Kernel, Initrd: initrd, CommandLine: "console=ttyS0 quiet rdinit=/init panic=-1"},
		NICs:   []qemu.NIC{{Forward: []qemu.Forward{{Guest: 22}}}},
	})
	if err != nil {
		return nil, err
	}
	if _, err := m.Serial.Expect(ctx, `Server listening on 0\.0\.0\.0`); err != nil {
		m.Close()
		return nil, fmt.Errorf("start peer: %w", err)
	}
	client := m.SSH("root", "")
	client.Identity = identity
	return &peer{m, client, opensshRelease(root)}, nil
}

// peerRoot unpacks the packages once.
func peerRoot(ctx context.Context, cache string) (string, error) {
	root := filepath.Join(cache, "root")
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make peer cache: %w", err)
	}
	download := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "download"}, peerPackages...)...)
	download.Dir = cache
	if out, err := download.CombinedOutput(); err != nil {
		return "", fmt.Errorf("download %s: %w: %s", strings.Join(peerPackages, " "), err, out)
	}
	packages, err := filepath.Glob(filepath.Join(cache, "*.deb"))
	if err != nil {
		return "", err
	}
	partial := root + ".partial"
	for _, p := range packages {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", p, partial).CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack %s: %w: %s", p, err, out)
		}
	}
	if err := os.Rename(partial, root); err != nil {
		return "", fmt.Errorf("name peer cache: %w", err)
	}
	return root, nil
}

var opensshVersion = regexp.MustCompile(`OpenSSH_([0-9.]+p[0-9]+)`)

func opensshRelease(root string) string {
	content, err := os.ReadFile(filepath.Join(root, "usr/sbin/sshd"))
	if err != nil {
		return "unknown"
	}
	if m := opensshVersion.FindSubmatch(content); m != nil {
		return string(m[1])
	}
	return "unknown"
}

func bases(paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, filepath.Base(p))
	}
	return out
}

// archive is an initramfs in the making. The first error is kept and returned by write.
type archive struct {
	records []cpio.Record
	seen    []string
	err     error
}

func (a *archive) add(r cpio.Record) {
	a.folder(filepath.Dir(r.Name))
	if !slices.Contains(a.seen, r.Name) {
		a.seen = append(a.seen, r.Name)
		a.records = append(a.records, r)
	}
}

func (a *archive) folder(name string) {
	if name == "." || slices.Contains(a.seen, name) {
		return
	}
	a.folder(filepath.Dir(name))
	a.seen = append(a.seen, name)
	a.records = append(a.records, cpio.Directory(name, 0o755))
}

func (a *archive) text(name, content string) { a.add(cpio.StaticFile(name, content, 0o600)) }

func (a *archive) copy(from, to string) {
	content, err := os.ReadFile(from)
	if err != nil {
		a.err = errors.Join(a.err, err)
		return
	}
	a.add(cpio.StaticFile(to, string(content), 0o755))
}

var sharedObject = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// program copies a program with the shared objects that it loads, which are looked for in root too.
func (a *archive) program(ctx context.Context, from, to, root string) {
	a.copy(from, to)
	ldd := exec.CommandContext(ctx, "ldd", from)
	ldd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/x86_64-linux-gnu")+":"+filepath.Join(root, "lib/x86_64-linux-gnu"))
	out, err := ldd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("not found")) {
		err = errors.New("shared objects are missing")
	}
	if err != nil {
		a.err = errors.Join(a.err, fmt.Errorf("ldd %s: %w: %s", from, err, out))
		return
	}
	for _, m := range sharedObject.FindAllSubmatch(out, -1) {
		object := string(m[1])
		place := strings.TrimPrefix(strings.TrimPrefix(object, root), "/")
		a.copy(object, place)
	}
}

// keys makes the peer's host key and the one that logs in, and returns the latter's file.
func (a *archive) keys(ctx context.Context, dir string) (string, error) {
	for _, name := range []string{"host_key", "identity"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			return "", fmt.Errorf("make key: %w: %s", err, out)
		}
	}
	for from, to := range map[string]string{"host_key": "etc/ssh/host_key", "identity.pub": "etc/ssh/authorized_keys"} {
		content, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			return "", fmt.Errorf("read key: %w", err)
		}
		a.text(to, string(content))
	}
	return filepath.Join(dir, "identity"), nil
}

func (a *archive) write(path string) error {
	if a.err != nil {
		return fmt.Errorf("make initramfs: %w", a.err)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	w := cpio.Newc.Writer(f)
	if err := cpio.WriteRecords(w, a.records); err != nil {
		_ = f.Close()
		return fmt.Errorf("make initramfs: %w", err)
	}
	if err := errors.Join(cpio.WriteTrailer(w), f.Close()); err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	return nil
}
