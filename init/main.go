// Program init is PID 1 of Rotunda and, by a verb on its command line, each of the small programs that PID 1 starts.
//
// PID 1 is a chain of steps ([steps]) that take the machine from the kernel's hand to a login, each logged with its
// duration and each with an undo that runs in reverse when the machine goes down. After that it keeps three promises:
// the configuration is one document and the kernel is made to agree with it, services run and are restarted, and a
// version on trial is committed only when its gates hold. A step that fails is an alarm, not an end: the console login
// must come up on a machine whose disk, configuration or network is broken.
//
// A panic here is a kernel panic: the machine restarts within five seconds, and the trace is kept (see crash.go). So
// what parses bytes from outside runs in children (see errand.go and [rotunda/init/network/dhcp]), and every request
// on the control socket has its own recover.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"rotunda/init/capture"
	"rotunda/init/metrics"
	"rotunda/init/network/dhcp"
	dns "rotunda/init/resolver"
	"rotunda/init/snmp"
	"rotunda/init/supervise"
	"rotunda/init/syslog"
	"rotunda/init/timesync"
)

// verbs are the programs that PID 1 starts from its own file.
var verbs = map[string]func(args []string) error{
	"exec":     supervise.Exec,
	"errand":   runErrand,
	"idle":     idle,
	"resolver": dns.Main,
	"timesync": timesync.Main,
	"snmp":     snmp.Main,
	"metrics":  metrics.Main,
	"syslog":   syslog.Main,
	"capture":  capture.Main,
	"dhcp": func(args []string) error {
		if code := dhcp.Main(args); code != 0 {
			os.Exit(code)
		}
		return nil
	},
}

func main() {
	if os.Getpid() != 1 {
		if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
			fmt.Fprintln(os.Stderr, "init: this program is PID 1 of Rotunda and starts nothing by hand")
			os.Exit(2)
		}
		if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "<27>init: %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	// The kernel sends SIGINT for Ctrl-Alt-Del once that is asked for (power.go), SIGPWR for a failing supply; a
	// power button arrives over ACPI and the input layer.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPWR)
	// Go's runtime ends the program at these unless somebody asks for them; for PID 1 that is a kernel panic.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2)
	m := newMachine()
	undo := m.start(ctx)
	action := m.run(ctx, signals)
	cancel()
	m.end(action, undo)
}
