package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dropped counts the datagrams that the process' UDP sockets had no room for. A socket that is gone takes its count along.
func (p *process) dropped() uint64 {
	mine := map[string]bool{}
	folder := fmt.Sprintf("/proc/%d/fd", p.command.Process.Pid)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0 // the process is gone, which others notice
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				mine[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	file, err := os.Open("/proc/net/udp")
	if err != nil {
		return 0
	}
	defer file.Close()
	total := uint64(0)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// The tenth field is the inode, the last one the count of what was dropped.
		fields := strings.Fields(lines.Text())
		if len(fields) > 12 && mine[fields[9]] {
			n, _ := strconv.ParseUint(fields[12], 10, 64)
			total += n
		}
	}
	return total
}

func (all processes) dropped() (total uint64) {
	for _, p := range all {
		total += p.dropped()
	}
	return total
}
