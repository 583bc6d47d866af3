// Package wire is the load of the media benches: any number of far ends behind one UDP socket, on one thread.
//
// A far end costs the generator 1 to 2 µs a packet, several times less than it costs what is measured, so that one core
// feeds a busy one. That takes three things. All far ends share one socket, told apart by the port that the other side
// sends from. Packets are made beforehand and played in a loop ([Clip]); only headers are written. And the thread wakes once
// a millisecond, takes everything that has come by recvmmsg and sends everything that is due by sendmmsg: nothing is woken
// by a packet, neither here nor, which matters more, at the expense of the sender's CPU time as it would never be with the
// receiver on another machine. Packets are due in steps of that millisecond, spread evenly over the far ends.
//
// UDP GRO is off: a burst that was sent in segments is cut up by the sender's kernel thread, as for a network card that
// cannot do it.
package wire
