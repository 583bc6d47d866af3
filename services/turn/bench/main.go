// Command bench measures the TURN server beside coturn and writes its figures to build/bench.jsonl (package figures):
// make bench-turn, as root.
//
//	go run ./services/turn/bench [-rounds 6] [-window 3s] [figure …]
//
// # How it is measured
//
// Both servers run in a network namespace of their own, one after the other in turn, each time as a new process on the last
// core; the load comes from the first core over loopback (package load.go says how), so that what the kernel does for a
// packet between two sockets is counted for both alike. Both have static credentials and relay over IPv4.
//
// turn_cpu_200 is sound: 100 allocations, each with a packet of 200 bytes every 5 ms in both directions, none together.
// turn_cpu_1000 is pictures: 40 allocations, each with a frame of 17 packets of 1,000 bytes 30 times a second in both
// directions, 4 Mbit/s. The packets of a frame leave the load one by one (sendmmsg), not as a train. What counts is CPU time of all
// threads from /proc divided by the packets that came out on the other side; a round with more than 0.1 % loss is
// done again. The first round of each is dropped, the rest gives the median. The figures with _delay_p99 say how long packets took
// from the load through the server and back to it.
//
// turn_lossless is the highest rate of pictures at which less than 0.1 % is lost. turn_hd_calls_vcpu and
// turn_audio_calls_vcpu are calls as the guide counts them, in multiples of its table 5, until packets are lost twice. turn_idle_bytes is what an allocation with
// one channel that carries nothing adds to the resident memory, of 5,000; turn_allocations is how many of the 12,001 relay
// ports are given out. turn_flood_bytes is what a million requests with a wrong password add to the resident memory.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/qemu"
	"rotunda/qemu/figures"
)

// The addresses of the namespace: of the server, of clients, of peers.
const (
	serverAddress = "192.0.2.1"
	peerAddress   = "203.0.113.1"
)

// Clients come from three addresses, since one may not have all relay ports.
var clientAddresses = []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"}

const (
	user, password, realm = "bench", "secret", "example.com"
	turnPort              = 3478
	// soundLoad and pictureLoad are packets a second and direction of each allocation.
	soundRate   = 200
	pictureRate = 30 * frameLength
)

type bench struct {
	rounds  int
	window  time.Duration
	dir     string
	program string
	// delays are the 99th percentiles of the rounds by the subject's name, in microseconds.
	delays map[string][]float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// areas are what can be measured, in the order in which it is.
var areas = []struct {
	name    string
	measure func(*bench) ([]figures.Figure, error)
}{
	{"turn_cpu_200", func(b *bench) ([]figures.Figure, error) { return b.cpu("turn_cpu_200", sound, "<= 0.8") }},
	{"turn_cpu_1000", func(b *bench) ([]figures.Figure, error) { return b.cpu("turn_cpu_1000", pictures, "<= 0.65") }},
	{"turn_lossless", (*bench).lossless},
	{"turn_hd_calls_vcpu", func(b *bench) ([]figures.Figure, error) {
		return b.calls("turn_hd_calls_vcpu", hdCall, hdCallsOfTable, "720p30 and G.711, 2.5 Mbit/s each way")
	}},
	{"turn_audio_calls_vcpu", func(b *bench) ([]figures.Figure, error) {
		return b.calls("turn_audio_calls_vcpu", audioCall, audioCallsOfTable, "G.711, a packet of 172 bytes every 20 ms each way")
	}},
	{"turn_allocations", (*bench).allocations},
	{"turn_idle_bytes", (*bench).idle},
	{"turn_flood_bytes", (*bench).flood},
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := &bench{}
	flags.IntVar(&b.rounds, "rounds", 6, "`rounds` of each server, of which the first is dropped")
	flags.DurationVar(&b.window, "window", 3*time.Second, "`time` measured in a round")
	flags.StringVar(&b.program, "program", "", "`program` to measure instead of one that is built now")
	if err := flags.Parse(args); err != nil {
		return err
	}
	tree, err := qemu.FindTree()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("this bench makes a network namespace and must be run by root")
	}
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("this bench needs two cores, one for the server and one for the load")
	}
	if b.dir, err = os.MkdirTemp("", "rotunda-bench-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if b.program == "" {
		b.program = filepath.Join(b.dir, "services")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.program, "./services")
		build.Dir, build.Env = tree.Root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build services: %w: %s", err, out)
		}
	}
	// The thread that enters the namespace is the one that does everything, on its core.
	runtime.LockOSThread()
	if err := enter(); err != nil {
		return err
	}
	if err := pin(0); err != nil {
		return err
	}
	var all []figures.Figure
	for _, a := range areas {
		if flags.NArg() > 0 && !slices.Contains(flags.Args(), a.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Println(a.name)
		list, err := a.measure(b)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		all = append(all, list...)
	}
	if err := figures.Store(filepath.Join(tree.Root, "build", "bench.jsonl"), all); err != nil {
		return err
	}
	figures.Print(all)
	return nil
}

// enter puts this thread into a network namespace of its own with all addresses on loopback.
func enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	for _, a := range append([]string{serverAddress, peerAddress}, clientAddresses...) {
		address, err := netlink.ParseAddr(a + "/32")
		if err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
		address.Label = "lo"
		if err := netlink.AddrAdd(lo, address); err != nil {
			return fmt.Errorf("add %s: %w", a, err)
		}
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}

// pin keeps this thread on a core.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("run on core %d: %w", core, err)
	}
	// The load keeps to its times only if it gets the core when it wants it.
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -20); err != nil {
		return fmt.Errorf("raise priority: %w", err)
	}
	_ = os.WriteFile("/proc/self/autogroup", []byte("-20"), 0) // where the kernel groups by session
	return nil
}

// subject is a server that is measured.
type subject struct {
	name  string
	start func(b *bench) (*process, error)
}

var (
	ours  = subject{"rotunda", func(b *bench) (*process, error) { return b.startOurs(false) }}
	plain = subject{"without the fast path", func(b *bench) (*process, error) { return b.startOurs(true) }}
	peer  = subject{"coturn", (*bench).startPeer}
)

func (b *bench) startOurs(lowCapacity bool) (*process, error) {
	settings := config.TURNService{TURN: config.TURN{Enabled: true, Listen: []string{"a"}, Username: user, Password: password,
		Realm: realm, LowCapacity: lowCapacity}, Devices: map[string]string{"a": "lo"}}
	data, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "settings.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fmt.Errorf("write settings: %w", err)
	}
	return launch(b.program, "turn", "-settings", file)
}

// startPeer starts coturn with one thread for relays, as one core asks for, without its log, its databases and its limits.
func (b *bench) startPeer() (*process, error) {
	return launch("turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-software-attribute", "--listening-ip", serverAddress,
		"--relay-ip", serverAddress, "--listening-port", strconv.Itoa(turnPort), "--min-port", "50000", "--max-port", "62000",
		"--relay-threads", "1", "--lt-cred-mech", "--user", user+":"+password, "--realm", realm, "--log-file", "/dev/null", "--simple-log",
		"--db", filepath.Join(b.dir, "coturn.db"), "--pidfile", filepath.Join(b.dir, "coturn.pid"))
}

// peerName is coturn with its version.
func peerName() string {
	out, err := exec.Command("dpkg-query", "--show", "--showformat", "${Version}", "coturn").Output()
	if err != nil {
		return "coturn"
	}
	return "coturn " + string(out)
}

// cpu measures microseconds of CPU per forwarded packet.
func (b *bench) cpu(name string, shape shape, goal string) ([]figures.Figure, error) {
	values := map[string][]float64{}
	b.delays = map[string][]float64{}
	for round := range max(b.rounds, 2) {
		line := fmt.Sprintf("  round %d:", round+1)
		for _, s := range []subject{ours, peer, plain} {
			v, err := b.once(s, shape)
			for tries := 1; errors.Is(err, errLoss) && tries < 5; tries++ {
				fmt.Printf("  %s again: %v\n", s.name, err)
				v, err = b.once(s, shape)
			}
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name, round+1, err)
			}
			line += fmt.Sprintf("  %s %.2f", s.name, v)
			if round > 0 {
				values[s.name] = append(values[s.name], v)
			}
		}
		fmt.Println(line)
	}
	against := figures.Median(values[peer.name])
	conditions := fmt.Sprintf("%d allocations, %.0f packets/s in all", shape.allocations, 2*shape.rate*float64(shape.allocations))
	return []figures.Figure{
		figures.Figure{Name: name, Value: figures.Median(values[ours.name]), Unit: "us", Goal: goal, Conditions: conditions}.Against(peerName(), against),
		figures.Figure{Name: name + "_plain", Value: figures.Median(values[plain.name]), Unit: "us", Goal: "none",
			Conditions: conditions + ", highcapacity-mode disabled"}.Against(peerName(), against),
		figures.Figure{Name: name + "_delay_p99", Value: figures.Median(b.delays[ours.name]), Unit: "us", Goal: "none",
			Conditions: conditions + ", from send to receive"}.Against(peerName(), figures.Median(b.delays[peer.name])),
	}, nil
}

// errLoss is for a round in which somebody else had the core, as a rule; it is done again.
var errLoss = errors.New("packets were lost")

// once carries a load and returns microseconds per packet.
func (b *bench) once(s subject, shape shape) (float64, error) {
	p, err := s.start(b)
	if err != nil {
		return 0, err
	}
	defer p.end()
	l, err := newLoad(shape)
	if err != nil {
		return 0, err
	}
	defer l.close()
	if _, err := l.run(time.Second); err != nil {
		return 0, err
	}
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	l.delays = l.delays[:0]
	total, err := l.run(b.window)
	if err != nil {
		return 0, err
	}
	slices.Sort(l.delays)
	b.delays[s.name] = append(b.delays[s.name], float64(l.delays[len(l.delays)*99/100].Nanoseconds())/1000)
	after, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if total.loss() > 0.001 {
		return 0, fmt.Errorf("%w: %.2f %% of %d packets", errLoss, 100*total.loss(), total.sent)
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(total.received), nil
}

// lossless looks for the highest rate of pictures without loss.
func (b *bench) lossless() ([]figures.Figure, error) {
	best := map[string][]float64{}
	for round := range max(b.rounds/2, 2) {
		line := fmt.Sprintf("  round %d:", round+1)
		for _, s := range []subject{ours, peer} {
			v, err := b.climb(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			line += fmt.Sprintf("  %s %.0f", s.name, v)
			if round > 0 {
				best[s.name] = append(best[s.name], v)
			}
		}
		fmt.Println(line)
	}
	f := figures.Figure{Name: "turn_lossless", Value: figures.Median(best[ours.name]), Unit: "pkt/s", Goal: ">= 1.3",
		Conditions: "1,000 bytes, 40 allocations, frames of 17 packets; steps of 10 %"}
	return []figures.Figure{f.Against(peerName(), figures.Median(best[peer.name]))}, nil
}

// climb raises the rate by a tenth until packets are lost twice in a row.
func (b *bench) climb(s subject) (float64, error) {
	p, err := s.start(b)
	if err != nil {
		return 0, err
	}
	defer p.end()
	best, failed := 0.0, 0
	for rate := pictures.rate / 2; failed < 2; rate *= 1.1 {
		shape := pictures
		shape.rate = rate
		l, err := newLoad(shape)
		if err != nil {
			return 0, err
		}
		total, err := l.run(b.window / 2)
		l.close()
		if err != nil {
			return 0, err
		}
		// A load that falls behind itself says nothing about the server.
		if total.loss() > 0.001 || total.late {
			failed++
			continue
		}
		best, failed = float64(total.received)/(b.window/2).Seconds(), 0
	}
	return best, nil
}

// What the deployment guide expects of an edge server, a vCPU (table 5, the small one, which is the better one for audio).
const (
	hdCallsOfTable    = 175.0 / 4
	audioCallsOfTable = 850.0 / 4
)

// calls looks for how many calls one core carries without loss, beginning at four times what the table says.
func (b *bench) calls(name string, call shape, table float64, conditions string) ([]figures.Figure, error) {
	best, failed := 0, 0
	for factor := 4.0; failed < 2; factor++ {
		call.allocations = int(factor * table)
		total, err := b.carry(call)
		if err != nil {
			return nil, fmt.Errorf("%d calls: %w", call.allocations, err)
		}
		fmt.Printf("  %d calls: %d packets, %.3f %% lost\n", call.allocations, total.sent, 100*total.loss())
		if total.loss() > 0.001 || total.late {
			failed++
			factor-- // the same again
			continue
		}
		best, failed = call.allocations, 0
	}
	return []figures.Figure{figures.Figure{Name: name, Value: float64(best), Unit: "calls", Goal: ">= 4",
		Conditions: conditions + "; the highest multiple without loss"}.Against("guide, table 5", table)}, nil
}

// carry has a new server carry a load.
func (b *bench) carry(s shape) (total, error) {
	p, err := ours.start(b)
	if err != nil {
		return total{}, err
	}
	defer p.end()
	l, err := newLoad(s)
	if err != nil {
		return total{}, err
	}
	defer l.close()
	if _, err := l.run(time.Second); err != nil {
		return total{}, err
	}
	return l.run(b.window)
}

// allocations takes every relay port.
func (b *bench) allocations() ([]figures.Figure, error) {
	p, err := ours.start(b)
	if err != nil {
		return nil, err
	}
	defer p.end()
	n, err := hold(12001, false)
	if err != nil {
		return nil, fmt.Errorf("after %d: %w", n, err)
	}
	return []figures.Figure{{Name: "turn_allocations", Value: float64(n), Unit: "allocations", Peer: figures.None, Goal: "= 12001"}}, nil
}

// idleCount allocations are held to see what one takes.
const idleCount = 5000

// idle measures the resident memory of allocations that carry nothing.
func (b *bench) idle() ([]figures.Figure, error) {
	var bytes [2]float64
	for i, s := range []subject{ours, peer} {
		var err error
		if bytes[i], err = b.idleOf(s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("  %s %.0f\n", s.name, bytes[i])
	}
	f := figures.Figure{Name: "turn_idle_bytes", Value: bytes[0], Unit: "bytes", Goal: "<= 1", Conditions: "5,000 allocations with a channel"}
	return []figures.Figure{f.Against(peerName(), bytes[1])}, nil
}

func (b *bench) idleOf(s subject) (float64, error) {
	p, err := s.start(b)
	if err != nil {
		return 0, err
	}
	defer p.end()
	const first = 100 // what the first ones need once does not count
	if _, err := hold(first, true); err != nil {
		return 0, err
	}
	before, err := p.memory()
	if err != nil {
		return 0, err
	}
	if n, err := holdFrom(first, idleCount, true); err != nil {
		return 0, fmt.Errorf("after %d: %w", n, err)
	}
	after, err := p.memory()
	return float64(after-before) / idleCount, err
}

// flood sends a million requests with a wrong password while calls go on.
func (b *bench) flood() ([]figures.Figure, error) {
	p, err := ours.start(b)
	if err != nil {
		return nil, err
	}
	defer p.end()
	shape := sound
	shape.allocations = 20
	l, err := newLoad(shape)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if _, err := wrong(20000, l); err != nil {
		return nil, err
	}
	before, err := p.memory()
	if err != nil {
		return nil, err
	}
	carried, err := wrong(1_000_000, l)
	if err != nil {
		return nil, err
	}
	after, err := p.memory()
	if err != nil {
		return nil, err
	}
	return []figures.Figure{{Name: "turn_flood_bytes", Value: float64(after - before), Unit: "bytes", Peer: figures.None, Goal: "flat",
		Conditions: fmt.Sprintf("1,000,000 requests with a wrong password; calls lost %.3f %% meanwhile", 100*carried.loss())}}, nil
}
