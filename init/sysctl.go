package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctls are set once, before anything from outside runs. What belongs to an interface is package network's.
var sysctls = []struct{ key, value string }{
	// The shell's group may send ICMP echo without a capability (icmp(7)).
	{"net/ipv4/ping_group_range", "100 100"},
	// Kernel log and addresses are for PID 1 alone.
	{"kernel/dmesg_restrict", "1"},
	{"kernel/kptr_restrict", "2"},
	{"kernel/unprivileged_bpf_disabled", "1"},
	{"kernel/yama/ptrace_scope", "2"},
	{"kernel/sysrq", "0"},
	{"fs/protected_symlinks", "1"},
	{"fs/protected_hardlinks", "1"},
	{"fs/protected_fifos", "2"},
	{"fs/protected_regular", "2"},
	{"fs/suid_dumpable", "0"},
	// A core file of a service would hold its secrets.
	{"kernel/core_pattern", "|/bin/false"},
	// An oops leaves locks held and memory in doubt: better a restart, with a trace.
	{"kernel/panic_on_oops", "1"},
	// Ports that the kernel chooses stay below those of media (UDP 32768–65535); nothing of appendix B listens between.
	{"net/ipv4/ip_local_port_range", "10000 32767"},
	// Many callers from one address behind a NAT must not be taken for a flood of SYN.
	{"net/ipv4/tcp_max_syn_backlog", "4096"},
	{"net/ipv4/tcp_syncookies", "1"},
}

// maxFiles is how many files a process may open: a media worker with 2,000 receivers holds a socket for each, or four with
// RTCP apart and both address families. PID 1's children inherit it.
const maxFiles = 16384

func raiseFileLimit() error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: maxFiles, Max: maxFiles}); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

// setSysctls sets what this kernel has; one that it lacks is no error.
func setSysctls(root string) error {
	var errs []error
	for _, s := range sysctls {
		err := os.WriteFile(filepath.Join(root, s.key), []byte(s.value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("set %s: %w", strings.ReplaceAll(s.key, "/", "."), err))
		}
	}
	return errors.Join(errs...)
}
