// Package resolver is the verb "resolver" of PID 1's program: the DNS of this machine, on port 53 of loopback and nowhere else.
//
// It asks the servers of the forward zone with the longest name that covers a question, one after the other, those that answered last
// time first; what custom records say is never asked outside. Answers are kept for as long as they say, and for a day longer where
// no server can be reached (RFC 8767): a meeting goes on while a name server is restarted.
//
// What is below a trust anchor is believed only when it is signed down from it (secure.go follows the keys, denial.go checks what is said not to
// be there).
//
// Invariants: answers of servers are taken only by the identifier, port and question that was sent; everything is bounded: questions under
// way, servers asked, time, cache, aliases. Nothing is written. It parses what comes from the network, so it runs as a user of its own that
// may do nothing but open sockets; when it ends, PID 1 starts it anew and the cache begins empty.
//
// Source: deployment guide chapter 3.1.3 and appendix A; RFC 1034, 1035, 2181, 2308, 4033 to 4035, 5155,
// 6672, 6840, 6891, 8767, 9276.
package resolver
