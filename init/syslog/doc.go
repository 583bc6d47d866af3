// Package syslog is the verb "syslog" of PID 1's program: it forwards the log, and the audit log, to servers.
//
// It reads the journal's own files and keeps for each server the place up to which that server has the log. The files are the
// spool: every line is written once, whatever the number of servers, PID 1 never waits for a server nor for this process, and a
// restart of either loses nothing that is on the disk. (A pipe from PID 1 would have to drop lines or block whenever this process
// is slow, away, or waiting for the disk.) The bound for each server is that of the journal, 96 MiB of each kind; a server that
// was away for longer is told by a line of its own that lines are missing.
//
// Syslog over TCP has no acknowledgements, so a place moves on when the far end's TCP has acknowledged it (SIOCOUTQ). When the far
// end says good-bye, everything acknowledged has been read there. When the connection breaks otherwise, what was acknowledged in
// the last seconds may have died in the far end's memory: it is sent once more. So nothing is lost, the order stays, and a
// crash of a server may repeat seconds of log.
//
// There is no feedback: what this process says of itself is a line for a change of state and no more than one a minute for each
// server; sending makes none.
//
// A crash or a power cut repeats what was sent after the places were last written, a second or so. The process may read the log and
// open sockets, and nothing else.
//
// Source: RFC 5424, RFC 6587 section 3.4.1 (octet counting), RFC 5425 (TLS); deployment guide chapter 3.1.4.
package syslog
