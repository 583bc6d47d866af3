package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"rotunda/boards"
	"rotunda/firmware"
	"rotunda/firmware/kmod"
	"rotunda/image/initramfs"
)

// Accounts of the system. Services get theirs when they come; the numbers are part of the data on disk and never
// change.
const passwd = `root:x:0:0:root:/:/bin/false
mmp:x:100:100:management shell:/data/transfer:/bin/false
dhcp:x:101:101:DHCP client:/run:/bin/false
media:x:102:102:media manager:/run:/bin/false
mediaworker:x:103:103:media workers:/run:/bin/false
turn:x:104:104:TURN server:/run:/bin/false
database:x:105:105:database:/run:/bin/false
callbridge:x:106:106:Call Bridge:/run:/bin/false
webadmin:x:107:107:Web Admin:/run:/bin/false
`

const group = `root:x:0:
mmp:x:100:
dhcp:x:101:
media:x:102:
mediaworker:x:103:
turn:x:104:
database:x:105:
callbridge:x:106:
webadmin:x:107:
`

const hosts = `127.0.0.1 localhost
::1 localhost
`

// skeleton is the part of the root file system that is there before anything runs. PID 1 mounts over the empty
// folders; what changes at run time is linked into /run, since the root is read-only then.
func skeleton() []initramfs.File {
	return []initramfs.File{
		initramfs.Folder("bin", 0o755),
		initramfs.Folder("data", 0o755),
		initramfs.Folder("dev", 0o755),
		initramfs.Device("dev/console", 0o600, 5, 1),
		initramfs.Device("dev/kmsg", 0o644, 1, 11),
		initramfs.Device("dev/null", 0o666, 1, 3),
		initramfs.Folder("proc", 0o555),
		initramfs.Folder("run", 0o755),
		initramfs.Folder("sys", 0o555),
		initramfs.Folder("tmp", 0o777|fs.ModeSticky),
		initramfs.Regular("etc/group", 0o644, []byte(group)),
		initramfs.Regular("etc/hosts", 0o644, []byte(hosts)),
		initramfs.Regular("etc/passwd", 0o644, []byte(passwd)),
		initramfs.Link("etc/resolv.conf", "/run/rotunda/resolv.conf"),
	}
}

// fontFolder is where media workers find letters.
const fontFolder = "usr/share/fonts/rotunda"

// staticFiles are those that change with the kernel or a board only, not with our programs: the archive that stays in
// the cache.
func staticFiles(root string, fw *firmware.Firmware, codecs *firmware.Codecs) ([]initramfs.File, error) {
	files := skeleton()
	modules, err := moduleFiles(fw, boards.All())
	if err != nil {
		return nil, err
	}
	packages := fw.Packages
	if codecs != nil {
		packages = slices.Concat(packages, codecs.Packages)
		files = append(files, initramfs.Regular(path.Join(licenceFolder, "mediaworker/NOTICE"), 0o644, []byte(workerNotice)))
	}
	texts, err := packageTexts(packages)
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("read licence: %w", err)
	}
	files = append(files, modules...)
	files = append(files, texts...)
	for _, f := range fw.Fonts {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read font: %w", err)
		}
		files = append(files, initramfs.Regular(path.Join(fontFolder, filepath.Base(f)), 0o644, data))
	}
	return append(files, initramfs.Regular(path.Join(licenceFolder, "rotunda/LICENSE"), 0o644, own)), nil
}

// moduleFiles returns the modules that the boards name, with the tables that PID 1's loader reads.
func moduleFiles(fw *firmware.Firmware, all []boards.Board) ([]initramfs.File, error) {
	var wanted []string
	for _, b := range all {
		wanted = append(wanted, b.Modules.All()...)
		wanted = append(wanted, b.Watchdogs...)
	}
	tree, err := kmod.Open(fw.Modules)
	if err != nil {
		return nil, err
	}
	set, err := tree.Select(wanted)
	if err != nil {
		return nil, err
	}
	folder := path.Join("lib/modules", fw.KernelRelease)
	var files []initramfs.File
	for _, name := range set.Files() {
		data, err := os.ReadFile(filepath.Join(fw.Modules, name))
		if err != nil {
			return nil, fmt.Errorf("read kernel module: %w", err)
		}
		files = append(files, initramfs.Regular(path.Join(folder, name), 0o644, data))
	}
	var deps, aliases bytes.Buffer
	if err := set.WriteDeps(&deps); err != nil {
		return nil, err
	}
	if err := set.WriteAliases(&aliases); err != nil {
		return nil, err
	}
	return append(files,
		initramfs.Regular(path.Join(folder, "modules.dep"), 0o644, deps.Bytes()),
		initramfs.Regular(path.Join(folder, "modules.alias"), 0o644, aliases.Bytes())), nil
}
