package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"rotunda/boards"
	"rotunda/init/database"
	"rotunda/init/supervise"
)

const (
	// databaseFolder holds the socket of the database. Who may look inside is the Call Bridge's group.
	databaseFolder = "/run/rotunda/database"
	// databasePatience is how long a backup waits for a database that is starting.
	databasePatience = 30 * time.Second
)

var databaseClients = filepath.Join(databaseFolder, "client.sock")

// databaseSpecs is the database, on every machine that has a disk: whether anybody uses it is for the services above to say.
func (m *machine) databaseSpecs() []supervise.Spec {
	if m.sets == nil {
		return nil
	}
	data := m.sets.Path("app/" + database.Service)
	if err := errors.Join(
		ownFolder(data, 0o700, databaseUser.UID, databaseUser.GID),
		// With the set-group-ID bit what the database makes inside is the Call Bridge's group's.
		ownFolder(databaseFolder, 0o750|fs.ModeSetgid, databaseUser.UID, callbridgeUser.GID),
	); err != nil {
		// It ends with what it finds wrong, as an alarm.
		m.warn("prepare the database: %v", err)
	}
	return []supervise.Spec{databaseSpec(m.cores, data)}
}

func databaseSpec(c boards.Cores, data string) supervise.Spec {
	return supervise.Spec{
		Name:    database.Service,
		Program: "/bin/services",
		Args:    []string{"database", "-folder", data, "-socket", databaseClients, "-group", strconv.Itoa(int(callbridgeUser.GID))},
		User:    databaseUser,
		Confine: supervise.Confine{
			ReadOnly:  []string{"/proc/self", "/proc/sys/net/core/somaxconn"},
			ReadWrite: []string{data, databaseFolder},
		},
		CPUs: c.System,
		// 600,000 objects take less than half of it.
		MemoryMax: 1 << 30,
		// To restore 2 GiB, on a slow disk.
		ReadyWithin: 10 * time.Minute,
		// A defragmentation of 2 GiB holds everything up.
		Watchdog:   3 * time.Minute,
		StopWithin: 10 * time.Second,
	}
}

// ownFolder makes a folder and gives it its mode and owner, whatever it was.
func ownFolder(name string, mode fs.FileMode, uid, gid uint32) error {
	return errors.Join(os.MkdirAll(name, 0o700), os.Chown(name, int(uid), int(gid)), os.Chmod(name, mode))
}
