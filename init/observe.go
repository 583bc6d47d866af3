package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"rotunda/init/control"
)

// memory reads /proc/meminfo and the resident size of this process.
func memory() control.Memory {
	var mem control.Memory
	fields := map[string]*uint64{"MemTotal:": &mem.Total, "MemAvailable:": &mem.Available}
	readKilobytes("/proc/meminfo", fields)
	readKilobytes("/proc/self/status", map[string]*uint64{"VmRSS:": &mem.InitRSS})
	return mem
}

// resident is the memory of a process; 0 if there is none.
func resident(pid int) (bytes uint64) {
	if pid != 0 {
		readKilobytes(fmt.Sprintf("/proc/%d/status", pid), map[string]*uint64{"VmRSS:": &bytes})
	}
	return bytes
}

// hardware is what the firmware says of the machine. Makers leave words in the place of what they have not filled in.
func hardware(sysfs fs.FS) (model, serial string) {
	field := func(name string) string {
		b, err := fs.ReadFile(sysfs, "class/dmi/id/"+name)
		text := strings.Join(strings.Fields(string(b)), " ")
		switch strings.ToLower(text) {
		case "not specified", "none", "default string", "to be filled by o.e.m.", "system serial number", "0":
			return ""
		}
		if err != nil || len(text) > 128 {
			return ""
		}
		return text
	}
	return strings.TrimSpace(field("sys_vendor") + " " + field("product_name")), field("product_serial")
}

func readKilobytes(file string, fields map[string]*uint64) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		w := strings.Fields(s.Text())
		if len(w) < 2 || fields[w[0]] == nil {
			continue
		}
		if n, err := strconv.ParseUint(w[1], 10, 64); err == nil {
			*fields[w[0]] = n << 10
		}
	}
}

// shown are the file systems of df, in its order.
var shown = []struct{ device, mount string }{
	{"rootfs", "/"},
	{"run", "/run"},
	{"tmp", "/tmp"},
	{"data", dataDir},
}

// filesystems leaves out what is not mounted: on a machine without its disk /data is a folder of the root.
func filesystems() ([]control.Filesystem, error) {
	var list []control.Filesystem
	for _, s := range shown {
		if s.mount != "/" && !mounted(s.mount) {
			continue
		}
		var st unix.Statfs_t
		if err := unix.Statfs(s.mount, &st); err != nil {
			return nil, fmt.Errorf("measure %s: %w", s.mount, err)
		}
		bs := uint64(st.Bsize)
		list = append(list, control.Filesystem{
			Device: s.device, Mount: s.mount,
			Size: st.Blocks * bs, Used: (st.Blocks - st.Bfree) * bs, Free: st.Bavail * bs,
			Inodes: st.Files, IUsed: st.Files - st.Ffree, IFree: st.Ffree,
		})
	}
	return list, nil
}

// mounted tells whether a file system begins at a folder: it is on another device than the folder above.
func mounted(folder string) bool {
	var here, above unix.Stat_t
	return unix.Lstat(folder, &here) == nil && unix.Lstat(filepath.Dir(folder), &above) == nil && here.Dev != above.Dev
}
