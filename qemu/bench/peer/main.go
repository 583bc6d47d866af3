// Command peer is PID 1 of the guest that Rotunda's SSH and SFTP are compared with: Debian's OpenSSH server on the
// same kernel under the same emulation. It sets the address of QEMU's user network and runs sshd; nothing else.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("peer:", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() error {
	for target, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/run": "tmpfs"} {
		if err := unix.Mount(kind, target, kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", target, err)
		}
	}
	if err := os.MkdirAll("/dev/pts", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", 0, ""); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	list, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		image, err := os.ReadFile("/modules/" + name)
		if err != nil {
			return err
		}
		if err := unix.InitModule(image, ""); err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	card, err := firstCard()
	if err != nil {
		return err
	}
	address, err := netlink.ParseAddr("10.0.2.15/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(card, address); err != nil {
		return fmt.Errorf("set address: %w", err)
	}
	if err := netlink.LinkSetUp(card); err != nil {
		return fmt.Errorf("bring interface up: %w", err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return err
	}
	sshd := exec.Command("/usr/sbin/sshd", "-D", "-e")
	sshd.Stdout, sshd.Stderr = os.Stdout, os.Stderr
	return sshd.Run()
}

func firstCard() (netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback == 0 {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no network card among %d interfaces", len(links))
}
