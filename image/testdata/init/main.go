// Command init stands in for PID 1 where only the image around it is tried: it says that user space was reached,
// checks what the builder promises, and switches the machine off.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		fmt.Println("mount /proc:", err)
	}
	uptime, err := os.ReadFile("/proc/uptime")
	fmt.Printf("user space reached: uptime %s (%v)\n", uptime, err)
	cmdline, err := os.ReadFile("/proc/cmdline")
	fmt.Printf("command line: %s (%v)\n", cmdline, err)
	release, err := os.ReadFile("/etc/rotunda/release.json")
	fmt.Printf("release: %s (%v)\n", release, err)
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		fmt.Println("uname:", err)
	}
	folder := "/lib/modules/" + unix.ByteSliceToString(u.Release[:])
	for _, name := range []string{"/modules.dep", "/modules.alias"} {
		s, err := os.Stat(folder + name)
		if err != nil {
			fmt.Println("module table:", err)
			continue
		}
		fmt.Printf("%s of %d bytes\n", s.Name(), s.Size())
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("power off:", err)
	}
}
