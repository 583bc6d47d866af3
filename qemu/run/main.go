// Command run boots the image with its serial console in this terminal: make run.
//
// The disk and the UEFI variables are kept in build/run, so that what is set up is still there the next time; the
// product itself is not written to. A newer product does not replace them: remove build/run to start afresh, or upgrade as
// an administrator would. A running machine is ended by Ctrl-A X, which is like pulling the plug.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"rotunda/qemu"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	build := flags.String("build", "build", "folder with the products")
	memory := flags.Int("memory", 1024, "memory in MiB")
	cpus := flags.Int("cpus", 2, "number of processors")
	sshPort := flags.Int("ssh", 2222, "loopback port that reaches SSH and SFTP")
	httpsPort := flags.Int("https", 8443, "loopback port that reaches HTTPS")
	if err := flags.Parse(args); err != nil {
		return err
	}
	folder := filepath.Join(*build, "run")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make machine folder: %w", err)
	}
	disk := filepath.Join(folder, "disk.img")
	fresh, err := makeDisk(filepath.Join(*build, "disk.img"), disk)
	if err != nil {
		return err
	}

	// Ctrl-C belongs to the guest while the terminal is in raw mode; a signal from elsewhere ends QEMU.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	fmt.Print(welcome(*sshPort, *httpsPort, fresh, folder))
	if state, err := term.GetState(int(os.Stdin.Fd())); err == nil {
		defer func() { _ = term.Restore(int(os.Stdin.Fd()), state) }()
	}
	m, err := qemu.Start(ctx, qemu.Options{
		Name: "rotunda", Disk: qemu.Disk{Path: disk, Private: true}, CPUs: *cpus, MemoryMiB: *memory,
		NICs: []qemu.NIC{{Forward: []qemu.Forward{{Host: *sshPort, Guest: 22}, {Host: *httpsPort, Guest: 443}}},
			{}, {}, {}},
		VarsPath: filepath.Join(folder, "vars.fd"), StdioSerial: true,
	})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Wait(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// makeDisk copies the product the first time. A copy gets its name when it is complete.
func makeDisk(product, disk string) (fresh bool, err error) {
	if _, err := os.Stat(disk); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("find disk: %w", err)
	}
	partial := disk + ".partial"
	if err := qemu.CopySparse(product, partial); err != nil {
		return false, err
	}
	if err := os.Rename(partial, disk); err != nil {
		return false, fmt.Errorf("name disk: %w", err)
	}
	return true, nil
}

// welcome is what a newcomer needs before the console takes the terminal.
func welcome(ssh, https int, fresh bool, folder string) string {
	login := "Log in with the account that you set up the last time."
	if fresh {
		login = "Log in as admin with the password admin; you are asked for a new one at once."
	}
	return fmt.Sprintf(`
Rotunda boots here. The serial console is this terminal; "login:" appears in about 15 seconds.

  First      %s
             Then type: help
  SSH        ssh -p %d admin@127.0.0.1
  SFTP       sftp -P %d admin@127.0.0.1
  HTTPS      https://127.0.0.1:%d (once web admin is set up)
  Leave      shutdown at the prompt, or Ctrl-A X to pull the plug
  Afresh     rm -r %s

`, login, ssh, ssh, https, folder)
}
