package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"rotunda/boards"
	"rotunda/firmware"
	"rotunda/firmware/kmod"
	"rotunda/image/cache"
	"rotunda/image/initramfs"
	"rotunda/image/squashfs"
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
resolver:x:108:108:DNS:/run:/bin/false
timesync:x:109:109:clock:/run:/bin/false
syslog:x:110:110:log forwarding:/run:/bin/false
capture:x:120:120:packet capture:/run:/bin/false
identity:x:122:122:directories and cards:/run:/bin/false
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
resolver:x:108:
timesync:x:109:
syslog:x:110:
capture:x:120:
identity:x:122:
`

// resolvers is the resolver of PID 1's program alone, which knows whom to ask.
const resolvers = `nameserver 127.0.0.1
options edns0
`

const hosts = `127.0.0.1 localhost
::1 localhost
`

// skeleton is the part of the root file system that is there before anything runs. PID 1 mounts over the empty
// folders; what changes at run time is linked into /run, since the root is read-only then.
func skeleton() []initramfs.File {
	return []initramfs.File{
		// The links are what programs and services know; what they lead to is mounted by PID 1.
		initramfs.Link("bin", systemFolder+"/bin"),
		initramfs.Folder("data", 0o755),
		initramfs.Folder("dev", 0o755),
		initramfs.Device("dev/console", 0o600, 5, 1),
		initramfs.Device("dev/kmsg", 0o644, 1, 11),
		initramfs.Device("dev/null", 0o666, 1, 3),
		initramfs.Folder("proc", 0o555),
		initramfs.Folder("run", 0o755),
		initramfs.Folder("sys", 0o555),
		initramfs.Folder(systemFolder, 0o755),
		initramfs.Folder("tmp", 0o777|fs.ModeSticky),
		initramfs.Regular("etc/group", 0o644, []byte(group)),
		initramfs.Regular("etc/hosts", 0o644, []byte(hosts)),
		initramfs.Regular("etc/passwd", 0o644, []byte(passwd)),
		initramfs.Regular("etc/resolv.conf", 0o644, []byte(resolvers)),
		initramfs.Link("usr", systemFolder+"/usr"),
	}
}

// systemFolder is where PID 1 mounts the file system of the programs, systemImage that file system in the initramfs.
const (
	systemFolder = "system"
	systemImage  = "system.squashfs"
)

// fontFolder is where media workers find letters, promptFolder where they find what they say.
const (
	fontFolder   = "usr/share/fonts/rotunda"
	promptFolder = "usr/share/rotunda/prompts"
)

// staticFiles are those of the initramfs that change with the kernel or a board only: the archive that stays in the cache.
func staticFiles(fw *firmware.Firmware) ([]initramfs.File, error) {
	modules, err := moduleFiles(fw, boards.All())
	if err != nil {
		return nil, err
	}
	return append(skeleton(), modules...), nil
}

// systemFiles are the programs, the fonts, the prompts and the licence texts, texts those of what is written in Go.
func systemFiles(p *parts, texts []initramfs.File) ([]initramfs.File, error) {
	var files []initramfs.File
	for _, b := range p.programs {
		if b.mounted() {
			files = append(files, initramfs.Regular(b.Path, 0o755, b.Data))
		}
	}
	packages := slices.Concat(p.firmware.Packages, p.prompts.Packages)
	if p.codecs != nil {
		packages = append(packages, p.codecs.Packages...)
		files = append(files, initramfs.Regular(path.Join(licenceFolder, "mediaworker/NOTICE"), 0o644, []byte(workerNotice)))
	}
	fromPackages, err := packageTexts(packages)
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile(filepath.Join(p.source.Root, "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("read licence: %w", err)
	}
	files = slices.Concat(files, fromPackages, texts, []initramfs.File{initramfs.Regular(path.Join(licenceFolder, "rotunda/LICENSE"), 0o644, own)})
	for _, f := range p.firmware.Fonts {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read font: %w", err)
		}
		files = append(files, initramfs.Regular(path.Join(fontFolder, filepath.Base(f)), 0o644, data))
	}
	for _, f := range p.prompts.Files {
		files = append(files, initramfs.Regular(path.Join(promptFolder, f.Name), 0o644, f.Data))
	}
	return files, nil
}

// packSystem returns the archive that holds the file system of the programs. The content is the same files as an archive.
func packSystem(ctx context.Context, made cache.Cache, files []initramfs.File, content []byte) ([]byte, error) {
	settings, err := squashfs.Settings(ctx)
	if err != nil {
		return nil, err
	}
	image, err := made.Get(settings, content, func() ([]byte, error) { return squashfs.Pack(ctx, files, fallbackDate) })
	if err != nil {
		return nil, err
	}
	return initramfs.Pack([]initramfs.File{initramfs.Regular(systemImage, 0o600, image)}, fallbackDate)
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
