package timesync

import (
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is the clock of this machine.
type kernel struct{}

// Now has no reading of the monotonic clock: times are compared with those that servers say, across steps.
func (kernel) Now() time.Time { return time.Now().Round(0) }

// Running is part of [Clock].
func (kernel) Running() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // there is no machine without it
	return time.Duration(ts.Nano())
}

// Step adds to the clock at once.
func (kernel) Step(by time.Duration) error {
	now := time.Now().Add(by)
	ts := unix.NsecToTimespec(now.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// mostPhase is what the kernel takes at a time; what is more comes with the next answers.
const mostPhase = 500 * time.Millisecond

// Steer gives the kernel's phase-locked loop what is to be made up for. That the clock is kept also makes the kernel write the
// hardware clock every 11 minutes.
func (kernel) Steer(behind, within, every time.Duration) error {
	behind = min(max(behind, -mostPhase), mostPhase)
	t := unix.Timex{
		Modes:  unix.ADJ_OFFSET | unix.ADJ_STATUS | unix.ADJ_NANO | unix.ADJ_TIMECONST | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR,
		Offset: behind.Nanoseconds(), Status: unix.STA_PLL,
		Maxerror: within.Microseconds(), Esterror: min(within, behind.Abs()).Microseconds(),
		Constant: constant(every),
	}
	if _, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &t); err != nil {
		return fmt.Errorf("steer the clock: %w", err)
	}
	return nil
}

// constant is the loop's time constant as a power of two. For answers every 8 s a sixteenth of an offset is made up for in a second: a clock that
// goes wrong by 100 in a million is 1.6 ms late until the loop has learnt that, which takes some minutes, and an answer that is
// wrong by a millisecond changes its speed by two in a million.
func constant(every time.Duration) int64 {
	return int64(max(bits.Len64(uint64(every/time.Second))-1-1, 0))
}

// leave tells the kernel that nobody keeps the clock any more; the drift that it has learnt stays.
func (kernel) leave() {
	t := unix.Timex{Modes: unix.ADJ_STATUS, Status: unix.STA_PLL | unix.STA_UNSYNC}
	_, _ = unix.ClockAdjtime(unix.CLOCK_REALTIME, &t)
}
