package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rotunda/init/config"
	"rotunda/init/metrics"
	"rotunda/init/supervise"
)

// metricsUser gathers figures. Its group may enter the folders of daemons' sockets.
var metricsUser = supervise.User{Name: "metrics", UID: 112, GID: 112}

// figuresFolder has a folder for each daemon, with its socket.
func figuresFolder() string { return filepath.Join(settingsRoot, "figures") }

// metricsGatherer always runs: it listens on loopback alone, and works when it is asked.
var metricsGatherer = configured{
	user:     metricsUser,
	wanted:   func(*config.Document) bool { return true },
	settings: func(*gathering, *config.Document) any { return struct{}{} },
	spec:     func(m *machine, _ *config.Document) supervise.Spec { return metricsSpec(m.cores.System) },
}

// metricsSpec may read what is known of the machine, and connect to daemons.
func metricsSpec(system []int) supervise.Spec {
	return supervise.Spec{
		Name:    metricsUser.Name,
		Program: "/init",
		Args:    []string{"metrics", "-folder", figuresFolder()},
		User:    metricsUser,
		Confine: supervise.Confine{ReadOnly: []string{"/proc", "/sys/fs/cgroup", settingsRoot}},
		CPUs:    system,
		// What daemons write of themselves is below settingsRoot; what is not for everybody there has modes that say so.
		// A gathering takes some hundred kilobytes.
		MemoryMax:   64 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    time.Minute,
	}
}

// countsOn gives a daemon that has figures a socket for them: the folder is its own, and the gatherer's group may enter it.
func (m *machine) countsOn(s supervise.Spec) supervise.Spec {
	if !metrics.Asked(s.Name) || len(s.Args) > 0 && s.Args[0] == "idle" {
		return s
	}
	folder := filepath.Join(figuresFolder(), s.User.Name)
	err := os.MkdirAll(figuresFolder(), 0o755)
	if err == nil {
		err = ownFolder(folder, fs.FileMode(0o750), s.User.UID, metricsUser.GID)
	}
	if err != nil {
		m.warn("prepare the figures of %s: %v", s.User.Name, err)
		return s
	}
	s.Args = append(s.Args, "-metrics", filepath.Join(folder, "socket"))
	s.Confine.ReadWrite = append(s.Confine.ReadWrite, folder)
	return s
}
