// Command sipbench measures calls by SIP beside a bare answerer made of emiago/sipgo and writes its figures to build/bench.jsonl (package figures):
// make bench-sip, in 3 minutes.
//
//	go run ./services/callbridge/sipbench [-rounds 3] [figure …]
//
// # How it is measured
//
// Whole programs are measured as they run on the image: database, media manager, media worker with its ports and mixers, and Call Bridge, all on the last
// core. They have the limits that they always have: a source that acknowledges answers may send a thousand requests a second. Calls come from this
// program, which is on the first core, by UDP over loopback, to spaces with a quarter of a hundred callers each, with an offer of G.711, G.722 and
// telephone events; the answer has ports of the worker, and its mixer sends to each caller. Callers send no media. The peer is this program run
// anew on the same core: sipgo answers each call with an answer that is always the same, and has neither meetings nor media.
//
// sip_cps is calls per second of CPU time (/proc/PID/schedstat) of Call Bridge, manager and worker together, while calls come at a steady rate and end as
// soon as they are acknowledged; what the mixers use at rest is in it. What others do on the machine meanwhile makes calls late and does not
// change it much. sip_cps_callbridge is that of the Call Bridge alone. The first round is dropped, the rest gives the median.
//
// sip_setup_p99_ms is the time from INVITE to the ACK of the 200, by 50 calls a second for 20 s, which stay up for a second each. It is wall time, so that
// it has to be seen beside the peer's.
//
// sip_call_kib is what a call that is up adds to the resident memory of all of these processes, of 1,000 calls; sip_call_kib_callbridge and
// sip_call_kib_worker are the parts. There are as many media workers as 1,000 calls need by
// their load units.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"rotunda/qemu"
	"rotunda/qemu/figures"
)

const peerName = "sipgo 1.7.2, bare"

type bench struct {
	rounds   int
	dir      string
	root     string
	services string
	worker   string
	self     string
	anywhere bool // servers run on all cores
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
	measure func(*bench, context.Context) ([]figures.Figure, error)
}{
	{"sip_cps", (*bench).cps},
	{"sip_setup_p99_ms", (*bench).setup},
	{"sip_call_kib", (*bench).memory},
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sipbench", flag.ContinueOnError)
	b := &bench{}
	flags.IntVar(&b.rounds, "rounds", 4, "`rounds` of each server, of which the first is dropped")
	flags.StringVar(&b.services, "services", "", "`program` services instead of one that is built now")
	flags.StringVar(&b.worker, "worker", "", "`program` mediaworker instead of build/mediaworker")
	answerer := flags.Bool("answerer", false, "be the peer: a bare answerer on a port of the kernel's choice")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *answerer {
		return answer(ctx)
	}
	if runtime.NumCPU() < 2 {
		return errors.New("this bench needs two cores, one for the servers and one for the calls")
	}
	tree, err := qemu.FindTree()
	if err != nil {
		return err
	}
	b.root = tree.Root
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "rotunda-sipbench-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if b.worker == "" {
		b.worker = filepath.Join(b.root, "build", "mediaworker")
	}
	if b.services == "" {
		b.services = filepath.Join(b.dir, "services")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.services, "./services")
		build.Dir = b.root
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build services: %w: %s", err, out)
		}
	}
	if err := pin(); err != nil {
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
		list, err := a.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		all = append(all, list...)
	}
	if err := figures.Store(filepath.Join(b.root, "build", "bench.jsonl"), all); err != nil {
		return err
	}
	figures.Print(all)
	return nil
}

// subject is a server that is measured.
type subject struct {
	name  string
	start func(b *bench, ctx context.Context, calls int) (*house, error)
}

var (
	ours = subject{"rotunda", (*bench).open}
	peer = subject{"sipgo", (*bench).openPeer}
)

// few are the calls that one worker carries, on any machine.
const few = 1

// cps measures calls per second of CPU time.
func (b *bench) cps(ctx context.Context) ([]figures.Figure, error) {
	const (
		rate   = 60 // a second, which one core carries with room to spare
		window = 8 * time.Second
	)
	all, bridge, against := []float64{}, []float64{}, []float64{}
	for round := range max(b.rounds, 2) {
		line := fmt.Sprintf("  round %d:", round+1)
		for _, s := range []subject{ours, peer} {
			whole, signalling, err := b.rate(ctx, s, rate, window)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name, round+1, err)
			}
			line += fmt.Sprintf("  %s %.0f (signalling %.0f)", s.name, whole, signalling)
			switch {
			case round == 0:
			case s.name == ours.name:
				all, bridge = append(all, whole), append(bridge, signalling)
			default:
				against = append(against, whole)
			}
		}
		fmt.Println(line)
	}
	conditions := fmt.Sprintf("%d calls/s for %s, audio, ended at once; calls per second of CPU time; load %s", rate, window, load())
	return []figures.Figure{
		figures.Figure{Name: "sip_cps", Value: figures.Median(all), Unit: "calls/s", Goal: ">= 100", Conditions: conditions + "; Call Bridge, media manager and worker"}.Against(peerName, figures.Median(against)),
		figures.Figure{Name: "sip_cps_callbridge", Value: figures.Median(bridge), Unit: "calls/s", Goal: "none", Conditions: conditions + "; Call Bridge alone"}.Against(peerName, figures.Median(against)),
	}, nil
}

func (b *bench) rate(ctx context.Context, s subject, rate int, window time.Duration) (whole, signalling float64, err error) {
	h, err := s.start(b, ctx, few)
	if err != nil {
		return 0, 0, err
	}
	defer h.end()
	c, err := newCallers(h)
	if err != nil {
		return 0, 0, err
	}
	defer c.end()
	if _, err := c.run(ctx, rate, time.Second, 0); err != nil {
		return 0, 0, err
	}
	before, err := h.cpu()
	if err != nil {
		return 0, 0, err
	}
	done, err := c.run(ctx, rate, window, 0)
	if err != nil {
		return 0, 0, err
	}
	after, err := h.cpu()
	if err != nil {
		return 0, 0, err
	}
	var sum time.Duration
	for i := range after {
		sum += after[i] - before[i]
	}
	n := float64(len(done))
	return n / sum.Seconds(), n / (after[0] - before[0]).Seconds(), nil
}

// setup measures the time to set a call up.
func (b *bench) setup(ctx context.Context) ([]figures.Figure, error) {
	const (
		rate   = 50
		window = 20 * time.Second
		stays  = time.Second
	)
	var p99, p50 [2]float64
	for i, s := range []subject{ours, peer} {
		h, err := s.start(b, ctx, few)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		c, err := newCallers(h)
		if err != nil {
			h.end()
			return nil, err
		}
		var done []time.Duration
		if _, err = c.run(ctx, rate, time.Second, stays); err == nil {
			done, err = c.run(ctx, rate, window, stays)
		}
		c.end()
		h.end()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		slices.Sort(done)
		at := func(part float64) float64 { return float64(done[int(part*float64(len(done)-1))].Microseconds()) / 1000 }
		p99[i], p50[i] = at(0.99), at(0.5)
		fmt.Printf("  %s: p50 %.1f ms, p90 %.1f, p99 %.1f, longest %.1f of %d calls\n", s.name, p50[i], at(0.9), p99[i], at(1), len(done))
	}
	f := figures.Figure{Name: "sip_setup_p99_ms", Value: p99[0], Unit: "ms", Goal: "< 50",
		Conditions: fmt.Sprintf("%d calls/s for %s, INVITE to ACK; median %.1f ms, the peer's %.1f; load %s", rate, window, p50[0], p50[1], load())}
	return []figures.Figure{f.Against(peerName, p99[1])}, nil
}

// held is how many calls are up to see what one takes.
const held = 1000

// memory measures what a call that is up takes.
func (b *bench) memory(ctx context.Context) ([]figures.Figure, error) {
	// A thousand mixers would have no time for anything else on one core.
	b.anywhere = true
	defer func() { b.anywhere = false }()
	var grown [2][]float64
	for i, s := range []subject{ours, peer} {
		h, err := s.start(b, ctx, held)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		grown[i], err = b.grow(ctx, h)
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", s.name, err, h.last())
		}
		h.end()
		if err != nil {
			return nil, err
		}
		fmt.Printf("  %s: %.1f KiB a call\n", s.name, grown[i])
	}
	sum := func(l []float64) (s float64) {
		for _, v := range l {
			s += v
		}
		return s
	}
	against := sum(grown[1])
	conditions := fmt.Sprintf("%d calls up by UDP, audio, G.711", held)
	figure := func(name string, value float64, of string) figures.Figure {
		return figures.Figure{Name: name, Value: value, Unit: "KiB", Goal: "none", Conditions: conditions + "; " + of}.Against(peerName, against)
	}
	return []figures.Figure{
		figure("sip_call_kib", sum(grown[0]), "Call Bridge, media manager and as many workers as it takes"),
		figure("sip_call_kib_callbridge", grown[0][0], "Call Bridge alone"),
		figure("sip_call_kib_worker", sum(grown[0][2:]), "media workers alone"),
	}, nil
}

func (b *bench) grow(ctx context.Context, h *house) ([]float64, error) {
	c, err := newCallers(h)
	if err != nil {
		return nil, err
	}
	defer c.end()
	// What the first ones need once does not count.
	const first = 100
	if err := c.hold(ctx, first); err != nil {
		return nil, err
	}
	before, err := h.resident()
	if err != nil {
		return nil, err
	}
	if err := c.hold(ctx, held); err != nil {
		return nil, err
	}
	after, err := h.resident()
	if err != nil {
		return nil, err
	}
	var l []float64
	for i := range after {
		l = append(l, float64(after[i]-before[i])/1024/(held-first))
	}
	return l, nil
}
