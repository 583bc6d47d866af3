package timesync

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beevik/ntp"

	"rotunda/init/config"
	"rotunda/init/control"
)

// shifted is the real clock, as far as it goes, behind by an offset that steps change.
type shifted struct {
	mu      sync.Mutex
	offset  time.Duration
	steered chan time.Duration
}

func (s *shifted) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Round(0).Add(s.offset)
}

func (s *shifted) Running() time.Duration { return kernel{}.Running() }

func (s *shifted) Step(by time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += by
	return nil
}

func (s *shifted) Steer(behind, _, _ time.Duration) error {
	s.steered <- behind
	return nil
}

func TestAServersTimeIsTakenAndToldOn(t *testing.T) {
	// The server is another one of these, which says that its clock is kept.
	server, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.kept.Store(&standing{stratum: 1, at: time.Now()})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _ = server.serve(ctx) }()
	port := server.conn.LocalAddr().(*net.UDPAddr).Port

	folder := t.TempDir()
	o := options{settings: filepath.Join(folder, "settings.json"), status: filepath.Join(folder, "status.json"), port: port}
	write := func(s config.NTPService) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(o.settings, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config.NTPService{Servers: []config.NTPServer{{Host: "127.0.0.1"}}})
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.listen = free.LocalAddr().String()
	free.Close()
	clock := &shifted{steered: make(chan time.Duration, 100)}
	again, said, ended := make(chan os.Signal), make(chan string, 100), make(chan error, 1)
	t.Setenv("NOTIFY_SOCKET", "")
	go func() { ended <- run(ctx, o, clock, again, func(line string) { said <- line }) }()
	select {
	case <-clock.steered:
	case <-time.After(30 * time.Second):
		t.Fatal("the clock was never set")
	}
	if line := <-said; !strings.HasPrefix(line, "the clock was set by ") || !strings.HasSuffix(line, ", with 127.0.0.1") {
		t.Errorf("got %q", line)
	}
	// A server that cannot be asked does not keep the others from being asked.
	write(config.NTPService{Servers: []config.NTPServer{{Host: "127.0.0.2", Key: 1}, {Host: "127.0.0.1"}}})
	again <- syscall.SIGHUP
	var status control.TimeStatus
	var b []byte
	for end := time.Now().Add(30 * time.Second); len(status.Servers) != 2 || status.Servers[0].Problem == ""; {
		if b, err = os.ReadFile(o.status); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &status); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatalf("wanted to read what is wrong with the server whose key is missing, got %s", b)
		}
		runtime.Gosched()
	}
	if lost := status.Servers[0]; lost.Name != "127.0.0.2" || lost.Problem != "the file of NTP keys has no key 1" || lost.State == "used" {
		t.Errorf("got %+v", lost)
	}
	write(config.NTPService{Servers: []config.NTPServer{{Host: "127.0.0.1"}}})
	again <- syscall.SIGHUP
	for len(status.Servers) != 1 {
		status = control.TimeStatus{}
		if b, err = os.ReadFile(o.status); err == nil {
			err = json.Unmarshal(b, &status)
		}
		if err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if !status.Synchronized || len(status.Servers) != 1 || status.Servers[0].State != "used" || status.Servers[0].Stratum != 2 || status.Servers[0].Address != "127.0.0.1" {
		t.Errorf("got %s", b)
	}
	told, err := ntp.Query(o.listen)
	if err != nil {
		t.Fatal(err)
	}
	if err := told.Validate(); err != nil || told.Stratum != 3 || told.ClockOffset.Abs() > time.Second {
		t.Errorf("programs of this machine: got stratum %d, %v and %v", told.Stratum, told.ClockOffset, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("at the end: %v", err)
	}
}

func TestNobodyIsToldATimeThatIsNotKept(t *testing.T) {
	b := make([]byte, packetSize)
	b[0] = 4<<3 | 3
	if a := reply(b, nil, time.Now()); a == nil || a[0]>>6 != 3 || a[1] != 0 {
		t.Errorf("want the alarm condition, got %v", a)
	}
	for what, bad := range map[string][]byte{"a short packet": b[:40], "a server's answer": append([]byte{4<<3 | 4}, b[1:]...), "another version": append([]byte{7<<3 | 3}, b[1:]...), "a control message": append([]byte{4<<3 | 6}, b[1:]...)} {
		if a := reply(bad, nil, time.Now()); a != nil {
			t.Errorf("%s is answered: %v", what, a)
		}
	}
	if _, err := listen("0.0.0.0:0"); err == nil || !strings.Contains(err.Error(), "no address of loopback") {
		t.Errorf("want it to refuse all addresses, got %v", err)
	}
}

func FuzzRequestForTheTime(f *testing.F) {
	f.Add(append([]byte{4<<3 | 3}, make([]byte, 47)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a := reply(b, &standing{stratum: 15}, time.Now()); a != nil && (len(a) > len(b) || a[1] > 15) {
			t.Fatalf("%d bytes are answered by %d", len(b), len(a))
		}
	})
}

// FuzzAnswerOfAServer: whatever a server sends is an error or a sample that the clock may be compared with.
func FuzzAnswerOfAServer(f *testing.F) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { server.Close() })
	var answer atomic.Pointer[[]byte]
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := server.ReadFromUDPAddrPort(question)
			if err != nil {
				return
			}
			b := slices.Clone(*answer.Load())
			if n >= 48 && len(b) >= 48 {
				copy(b[24:32], question[40:48]) // else it is no answer to this question, and nothing of it is looked at
			}
			_, _ = server.WriteToUDPAddrPort(b, from)
		}
	}()
	good := make([]byte, 48)
	good[0], good[1], good[3] = 4<<3|4, 2, 0xec
	for _, at := range []int{16, 32, 40} {
		binary.BigEndian.PutUint32(good[at:], uint32(time.Now().Unix()+2208988800))
	}
	f.Add(good, false)
	f.Add(append(slices.Clone(good), make([]byte, 24)...), true)
	f.Add(make([]byte, 48), false)
	f.Add([]byte("kiss"), false)
	port := server.LocalAddr().(*net.UDPAddr).Port
	key := authOptions(7, config.NTPKey{Type: "SHA1", Key: "0123456789abcdef0123"})
	f.Fuzz(func(t *testing.T, b []byte, signed bool) {
		if len(b) == 0 || len(b) > 1400 {
			return
		}
		answer.Store(&b)
		options := ntp.AuthOptions{}
		if signed {
			options = key
		}
		_, sample, err := ask(t.Context(), "127.0.0.1", port, options, time.Now)
		switch {
		case err != nil:
			return
		case signed:
			t.Errorf("%x was taken without its signature", b)
		case sample.Stratum < 1 || sample.Stratum > 15 || sample.Delay < 0 || sample.RootDelay < 0 || sample.RootDispersion < 0:
			t.Errorf("%x is taken as %+v", b, sample)
		}
		k := NewKeeper(&shifted{steered: make(chan time.Duration, 10)}, func(string) {})
		k.SetServers([]string{"a"})
		for range burst {
			k.Due()
			k.Heard("a", sample, nil)
		}
		k.Status()
	})
}
