// Package timesync is the verb "timesync" of PID 1's program: it keeps the clock with NTP servers, and tells other programs of this
// machine the time on port 123 of loopback.
//
// A few seconds after its start it sets the clock once, to whatever the servers say; from then on the clock is only made faster or
// slower, by the kernel's phase-locked loop, so that time never jumps under a meeting. Of several servers those count whose
// times overlap (RFC 5905, 11.2.1), and of each server the answer that was fastest on its way. An offset far from the last ones
// counts only when it has come three times in a row.
//
// The decisions are a state machine without clock and network ([Keeper]); [Main] carries them out. The process may set the clock and
// open sockets, and nothing else. It keeps nothing: the drift that the kernel has learnt outlives it, and after a restart of the
// machine it is learnt anew. The kernel writes the hardware clock every 11 minutes while the clock is kept.
//
// Source: RFC 5905, 8573; deployment guide chapter 3.1.5.
package timesync
