package turn

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// napTime is how long a busy lane lets packets gather, as network cards do before they interrupt: what wakes a thread costs
	// as much as what a packet does. A packet waits as long at most before it is looked at, which is nothing to a call.
	napTime = 300 * time.Microsecond
	// napLooks is how many naps without a packet end the naps. In between the lane is not in a wait queue, so that a sender
	// need not wake it.
	napLooks = 4
	// napRate is from how many packets a second on that pays: three a nap.
	napRate = 10_000
	// paceWindow is how long the rate is counted for.
	paceWindow = 5 * time.Millisecond
)

// pace tells whether a lane is busy, by the packets of the last few milliseconds.
type pace struct {
	since time.Time
	sent  int
	is    bool
}

// busy takes the number of packets so far.
func (p *pace) busy(sent int, now time.Time) bool {
	if d := now.Sub(p.since); d >= paceWindow {
		p.is = float64(sent-p.sent) >= napRate*d.Seconds()
		p.since, p.sent = now, sent
	}
	return p.is
}

// nap sleeps without telling Go's scheduler, which would wake its monitor thread each time to take the processor away. The
// runtime has two processors more than lanes (see [Server.Apply]), so nobody waits for this one.
func nap() {
	t := unix.NsecToTimespec(int64(napTime))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}
