package supervise

import (
	"time"
)

// Spec is what a service is. It is data: the same table starts the services and shows them.
type Spec struct {
	Name    string
	Program string
	Args    []string
	Env     []string
	User    User
	// Groups are further ones that the user is in.
	Groups []uint32
	// Capabilities are ambient (capabilities(7)); every other one is out of reach.
	Capabilities []uintptr
	Confine      Confine
	// MemoryMax in bytes of the service's cgroup, and the processors that it may use; zero values set no limit.
	MemoryMax int64
	CPUs      []int
	// Audits are the tags of lines that it may write into the audit log; none for a service that has no business there.
	Audits []string
	// Pause before the first start after a steady life; 0 means [backoffFirst]. It doubles with each short life.
	Pause time.Duration
	// ReadyWithin bounds the time from start to READY=1.
	ReadyWithin time.Duration
	// Watchdog is the longest silence between two WATCHDOG=1 once the service is ready; 0 asks for none.
	Watchdog time.Duration
	// StopWithin bounds the time from SIGTERM to the kill of the whole cgroup; 0 means [defaultStop].
	StopWithin time.Duration
}

// User is whom a service runs as.
type User struct {
	Name string
	UID  uint32
	GID  uint32
}

// Confine is what a service may reach in the file system, enforced by Landlock. A path that does not exist grants
// nothing. An empty Confine (both lists nil) means no Landlock.
type Confine struct {
	ReadOnly  []string `json:"ro,omitempty"`
	ReadWrite []string `json:"rw,omitempty"`
}

// State is where a service is in its life.
type State string

// The states. Every change goes through [service.enter], which logs it.
const (
	// Starting: the process runs and has not said READY=1.
	Starting State = "starting"
	// Ready: it has.
	Ready State = "ready"
	// Backoff: it ended, and the next start waits.
	Backoff State = "backoff"
	// Stopping: it was told to end.
	Stopping State = "stopping"
	// Stopped: it ended because it was told to.
	Stopped State = "stopped"
)

const (
	defaultStop  = 5 * time.Second
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	// A service that was ready for as long as steady starts anew with the shortest backoff.
	steady = 30 * time.Second
	// More than loopStarts starts within loopWindow is a crash loop.
	loopStarts = 5
	loopWindow = time.Minute
	// maxTasks bounds the processes and threads of one service: a fork bomb is the service's own trouble.
	maxTasks = 1024
)

// backoff is how long to wait before start number n+1 of a row of n short lives: first·2ⁿ up to 5 s.
func backoff(first time.Duration, n int) time.Duration {
	d := first
	for range n {
		if d *= 2; d >= backoffMost {
			return backoffMost
		}
	}
	return d
}

// looping tells a crash loop: the newest of the start times makes more than loopStarts within loopWindow, or more than
// loopStarts lives in a row were short. The second finds what takes its time to fail, such as a service that is never
// ready and is ended for it a minute after each start.
func looping(starts []time.Time, short int) bool {
	n := len(starts)
	return short > loopStarts || n > loopStarts && starts[n-1].Sub(starts[n-1-loopStarts]) < loopWindow
}
