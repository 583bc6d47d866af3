package main

import (
	"math"
	"net"
	"os"
	"strings"
	"time"
)

// Test images ask for a fault by name on the kernel command line (fault=init-panic), which is part of the image: a
// version that fails in this way must end on the version before without a hand. An image that is not asked behaves.

// faults are the faults and what they do.
var faults = map[string]string{
	"kernel-panic": "the kernel panics when the services are started",
	"init-panic":   "PID 1 panics when the services are started",
	"hang":         "PID 1 stands still when the services are started",
	"not-ready":    "a further service never becomes ready",
	"mmp-dead":     "the management shell says that it is ready and answers nobody",
}

// askedFault returns the fault that a kernel command line asks for, "" for none or an unknown one.
func askedFault(cmdline string) string {
	for _, word := range strings.Fields(cmdline) {
		if name, ok := strings.CutPrefix(word, "fault="); ok && faults[name] != "" {
			return name
		}
	}
	return ""
}

func (m *machine) strike() {
	switch m.fault {
	case "kernel-panic":
		_ = os.WriteFile("/proc/sys/kernel/sysrq", []byte("1"), 0)
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	case "init-panic":
		var none []int
		none[len(none)] = 1
	case "hang":
		// Everything of PID 1 goes on but for its main loop, which feeds the watchdog: the worst kind of hang.
		for {
			time.Sleep(time.Hour)
		}
	}
}

// idle is the verb of the services that a fault asks for: with READY=1 a shell that answers nobody, without it a
// service that never gets ready.
func idle(args []string) error {
	if len(args) > 0 {
		c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err != nil {
			return err
		}
		if _, err := c.Write([]byte(args[0])); err != nil {
			return err
		}
	}
	time.Sleep(time.Duration(math.MaxInt64))
	return nil
}
