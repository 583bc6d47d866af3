package main

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/control"
	"rotunda/init/supervise"
)

// The users that services run as. A number is for ever: files on the data partition carry it.
var (
	mmpUser        = supervise.User{Name: "mmp", UID: 100, GID: 100}
	dhcpUser       = supervise.User{Name: "dhcp", UID: 101, GID: 101}
	mediaUser      = supervise.User{Name: "media", UID: 102, GID: 102}
	workerUser     = supervise.User{Name: "mediaworker", UID: 103, GID: 103}
	turnUser       = supervise.User{Name: "turn", UID: 104, GID: 104}
	databaseUser   = supervise.User{Name: "database", UID: 105, GID: 105}
	callbridgeUser = supervise.User{Name: "callbridge", UID: 106, GID: 106}
	webadminUser   = supervise.User{Name: "webadmin", UID: 107, GID: 107}
	resolverUser   = supervise.User{Name: "resolver", UID: 108, GID: 108}
	timesyncUser   = supervise.User{Name: "timesync", UID: 109, GID: 109}
	syslogUser     = supervise.User{Name: "syslog", UID: 110, GID: 110}
)

// captureUser has no folder and no file: see capture.go.
var captureUser = supervise.User{Name: "capture", UID: 120, GID: 120}

// admissionSocket is where the shell tells services whether somebody may log in.
const admissionSocket = "/run/rotunda/mmp/admission.sock"

// runFolder is the folder for the sockets of a service: it alone may make them, and everybody may open them, since who is at
// the other end is for the server to ask.
func runFolder(u supervise.User) string {
	dir := "/run/rotunda/" + u.Name
	if err := os.MkdirAll(dir, 0o755); err == nil {
		_ = os.Chown(dir, int(u.UID), int(u.GID))
	}
	return dir
}

// specs is the table of services.
func (m *machine) specs() []supervise.Spec {
	m.mu.Lock()
	doc := m.config.Document
	m.mu.Unlock()
	if _, services := m.parts(); services != nil {
		// FIPS mode is that of the document at the start: a service that is started anew later must not be in another than the rest.
		// PID 1 itself has no part in network traffic; what has is one of the services, or encrypts nothing (init dhcp).
		services.SetEnvironment(doc.FIPS.Environment())
	}
	// Media workers may read in it, so it is there before they start.
	if err := ownFolder(promptsFolder, 0o755, callbridgeUser.UID, callbridgeUser.GID); err != nil {
		m.warn("prepare the folder of prompts: %v", err)
	}
	accounts, files, transfer := m.shellDir("mmp"), m.shellDir("files"), m.shellDir("transfer")
	listen := ":22"
	if m.sets == nil {
		// Without its accounts the machine knows only the password that everybody knows: whoever stands at the console may
		// use it, the network may not.
		listen = ""
	}
	asking := func(u supervise.User) string { return strconv.Itoa(int(u.UID)) }
	args := []string{"-admission", admissionSocket, "-service", asking(callbridgeUser), "-service", asking(webadminUser),
		"-accounts", accounts, "-files", files, "-transfer", transfer, "-logs", logDir, "-control", control.SocketPath, "-listen", listen}
	writable := []string{runFolder(mmpUser), accounts, files, transfer, "/tmp", "/dev/null"}
	for _, c := range m.board.Consoles {
		args = append(args, "-console", "/dev/"+c.Device)
		writable = append(writable, "/dev/"+c.Device)
	}
	env := []string{"TZ=" + doc.Timezone}
	if m.fault == "mmp-dead" {
		// A stand-in that says READY=1 and answers nobody.
		return append(m.faultSpecs(), supervise.Spec{Name: "mmp", Program: "/init", Args: []string{"idle", "READY=1"}, User: mmpUser, ReadyWithin: time.Minute})
	}
	// The shell first: on a slow machine the login should not wait for the workers to measure themselves.
	return append(append(m.faultSpecs(), supervise.Spec{
		Name:         "mmp",
		Program:      "/bin/mmp",
		Args:         args,
		Env:          env,
		User:         mmpUser,
		Audits:       []string{"cli", "files", "login"},
		Capabilities: []uintptr{unix.CAP_NET_BIND_SERVICE},
		Confine: supervise.Confine{
			ReadOnly:  []string{"/etc", "/proc", logDir, "/run/rotunda", "/dev/urandom", "/usr/share"},
			ReadWrite: writable,
		},
		CPUs:        m.cores.System,
		MemoryMax:   512 << 20,
		ReadyWithin: time.Minute,
		Watchdog:    time.Minute,
		StopWithin:  5 * time.Second,
	}), append(m.databaseSpecs(), mediaSpecs(m.cores, memory().Total)...)...)
}

// faultSpecs is the service that a test image asks for.
func (m *machine) faultSpecs() []supervise.Spec {
	if m.fault != "not-ready" {
		return nil
	}
	return []supervise.Spec{{Name: "fault", Program: "/init", Args: []string{"idle"}, User: dhcpUser, ReadyWithin: 2 * time.Second}}
}
