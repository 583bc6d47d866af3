package snmp

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/snmp/usm"
)

// standIn is PID 1 as a test wants it.
type standIn struct {
	mu         sync.Mutex
	health     control.Health
	interfaces []control.Interface
}

func (p *standIn) Release(context.Context) (control.Release, error) {
	return control.Release{Version: "3.2.1", Build: "abc", Kernel: "6.1.0", Platform: "vm", Board: "Virtual machine"}, nil
}

func (p *standIn) Health(context.Context) (control.Health, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.health, nil
}

func (p *standIn) Interfaces(context.Context) ([]control.Interface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interfaces, nil
}

func (p *standIn) Filesystems(context.Context) ([]control.Filesystem, error) {
	return []control.Filesystem{
		{Device: "rootfs", Mount: "/", Size: 128 << 20, Used: 100 << 20, Free: 28 << 20, Inodes: 1000, IUsed: 10},
		{Device: "data", Mount: "/data", Size: 16 << 40, Used: 15 << 40, Free: 1 << 40},
	}, nil
}

func (p *standIn) change(f func(*standIn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func newStandIn() *standIn {
	return &standIn{
		health: control.Health{
			Uptime: 90 * time.Minute,
			Alarms: []control.Alarm{{ID: "crash-loop:turn", Text: "turn ends again and again", Since: time.Now()}},
			Services: []control.Service{
				{Name: "callbridge", State: "ready", Restarts: 2, Uptime: time.Minute},
				{Name: "turn", State: "backoff"},
			},
			Media: []control.MediaModule{{Workers: 3, Ready: 2}},
		},
		interfaces: []control.Interface{
			{Name: "a", Kernel: "eth0", MAC: "52:54:00:12:34:56", Up: true, Carrier: true, MTU: 1500, Speed: 10000},
			{Name: "b", Kernel: "eth1", MAC: "52:54:00:12:34:57", MTU: 1500},
		},
	}
}

// proc is what the kernel of the stand-in says.
var proc = fstest.MapFS{
	"proc/meminfo":                     {Data: []byte("MemTotal:        4000000 kB\nMemFree:         1000000 kB\nMemAvailable:    3000000 kB\nBuffers:           50000 kB\nCached:           700000 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\nShmem:             20000 kB\n")},
	"proc/loadavg":                     {Data: []byte("0.52 1.25 2.00 2/123 4567\n")},
	"proc/stat":                        {Data: []byte("cpu  100 5 50 800 20 1 2 3 0 0\ncpu0 50 0 25 400 10 0 1 1 0 0\ncpu1 50 5 25 400 10 1 1 2 0 0\nintr 4242 1 2\nctxt 777\n")},
	"proc/net/dev":                     {Data: []byte("Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0\n  eth0: 9876543210    1000    1    2    0     0          0        30 1234567890    2000    3    4    0     0       0          0\n")},
	"run/rotunda/timesync/status.json": {Data: []byte(`{"synchronized":true,"offset":1500000,"servers":[{"name":"a","reach":255},{"name":"b","reach":0}]}`)},
}

var engine = []byte{0x80, 0, 0x1f, 0x88, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

const password = "a long password"

func user(t testing.TB, name, auth, privacy string) config.SNMPUser {
	t.Helper()
	a, ok := usm.AuthByName(auth)
	if !ok {
		t.Fatal(auth)
	}
	key, err := a.Localize(password, engine)
	if err != nil {
		t.Fatal(err)
	}
	return config.SNMPUser{Name: name, Auth: auth, Privacy: privacy, Key: key}
}

// running is an agent at work.
type running struct {
	address string
	pid1    *standIn
	folder  string
	settled chan []string
	reread  chan os.Signal
	end     func()
	file    string
}

// begin runs an agent on loopback. Settings come from set.
func begin(t *testing.T, folder string, trapPort int, s config.SNMPService) *running {
	t.Helper()
	r := &running{pid1: newStandIn(), folder: folder, settled: make(chan []string, 16), reread: make(chan os.Signal, 1), file: filepath.Join(folder, "settings.json")}
	r.write(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	o := options{settings: r.file, status: filepath.Join(folder, "status.json"), folder: folder, listen: "127.0.0.1:0", trapPort: trapPort, pid1: r.pid1, root: proc,
		opened: func(at []string) { r.settled <- at }}
	go func() { ended <- run(ctx, o, r.reread, func(line string) { t.Log(line) }) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(r.end)
	select {
	case at := <-r.settled:
		if s.Enabled {
			r.address = at[0]
		}
	case err := <-ended:
		t.Fatal(err)
	}
	return r
}

func (r *running) write(t *testing.T, s config.SNMPService) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tool runs a program of net-snmp, without its configuration files.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed: see image/install-packages", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "SNMPCONFPATH=/nonexistent", "SNMP_PERSISTENT_DIR="+t.TempDir(), "MIBS=")
	b, err := c.CombinedOutput()
	return string(b), err
}

// asks wants what a program prints to have all of these in it.
func asks(t *testing.T, want []string, name string, args ...string) string {
	t.Helper()
	out, err := tool(t, name, args...)
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%s %s: want %q in\n%s", name, strings.Join(args, " "), w, out)
		}
	}
	return out
}

func settings(t testing.TB) config.SNMPService {
	return config.SNMPService{Enabled: true, Hostname: "meet1", Engine: engine,
		Communities: []config.SNMPCommunity{{Name: "watchers", From: netip.MustParsePrefix("127.0.0.0/8")}, {Name: "elsewhere", From: netip.MustParsePrefix("192.0.2.0/24")}},
		Users:       []config.SNMPUser{user(t, "monitor", "SHA256", "AES")}}
}

func TestManagersReadTheMachineByVersion2c(t *testing.T) {
	r := begin(t, t.TempDir(), 1, settings(t))
	base := []string{"-v2c", "-c", "watchers", "-t", "20", "-r", "1", "-On", r.address}
	get := func(want string, names ...string) {
		t.Helper()
		asks(t, []string{want}, "snmpget", append(append([]string{}, base...), names...)...)
	}
	get(`.1.3.6.1.2.1.1.1.0 = STRING: "Rotunda 3.2.1 (abc), Virtual machine, Linux 6.1.0`, "1.3.6.1.2.1.1.1.0")
	get(`.1.3.6.1.2.1.1.5.0 = STRING: "meet1"`, "1.3.6.1.2.1.1.5.0")
	get(`.1.3.6.1.2.1.2.2.1.10.1 = Counter32: 1286608618`, "1.3.6.1.2.1.2.2.1.10.1") // modulo 2^32
	get(`.1.3.6.1.2.1.31.1.1.1.6.1 = Counter64: 9876543210`, "1.3.6.1.2.1.31.1.1.1.6.1")
	get(`.1.3.6.1.2.1.31.1.1.1.7.1 = Counter64: 970`, "1.3.6.1.2.1.31.1.1.1.7.1")
	get(`.1.3.6.1.2.1.2.2.1.5.1 = Gauge32: 4294967295`, "1.3.6.1.2.1.2.2.1.5.1") // ifSpeed ends there
	get(`.1.3.6.1.2.1.31.1.1.1.15.1 = Gauge32: 10000`, "1.3.6.1.2.1.31.1.1.1.15.1")
	get(`.1.3.6.1.2.1.2.2.1.8.2 = INTEGER: 2`, "1.3.6.1.2.1.2.2.1.8.2")
	get(`.1.3.6.1.2.1.25.1.1.0 = Timeticks: (540000) 1:30:00.00`, "1.3.6.1.2.1.25.1.1.0")
	get(`.1.3.6.1.4.1.2021.10.1.3.2 = STRING: "1.25"`, "1.3.6.1.4.1.2021.10.1.3.2")
	get(`.1.3.6.1.4.1.2021.4.6.0 = INTEGER: 1000000`, "1.3.6.1.4.1.2021.4.6.0")
	get(`.1.3.6.1.4.1.2021.9.1.9.2 = INTEGER: 94`, "1.3.6.1.4.1.2021.9.1.9.2")
	get(ownColumn("rotundaServiceState", "callbridge").String()+" = INTEGER: 2", ownColumn("rotundaServiceState", "callbridge").String())
	get(`STRING: "turn ends again and again"`, ownColumn("rotundaAlarmText", "crash-loop:turn").String())
	get(`= INTEGER: 1500`, enterprise.with(1, 5, 2, 0).String())
	// What there is not.
	get("No Such Instance", "1.3.6.1.2.1.1.5.1")
	get("No Such Object", "1.3.6.1.2.1.99.1.0")

	// The whole tree by GETNEXT and by GETBULK is the same, in order, each once.
	walk := asks(t, nil, "snmpwalk", append(append([]string{}, base...), "1.3.6.1")...)
	bulk := asks(t, nil, "snmpbulkwalk", append([]string{"-Cr50"}, append(append([]string{}, base...), "1.3.6.1")...)...)
	names := func(out string) (list []string) {
		for line := range strings.Lines(out) {
			if name, what, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(what, "No more variables") {
				list = append(list, name)
			}
		}
		return list
	}
	one, two := names(walk), names(bulk)
	if len(one) < 200 || strings.Join(one, " ") != strings.Join(two, " ") {
		t.Errorf("want the same walks of more than 200 objects, got %d and %d", len(one), len(two))
	}
	for i := 1; i < len(one); i++ {
		a, b := mustOID(strings.TrimPrefix(one[i-1], ".")), mustOID(strings.TrimPrefix(one[i], "."))
		if slicesCompare(a, b) >= 0 {
			t.Errorf("%s comes after %s", one[i], one[i-1])
		}
	}

	// Nothing can be set, and who may not ask gets no answer.
	out, err := tool(t, "snmpset", append(append([]string{}, base...), "1.3.6.1.2.1.1.5.0", "s", "mine")...)
	if err == nil || !strings.Contains(out, "noAccess") {
		t.Errorf("want the set refused by noAccess, got %v\n%s", err, out)
	}
	for _, community := range []string{"public", "elsewhere"} {
		out, err := tool(t, "snmpget", "-v2c", "-c", community, "-t", "0.3", "-r", "0", r.address, "1.3.6.1.2.1.1.5.0")
		if err == nil || !strings.Contains(out, "Timeout") {
			t.Errorf("community %s: want no answer, got %v\n%s", community, err, out)
		}
	}
	get(`.1.3.6.1.2.1.11.4.0 = Counter32: 2`, "1.3.6.1.2.1.11.4.0")
	if out, err := tool(t, "snmpget", "-v1", "-c", "watchers", "-t", "0.3", "-r", "0", r.address, "1.3.6.1.2.1.1.5.0"); err == nil || !strings.Contains(out, "Timeout") {
		t.Errorf("version 1: want no answer, got %v\n%s", err, out)
	}
}

func slicesCompare(a, b oid) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

func TestManagersReadTheMachineByVersion3(t *testing.T) {
	s := settings(t)
	s.Users = nil
	for _, a := range usm.Auths {
		for _, p := range usm.Privacies {
			s.Users = append(s.Users, user(t, a.Name+p.Name, a.Name, p.Name))
		}
	}
	r := begin(t, t.TempDir(), 1, s)
	flags := func(name, auth, privacy, level string) []string {
		if auth != "MD5" && auth != "SHA" {
			auth = strings.Replace(auth, "SHA", "SHA-", 1)
		}
		return []string{"-v3", "-u", name, "-l", level, "-a", auth, "-A", password, "-x", privacy, "-X", password, "-t", "20", "-r", "1", "-On", r.address}
	}
	for _, u := range s.Users {
		asks(t, []string{`.1.3.6.1.2.1.1.5.0 = STRING: "meet1"`}, "snmpget", append(flags(u.Name, u.Auth, u.Privacy, "authPriv"), "1.3.6.1.2.1.1.5.0")...)
	}
	best := flags("SHA256AES", "SHA256", "AES", "authPriv")
	walk := asks(t, []string{`STRING: "Load-15"`}, "snmpbulkwalk", append(append([]string{}, best...), "1.3.6.1")...)
	if n := strings.Count(walk, " = "); n < 200 {
		t.Errorf("want more than 200 objects, got %d", n)
	}
	asks(t, []string{".1.3.6.1.6.3.10.2.1.1.0 = Hex-STRING: 80 00 1F 88 05 01 02 03 04 05 06 07 08 09 0A 0B \n0C", "10.2.1.2.0 = INTEGER: 1"}, "snmpget",
		append(append([]string{}, best...), "1.3.6.1.6.3.10.2.1.1.0", "1.3.6.1.6.3.10.2.1.2.0")...)
	refused := func(why string, args []string, name string) {
		t.Helper()
		out, err := tool(t, name, args...)
		if err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: want %s, got %v\n%s", strings.Join(args, " "), why, err, out)
		}
	}
	system := "1.3.6.1.2.1.1.5.0"
	refused("authorizationError", append(flags("SHA256AES", "SHA256", "AES", "authNoPriv"), system), "snmpget")
	refused("authorizationError", append(flags("SHA256AES", "SHA256", "AES", "noAuthNoPriv"), system), "snmpget")
	refused("Unknown user name", append(flags("nobody", "SHA256", "AES", "authPriv"), system), "snmpget")
	wrong := flags("SHA256AES", "SHA256", "AES", "authPriv")
	wrong[8] = "another password"
	refused("Authentication failure", append(wrong, system), "snmpget")
	wrong = flags("SHA256AES", "SHA256", "AES", "authPriv")
	wrong[12] = "another password"
	refused("Decryption error", append(wrong, system), "snmpget")
	refused("noAccess", append(append([]string{}, best...), system, "s", "mine"), "snmpset")
	// A context that is not there.
	refused("Bad context", append(append([]string{"-n", "other"}, best...), system), "snmpget")
}

func TestBootsAreKeptOverRestarts(t *testing.T) {
	folder := t.TempDir()
	for want := int32(1); want <= 3; want++ {
		if n, err := countBoot(folder); n != want || err != nil {
			t.Errorf("want start %d, got %d, %v", want, n, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, bootsFile), []byte("2147483646"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := countBoot(folder); n != lastBoots || err != nil {
			t.Errorf("want it to stay at the last, got %d, %v", n, err)
		}
	}
	for _, bad := range []string{"", "x", "-1", "4294967296"} {
		if err := os.WriteFile(filepath.Join(folder, bootsFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := countBoot(folder); n != lastBoots || err == nil {
			t.Errorf("%q: want nobody trusted, got %d, %v", bad, n, err)
		}
	}
	if n, err := countBoot(filepath.Join(folder, "missing")); n != lastBoots || err == nil {
		t.Errorf("want nobody trusted where it cannot be kept, got %d, %v", n, err)
	}
}

func TestNothingListensBeforeItIsEnabled(t *testing.T) {
	s := settings(t)
	s.Enabled = false
	r := begin(t, t.TempDir(), 1, s)
	s.Enabled = true
	r.write(t, s)
	r.reread <- os.Interrupt
	at := <-r.settled
	if len(at) != 1 {
		t.Fatalf("want it to listen, got %q", at)
	}
	asks(t, []string{"meet1"}, "snmpget", "-v2c", "-c", "watchers", "-t", "20", "-On", at[0], "1.3.6.1.2.1.1.5.0")
	s.Enabled = false
	r.write(t, s)
	r.reread <- os.Interrupt
	if at := <-r.settled; len(at) != 0 {
		t.Fatalf("want it to listen no more, got %q", at)
	}
	// The port is free again.
	c, err := net.ListenPacket("udp4", at[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestWeakAlgorithmsAreLeftOutWhereOnlyApprovedOnesMayBeUsed(t *testing.T) {
	a := newAgent(1, time.Now(), func() *tree { return new(tree) })
	s := config.SNMPService{Engine: engine, Approved: true}
	for _, u := range [][2]string{{"MD5", "AES"}, {"SHA", "DES"}, {"SHA", "AES"}, {"SHA512", "AES"}} {
		s.Users = append(s.Users, user(t, u[0]+u[1], u[0], u[1]))
	}
	if out := a.configure(s); fmt.Sprint(out) != "[MD5AES SHADES]" || len(a.people) != 2 || a.first.Name != "SHAAES" {
		t.Errorf("want MD5 and DES left out, got %q, %d users", out, len(a.people))
	}
}
