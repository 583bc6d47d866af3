package main

import (
	"slices"
	"strings"

	"rotunda/boards"
)

// kernelArguments hold on every board.
//
//   - rdinit: the root file system is the initramfs; without this the kernel would look for a disk to mount if /init
//     were missing, and wait.
//   - panic: reboot 5 s after a panic, so that the loader counts the try and the trace can be read on a screen.
//   - quiet with loglevel 4: errors reach the console, but not a line for every device; each line costs the time that
//     115200 baud take, and PID 1 has the whole log anyway.
//   - printk.devkmsg: PID 1 logs there until its journal runs; the kernel must not ration it.
//   - lsm: Landlock confines services, Yama keeps them from tracing each other; the others of Debian's list cost time at
//     every start and have no policy here.
//   - cryptomgr.notests: the kernel would try all its ciphers before it starts PID 1, 0.7 s in software emulation
//     (measured), and none of them protects anything here: TLS, SSH and SRTP are done by our own programs.
var kernelArguments = []string{
	"rdinit=/init", "panic=5", "quiet", "loglevel=4", "printk.devkmsg=on", "lsm=landlock,yama", "cryptomgr.notests",
}

// commandLine returns the kernel's command line: the consoles of all boards, the fixed arguments, and what was asked
// for. One image starts on every board, and a console that a board lacks does no harm. The kernel makes the last
// console named its /dev/console: a serial line, since that is where every board has its login.
func commandLine(all []boards.Board, extra string) string {
	var screens, lines []string
	for _, b := range all {
		for _, c := range b.Consoles {
			argument := "console=" + c.Kernel()
			if c.Baud == 0 {
				screens = append(screens, argument)
			} else {
				lines = append(lines, argument)
			}
		}
	}
	slices.Sort(screens)
	slices.Sort(lines)
	words := slices.Concat(slices.Compact(screens), slices.Compact(lines), kernelArguments, strings.Fields(extra))
	return strings.Join(words, " ")
}
