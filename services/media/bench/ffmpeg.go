package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rotunda/services/media/bench/wire"
)

// leg is where ffmpeg sends a composed picture, as it is told.
type leg []string

// toLoad is a leg by RTP.
func toLoad(l *wire.Load) leg {
	return leg{"-f", "rtp", fmt.Sprintf("rtp://%s?pkt_size=1200", l.Address())}
}

// compose runs ffmpeg on nine films: it decodes each, scales and stacks them three by three, and encodes and sends that to
// legs, one encode each. It runs as fast as it can: the peer has no deadline to keep. The result is its CPU time.
func compose(ctx context.Context, list []*film, preset string, frames int, legs ...leg) (time.Duration, error) {
	args := []string{"-c", strconv.Itoa(subjectCore()), "ffmpeg", "-nostdin", "-v", "error", "-filter_complex_threads", "1"}
	tiles := ninths(filmWidth, filmHeight)
	var graph, stack, layout strings.Builder
	for i, t := range tiles {
		args = append(args, "-threads", "1", "-r", strconv.Itoa(filmRate), "-f", "h264", "-i", list[i%len(list)].path)
		fmt.Fprintf(&graph, "[%d:v]scale=%d:%d[t%d];", i, t.w, t.h, i)
		fmt.Fprintf(&stack, "[t%d]", i)
		fmt.Fprintf(&layout, "|%d_%d", t.x, t.y)
	}
	fmt.Fprintf(&graph, "%sxstack=inputs=%d:layout=%s,split=%d", stack.String(), len(tiles), layout.String()[1:], len(legs))
	for i := range legs {
		fmt.Fprintf(&graph, "[o%d]", i)
	}
	args = append(args, "-filter_complex", graph.String())
	for i, l := range legs {
		args = append(args, "-map", fmt.Sprintf("[o%d]", i), "-frames:v", strconv.Itoa(frames))
		args = append(args, encoderArgs(preset)...)
		args = append(args, l...)
	}
	return runTimed(ctx, args)
}

// encoderArgs are the settings of package codec for x264.
func encoderArgs(preset string) []string {
	return []string{"-c:v", "libx264", "-preset", preset, "-tune", "zerolatency", "-profile:v", "baseline", "-threads", "1", "-x264-params", "sliced-threads=0:scenecut=0:keyint=infinite",
		"-b:v", strconv.Itoa(filmBitrate), "-maxrate", strconv.Itoa(filmBitrate), "-bufsize", strconv.Itoa(filmBitrate / 3)}
}

// runTimed runs taskset with these arguments to its end and returns the CPU time that was used.
func runTimed(ctx context.Context, args []string) (time.Duration, error) {
	c := exec.CommandContext(ctx, "taskset", args...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := c.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %.600s", args[2], errors.Join(ctx.Err(), err), said)
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime(), nil
}
