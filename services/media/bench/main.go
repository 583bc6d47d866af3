// Command bench measures the media engine beside other programs that do the same, and writes its figures to
// build/bench.jsonl (package figures): make bench-media.
//
//	go run ./services/media/bench [-rounds 6] [-window 4s] [figure …]
//
// # How it is measured
//
// The worker is the real program under its real control protocol, on one core of its own; the load comes from the other
// core (package wire). The peer takes the worker's place on its core with the same load. The two take turns, A B A B …,
// each time as a new process; the first round of each is dropped, the rest gives the median. What counts is CPU time of all
// threads of the process from /proc, not wall time: participants, legs or receivers per core are their number divided by
// the cores that were used, at a load that one core carries. A round counts only if what was sent arrived (loss of at most
// 0.1 %, or the figure says how many frames were left out), and once a side the content is looked at: tones are heard,
// tiles are seen, recordings are read back. Nothing fails because a figure is bad.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"rotunda/qemu"
	"rotunda/qemu/figures"
)

// areas are what can be measured, in the order in which it is. One area gives one figure or several of one run.
var areas = []struct {
	names   []string
	measure func(context.Context, *bench) ([]figures.Figure, error)
}{
	{[]string{"audio_few_talk"}, measureFewTalk},
	{[]string{"audio_all_talk"}, measureAllTalk},
	{[]string{"video_shared_9", "video_personal_9", "video_shared_9_tuned", "video_personal_9_tuned"}, measureNine},
	{[]string{"video_100"}, measureHundred},
	{[]string{"forward_fanout"}, measureForward},
	{[]string{"recording_cpu"}, measureRecording},
	{[]string{"push_cpu"}, measurePush},
	{[]string{"tile_ssim"}, measureTile},
	{[]string{"frame_latency_ms", "av_skew_ms", "tick_late_ms"}, measureTimes},
	{[]string{"calls_audio_200_late_ms"}, measureCalls},
	{[]string{"calls_video_720"}, measureCallVideo},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := &bench{}
	flags.IntVar(&b.rounds, "rounds", 6, "`rounds` of each side, of which the first is dropped")
	flags.DurationVar(&b.window, "window", 4*time.Second, "`time` measured in a round")
	flags.StringVar(&b.worker, "worker", "build/mediaworker", "`program` to measure")
	flags.StringVar(&b.encoder, "encoder", "", "encoder of H.264 that the worker uses, empty for its own choice")
	soak := flags.Duration("soak", 0, "carry a meeting for so `long` and watch the worker's memory; nothing else is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	tree, err := qemu.FindTree()
	if err != nil {
		return err
	}
	if !filepath.IsAbs(b.worker) {
		b.worker = filepath.Join(tree.Root, b.worker)
	}
	b.prompts = filepath.Join(tree.Root, "build", "prompts")
	if b.dir, err = os.MkdirTemp("", "rotunda-bench-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("one core for both sides: want two")
	}
	if err := pin(loadCore); err != nil {
		return err
	}
	var list []figures.Figure
	if *soak > 0 {
		if list, err = measureSoak(ctx, b, *soak); err != nil {
			return err
		}
	}
	var failed error
	for _, a := range areas {
		if *soak > 0 || flags.NArg() > 0 && !slices.ContainsFunc(a.names, func(n string) bool { return slices.Contains(flags.Args(), n) }) {
			continue
		}
		began := time.Now()
		more, err := a.measure(ctx, b)
		if err != nil {
			// The others are still worth having.
			err = fmt.Errorf("%s: %w", strings.Join(a.names, ", "), err)
			fmt.Println("#", err)
			if failed = errors.Join(failed, err); ctx.Err() != nil {
				return failed
			}
			continue
		}
		fmt.Printf("# %s: %.0f s\n", strings.Join(a.names, ", "), time.Since(began).Seconds())
		list = append(list, more...)
	}
	if len(list) == 0 && failed == nil {
		return fmt.Errorf("no such figure: %s", strings.Join(flags.Args(), " "))
	}
	figures.Print(list)
	return errors.Join(failed, figures.Store(filepath.Join(tree.Root, "build", "bench.jsonl"), list))
}
