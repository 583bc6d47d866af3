package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rotunda/boards"
	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/licence"
	"rotunda/init/notify"
	"rotunda/init/supervise"
)

// TestMain lets the test binary play PID 1's verb "exec", and a service that prints its settings whenever it reads them.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "exec":
		fmt.Println(supervise.Exec(os.Args[2:]))
		os.Exit(1)
	case os.Getenv("STANDIN") != "":
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		for {
			b, err := os.ReadFile(os.Getenv("STANDIN"))
			fmt.Println("reads", strings.Join(strings.Fields(string(b)), ""), err)
			if err := notify.Ready(); err != nil {
				panic(err)
			}
			<-hangup
		}
	}
	os.Exit(m.Run())
}

// heard collects what services print, and lets a test wait for a line.
type heard struct {
	mu    sync.Mutex
	cond  *sync.Cond
	lines []string
}

func (h *heard) add(text string) {
	h.mu.Lock()
	h.lines = append(h.lines, text)
	h.mu.Unlock()
	h.cond.Broadcast()
}

// wait returns when there are n lines, and the last of them.
func (h *heard) wait(t *testing.T, n int) string {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, h.cond.Broadcast)
	defer timer.Stop()
	deadline := time.Now().Add(20 * time.Second)
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.lines) < n {
		if time.Now().After(deadline) {
			t.Fatalf("wanted %d lines, got %q", n, h.lines)
		}
		h.cond.Wait()
	}
	return h.lines[n-1]
}

func TestAServiceFollowsTheDocument(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("to give folders to root takes root")
	}
	old := settingsRoot
	settingsRoot = t.TempDir()
	t.Cleanup(func() { settingsRoot = old })
	h := &heard{}
	h.cond = sync.NewCond(&h.mu)
	ready := make(chan struct{}, 16)
	m := newMachine()
	s, err := supervise.New(&m.reaper, supervise.Report{
		Line: func(_ string, _ []string, text string) { h.add(text) },
		Event: func(_, text string) {
			if text == "ready" {
				ready <- struct{}{}
			}
		},
		Alarm: func(string, string) {},
	}, os.Args[0], t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	m.supervisor = s
	user := supervise.User{Name: "standin", UID: me.UID, GID: me.GID}
	standin := configured{
		user:   user,
		wanted: func(doc *config.Document) bool { return doc.WebAdmin.Enabled },
		settings: func(g *gathering, doc *config.Document) any {
			g.file(doc.WebAdmin.Certificates.Key)
			return doc.WebAdmin.ListenPort()
		},
		spec: func(*machine, *config.Document) supervise.Spec {
			return supervise.Spec{Name: user.Name, Program: os.Args[0], User: user, Env: []string{"STANDIN=" + settingsFile(user)}, ReadyWithin: 20 * time.Second}
		},
	}
	services := configuredServices
	configuredServices = []configured{standin}
	t.Cleanup(func() { configuredServices = services })
	apply := func(doc *config.Document) {
		t.Helper()
		if err := m.applyServices(doc); err != nil {
			t.Error(err)
		}
	}
	doc := config.Factory()
	m.config.Document = doc
	apply(doc)
	if s.Runs("standin") {
		t.Error("one that is not enabled: wanted it not to run")
	}
	if err := m.Restart(t.Context(), "standin"); !control.IsConflict(err) {
		t.Errorf("wanted a service that is not enabled not restarted, got %v", err)
	}

	doc.WebAdmin.Enabled = true
	apply(doc)
	if got := h.wait(t, 1); got != "reads 443 <nil>" {
		t.Errorf("started: got %q", got)
	}
	<-ready
	pid := s.Services()[0].PID
	// The same again is no news: the next line is that of the change after it.
	apply(doc)
	// One that has taken its settings away gets them again.
	if err := os.Remove(settingsFile(user)); err != nil {
		t.Fatal(err)
	}
	apply(doc)
	if got := h.wait(t, 2); got != "reads 443 <nil>" {
		t.Errorf("taken away: got %q", got)
	}
	doc.WebAdmin.Port = 445
	apply(doc)
	if got := h.wait(t, 3); got != "reads 445 <nil>" || s.Services()[0].PID != pid {
		t.Errorf("changed: wanted the same process to read it anew, got %q", got)
	}
	if err := m.Restart(t.Context(), "standin"); err != nil {
		t.Error(err)
	}
	if got := h.wait(t, 4); got != "reads 445 <nil>" {
		t.Errorf("restarted: got %q", got)
	}
	<-ready
	if now := s.Services()[0].PID; now == pid {
		t.Error("restarted: wanted another process")
	}
	doc.WebAdmin.Enabled = false
	apply(doc)
	if _, err := os.Stat(settingsFolder(user)); s.Runs("standin") || !os.IsNotExist(err) {
		t.Errorf("disabled: wanted it ended and its settings gone, got %v", err)
	}
}

func TestTheStampOfAServiceFollowsItsFiles(t *testing.T) {
	folder := stored(t, map[string]string{"a.key": "KEY", "a.crt": "CERTIFICATE", "other.crt": "OTHER"})
	stamped := func() config.WebAdminService {
		doc := config.Factory()
		doc.WebAdmin.Certificates = config.Certificates{Key: "a.key", Certificate: "a.crt"}
		return webAdmin.settings(&gathering{files: folder, looks: true}, doc).(config.WebAdminService)
	}
	before := stamped()
	if strings.Contains(before.Key+before.Chain, "CERTIFICATE") || before.Key == "" || before != stamped() {
		t.Errorf("wanted the looks of the files and not their contents, got %+v", before)
	}
	if err := os.WriteFile(filepath.Join(folder, "other.crt"), []byte("ANOTHER"), 0o600); err != nil {
		t.Fatal(err)
	}
	if before != stamped() {
		t.Error("wanted a file of somebody else not to matter")
	}
	for _, change := range []func() error{
		func() error { return os.WriteFile(filepath.Join(folder, "a.crt"), []byte("longer than it was"), 0o600) },
		func() error { return os.Remove(filepath.Join(folder, "a.key")) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if now := stamped(); now == before {
			t.Errorf("wanted another stamp than %+v", now)
		} else {
			before = now
		}
	}
}

var me = supervise.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}

func TestSettingsOfAServiceAreItsOwnAndChangeInOneStep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	settings := config.TURNService{TURN: config.TURN{Realm: "example.com"}}
	for i, want := range []bool{true, false} {
		if changed, err := writeSettings(file, settings, me); err != nil || changed != want {
			t.Errorf("write %d: wanted changed %v, got %v, %v", i, want, changed, err)
		}
	}
	settings.TURN.Realm = "example.org"
	if changed, err := writeSettings(file, settings, me); err != nil || !changed {
		t.Errorf("another realm: wanted it written, got %v, %v", changed, err)
	}
	b, err := os.ReadFile(file)
	var got config.TURNService
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || got.TURN.Realm != "example.org" {
		t.Errorf("wanted example.org read back, got %+v, %v", got, err)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o400 {
		t.Errorf("wanted mode 0400, got %v, %v", st.Mode(), err)
	}
}

// The folder of a service with sockets is its own, and PID 1 writes into it as root.
func TestALinkInTheWayOfSettingsIsNotFollowed(t *testing.T) {
	folder := t.TempDir()
	victim, file := filepath.Join(folder, "shadow"), filepath.Join(folder, "settings.json")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + ".new"} {
		if err := os.Symlink(victim, name); err != nil {
			t.Fatal(err)
		}
	}
	changed, err := writeSettings(file, config.WebAdminService{Port: 443}, me)
	if err != nil || !changed {
		t.Errorf("wanted the settings written, got %v, %v", changed, err)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("wanted the other file as it was, got %q, %v", b, err)
	}
	if st, err := os.Lstat(file); err != nil || !st.Mode().IsRegular() {
		t.Errorf("wanted a file in place of the link, got %v, %v", st.Mode(), err)
	}
}

func TestOnlyPlainFilesOfBoundedSizeBecomeCertificates(t *testing.T) {
	folder := stored(t, map[string]string{"a.crt": "PEM", "large.crt": strings.Repeat("x", maxCertificate+1)})
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "link.crt")); err != nil {
		t.Fatal(err)
	}
	if b, err := readStored(folder, "a.crt"); err != nil || string(b) != "PEM" {
		t.Errorf("wanted the file, got %q, %v", b, err)
	}
	for _, name := range []string{"large.crt", "link.crt", "missing.crt"} {
		if b, err := readStored(folder, name); err == nil {
			t.Errorf("%s: wanted an error, got %d bytes", name, len(b))
		}
	}
}

// stored makes a folder of what administrators have put.
func stored(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestTheCallBridgeGetsTheContentsOfItsFiles(t *testing.T) {
	doc := config.Factory()
	doc.Hostname = "cms1"
	doc.CallBridge = config.CallBridge{Listen: []string{"a"}, Prefer: "a", TrustC2W: "c2w.crt", UCM: config.Peer{Trust: "ucm.crt", Verify: true},
		Certificates: config.Certificates{Key: "cb.key", Certificate: "cb.crt", Bundle: "ca.crt"}}
	doc.TLS.LDAP = config.TLSKind{Trust: "ldap.crt", Verify: config.VerifyOn, MinVersion: "1.3"}
	g := &gathering{service: "callbridge", devices: map[string]string{"a": "eth0"}, files: stored(t, map[string]string{
		"cb.key": "KEY", "cb.crt": "CERTIFICATE", "ca.crt": "ISSUER\n", "c2w.crt": "C2W", "ucm.crt": "UCM", "ldap.crt": "LDAP", licence.FileName: "LICENCE"})}
	s := callBridge.settings(g, doc).(config.CallBridgeService)
	want := config.CallBridgeService{Hostname: "cms1", Timezone: "UTC", Listen: []string{"a"}, Prefer: "a", Devices: g.devices, Key: "KEY",
		Chain: "CERTIFICATE\nISSUER\n\n", TrustC2W: "C2W", UCM: config.PeerService{Trust: "UCM", Verify: true},
		LDAP:    config.TLSKindService{Trust: "LDAP", Verify: config.VerifyOn, MinVersion: "1.3"},
		MinDTLS: "1.2", JWTHours: 24, Licence: []byte("LICENCE")}
	if got, wanted := encode(t, s), encode(t, want); got != wanted {
		t.Errorf("wanted %s\ngot    %s", wanted, got)
	}
	if err := errors.Join(g.errs...); err != nil {
		t.Errorf("wanted nothing wrong, got %v", err)
	}
}

func TestTheWebAdminGetsWhatIsSetOfIt(t *testing.T) {
	doc := config.Factory()
	doc.WebAdmin = config.WebAdmin{Enabled: true, Interface: "b", HTTPRedirect: true, Certificates: config.Certificates{Key: "wa.key", Certificate: "wa.crt"}}
	doc.TLS.WebAdmin.MinVersion = "1.3"
	g := &gathering{service: "webadmin", devices: map[string]string{"b": "eth1"}, files: stored(t, map[string]string{"wa.key": "KEY", "wa.crt": "CERTIFICATE"})}
	s := webAdmin.settings(g, doc).(config.WebAdminService)
	want := config.WebAdminService{Hostname: "rotunda", Timezone: "UTC", Interface: "b", Device: "eth1", Port: 443, HTTPRedirect: true, Key: "KEY",
		Chain: "CERTIFICATE\n", TLS: config.TLSKindService{MinVersion: "1.3"}}
	if s != want {
		t.Errorf("wanted %+v\ngot    %+v", want, s)
	}
	if !webAdmin.wanted(doc) || webAdmin.wanted(config.Factory()) || !callBridge.wanted(config.Factory()) {
		t.Error("wanted the Web Admin when it is enabled, the Call Bridge always")
	}
}

// A file that is gone must not keep a service from starting with what is left.
func TestWhatCannotBeReadIsLeftOutAndTold(t *testing.T) {
	doc := config.Factory()
	doc.CallBridge.Certificates = config.Certificates{Key: "gone.key", Certificate: "cb.crt"}
	doc.CallBridge.TrustC2W = "c2w.crt"
	g := &gathering{service: "callbridge", files: stored(t, map[string]string{"cb.crt": "CERTIFICATE", "c2w.crt": "C2W"})}
	s := callBridge.settings(g, doc).(config.CallBridgeService)
	if s.Key != "" || s.Chain != "" || s.TrustC2W != "C2W" || s.Licence != nil {
		t.Errorf("wanted the trusted certificate alone, got %+v", s)
	}
	if err := errors.Join(g.errs...); err == nil || err.Error() != "callbridge: there is no file gone.key: put it by SFTP first" {
		t.Errorf("wanted the missing file named, got %v", err)
	}
	g = &gathering{service: "callbridge", size: maxGathered - 3, files: g.files}
	if s := callBridge.settings(g, doc).(config.CallBridgeService); s.TrustC2W != "C2W" {
		t.Errorf("a file that just fits: wanted it, got %+v", s)
	}
	g.errs = nil
	if b := g.file("cb.crt"); b != nil || len(g.errs) != 1 || !strings.Contains(g.errs[0].Error(), "together") {
		t.Errorf("more than all may have: wanted it left out, got %q, %v", b, g.errs)
	}
}

func TestServicesAreConfinedToWhatIsTheirs(t *testing.T) {
	m := newMachine()
	m.cores = boards.Cores{System: []int{0}, Modules: [][]int{{1}}}
	doc := config.Factory()
	admin := m.webadminSpec(doc)
	if admin.User != webadminUser || !slices.Equal(admin.CPUs, []int{0}) || len(admin.Capabilities) != 1 || !slices.Contains(admin.Groups, mmpUser.GID) {
		t.Errorf("webadmin: got %+v", admin)
	}
	for _, path := range admin.Confine.ReadWrite {
		if path != "/dev/null" {
			t.Errorf("webadmin writes %s", path)
		}
	}
	for _, s := range configuredServices {
		if s.user.UID < 100 || settingsFile(s.user) != "/run/rotunda/"+s.user.Name+"/settings.json" {
			t.Errorf("%s: user %+v, settings %s", s.user.Name, s.user, settingsFile(s.user))
		}
	}
}

func TestOnlyAServiceThatIsConfiguredCanBeRestarted(t *testing.T) {
	m := newMachine()
	for name, want := range map[string]int{"mmp": 404, "": 404, "webadmin": 503} {
		var refused *control.Error
		if err := m.Restart(context.Background(), name); !errors.As(err, &refused) || refused.Status != want {
			t.Errorf("%q: wanted status %d, got %v", name, want, err)
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
