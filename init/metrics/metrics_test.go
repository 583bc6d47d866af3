package metrics

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"rotunda/init/control"
)

var update = flag.Bool("update", false, "write generated files anew")

func TestNamesFollowTheConventionsOfPrometheus(t *testing.T) {
	seen := map[string]bool{}
	name := regexp.MustCompile(`^(rotunda|turn)_[a-z0-9_]+$`)
	label := regexp.MustCompile(`^[a-z]+$`)
	for _, d := range Table {
		for _, m := range d.Metrics {
			if seen[m.Name] {
				t.Errorf("%s is there twice", m.Name)
			}
			seen[m.Name] = true
			if !name.MatchString(m.Name) || m.Help == "" || strings.ContainsAny(m.Help, "\n\\") {
				t.Errorf("%s: bad name or help", m.Name)
			}
			if strings.HasSuffix(m.Name, "_total") != (m.Kind == Counter) {
				t.Errorf("%s: counters, and counters alone, end in _total", m.Name)
			}
			for _, l := range m.Labels {
				if !label.MatchString(l) {
					t.Errorf("%s: bad label %q", m.Name, l)
				}
			}
		}
	}
	for _, daemon := range asked {
		if find(daemon, "") != nil || !Asked(daemon) {
			t.Errorf("%s is asked", daemon)
		}
	}
}

func TestReferencePageIsWhatTheTableSays(t *testing.T) {
	var page bytes.Buffer
	page.WriteString("# Metrics\n\nThis page is made from the declarations in init/metrics; a test fails when the two differ. docs/monitoring.md says how to get at them.\n")
	for _, d := range Table {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| name | kind | labels | what |\n|---|---|---|---|\n", d.Name, d.Help)
		for _, m := range d.Metrics {
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, strings.Join(m.Labels, ", "), m.Help)
		}
	}
	const file = "../../docs/reference/metrics.md"
	if *update {
		if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, page.Bytes()) {
		t.Errorf("%s is not what the table says (%v): run go generate ./init/metrics", file, err)
	}
}

// standIn is PID 1 with little to say.
type standIn struct{}

func (standIn) Release(context.Context) (control.Release, error) {
	return control.Release{Version: "3.2.1", Build: "abc", Kernel: "6.1", Platform: "vm"}, nil
}

func (standIn) Health(context.Context) (control.Health, error) {
	return control.Health{
		Uptime: time.Minute,
		Alarms: []control.Alarm{{ID: `odd"name\`, Text: "x", Since: time.Unix(1000, 0)}},
		Services: []control.Service{{Name: "callbridge", State: "ready", Restarts: 3, Uptime: time.Second}, {Name: "media", State: "backoff"}, {Name: "turn", State: "ready"},
			{Name: "timesync", State: "ready"}, {Name: "mediaworker-0.1", State: "ready"}},
		Media:   []control.MediaModule{{Workers: 3, Ready: 2}},
		Startup: []control.Step{{Name: "mounts", Duration: 1500 * time.Millisecond}, {Name: "storage", Error: "no disk"}},
	}, nil
}

func (standIn) Interfaces(context.Context) ([]control.Interface, error) {
	return []control.Interface{{Name: "a", Kernel: "eth0", Up: true, Carrier: true, Speed: 1000}}, nil
}

func (standIn) Filesystems(context.Context) ([]control.Filesystem, error) {
	return []control.Filesystem{{Mount: "/data", Size: 1000, Used: 400, Free: 600}}, nil
}

var root = fstest.MapFS{
	"proc/meminfo":                     {Data: []byte("MemTotal: 4000 kB\nMemAvailable: 3000 kB\n")},
	"proc/loadavg":                     {Data: []byte("0.52 1.25 2.00 2/123 4567\n")},
	"proc/stat":                        {Data: []byte("cpu  100 5 50 800 20 1 2 3 0 0\ncpu0 100 5 50 800 20 1 2 3 0 0\n")},
	"proc/net/dev":                     {Data: []byte("  eth0: 987 10 1 2 0 0 0 3 123 20 3 4 0 0 0 0\n")},
	"run/rotunda/timesync/status.json": {Data: []byte(`{"synchronized":true,"offset":1500000,"servers":[{"name":"ntp1","state":"used","reach":255,"last":"2026-01-01T00:00:00Z","delay":2000000}]}`)},
	"sys/fs/cgroup/rotunda/callbridge/memory.current": {Data: []byte("1048576\n")},
	"sys/fs/cgroup/rotunda/callbridge/cpu.stat":       {Data: []byte("usage_usec 2500000\nuser_usec 1\n")},
}

func TestTheFiguresOfAllAreJoined(t *testing.T) {
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The Call Bridge says what it should. The media manager does not answer with figures at all, and the TURN server claims to be others.
	if err := os.MkdirAll(filepath.Join(folder, "callbridge"), 0o700); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		ended <- Serve(ctx, filepath.Join(folder, "callbridge", "socket"), "callbridge", func(_ context.Context, p *Page) {
			p.Set("rotunda_calls", 2)
			p.Set("rotunda_sip_responses_total", 7, "sent", "2xx")
			p.Set("rotunda_uptime_seconds", 1e9)
			p.Set("rotunda_calls", 3, "too many labels")
			if got := fmt.Sprint(p.Wrong()); got != "[rotunda_uptime_seconds rotunda_calls]" {
				t.Errorf("want what is not declared left out, got %s", got)
			}
		})
	}()
	for {
		if c, err := net.Dial("unix", filepath.Join(folder, "callbridge", "socket")); err == nil {
			c.Close()
			break
		}
	}
	turn := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# HELP rotunda_calls wrong\nturn_allocations 5\nrotunda_calls 99\nturn_packets_total{direction=\"to_peer\"} 8\nturn_packets_total{other=\"x\"} 1\nturn_channels NaN\nrubbish\n")
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = turn.Serve(l) }()
	defer turn.Close()

	g := &gatherer{pid1: standIn{}, root: root, folder: folder, turn: l.Addr().String()}
	at := make(chan net.Addr, 1)
	go func() { ended <- g.serve(ctx, "127.0.0.1:0", func(a net.Addr) { at <- a }) }()
	r, err := http.Get("http://" + (<-at).String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != ContentType {
		t.Fatalf("want the text, got %v, %q", err, r.Header)
	}
	text := string(b)
	for _, want := range []string{
		"# HELP rotunda_calls Conferences at the moment\n# TYPE rotunda_calls gauge\nrotunda_calls 2\n",
		`rotunda_sip_responses_total{direction="sent",class="2xx"} 7`,
		`rotunda_up{daemon="callbridge"} 1`, `rotunda_up{daemon="init"} 1`, `rotunda_up{daemon="media"} 0`, `rotunda_up{daemon="timesync"} 1`, `rotunda_up{daemon="turn"} 1`,
		`rotunda_build_info{version="3.2.1",build="abc",kernel="6.1",platform="vm"} 1`,
		"rotunda_uptime_seconds 60\n", "rotunda_alarms 1\n", `rotunda_alarm_since_seconds{alarm="odd\"name\\"} 1000`,
		`rotunda_service_ready{service="callbridge"} 1`, `rotunda_service_ready{service="media"} 0`, `rotunda_service_restarts_total{service="callbridge"} 3`,
		`rotunda_service_memory_bytes{service="callbridge"} 1.048576e+06`, `rotunda_service_cpu_seconds_total{service="callbridge"} 2.5`,
		`rotunda_boot_step_seconds{step="mounts"} 1.5`, `rotunda_boot_step_failed{step="storage"} 1`,
		`rotunda_module_workers_ready{module="0"} 2`, `rotunda_memory_bytes{kind="available"} 3.072e+06`, `rotunda_load{minutes="15"} 2`,
		`rotunda_cpu_seconds_total{cpu="0",mode="idle"} 8`, `rotunda_filesystem_free_bytes{mount="/data"} 600`,
		`rotunda_interface_up{interface="a"} 1`, `rotunda_interface_bytes_total{interface="a",direction="transmit"} 123`, `rotunda_interface_errors_total{interface="a",direction="receive"} 1`,
		"rotunda_clock_synchronized 1\n", "rotunda_clock_offset_seconds 0.0015\n", `rotunda_clock_server_delay_seconds{server="ntp1"} 0.002`,
		"turn_allocations 5\n", `turn_packets_total{direction="to_peer"} 8`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in the text", want)
		}
	}
	for _, unwanted := range []string{"99", "NaN", "other", "rubbish", "rotunda_uptime_seconds 1e+09", `daemon="resolver"`} {
		if strings.Contains(text, unwanted) {
			t.Errorf("want no %q in the text", unwanted)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestTheGathererListensOnLoopbackAlone(t *testing.T) {
	g := &gatherer{pid1: standIn{}, root: root}
	for _, address := range []string{"0.0.0.0:0", ":9100", "192.0.2.1:9100", "localhost:9100", "x"} {
		if err := g.serve(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "is no address of loopback") {
			t.Errorf("%s: want it refused, got %v", address, err)
		}
	}
}

func TestManySamplesAndLongNamesAreBounded(t *testing.T) {
	p := NewPage("init")
	for n := range 3 * maxSamples {
		p.Set("rotunda_service_ready", 1, fmt.Sprintf("%d%s", n, strings.Repeat("é", maxValue)))
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != maxSamples+2 || b.Len() > maxSamples*(maxValue+60) {
		t.Errorf("want %d samples of bounded length, got %d lines, %d bytes", maxSamples, n, b.Len())
	}
}

func FuzzRead(f *testing.F) {
	f.Add("rotunda_calls 5\nrotunda_sip_responses_total{direction=\"a\\\"\",class=\"b\\n\"} 1e3\n")
	f.Add("rotunda_sip_responses_total{class=\"b\",direction=\"\\")
	f.Fuzz(func(t *testing.T, text string) {
		p, _ := Read("callbridge", strings.NewReader(text))
		var out bytes.Buffer
		if err := p.Write(&out); err != nil {
			t.Fatal(err)
		}
		// What was let through is read back as it is.
		again, err := Read("callbridge", bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		var second bytes.Buffer
		_ = again.Write(&second)
		if out.String() != second.String() {
			t.Errorf("want\n%s\ngot\n%s", &out, &second)
		}
	})
}
