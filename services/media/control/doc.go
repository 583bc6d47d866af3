// Package control is how media workers are told what to do: the wanted state of legs and conferences, the events that
// come back, and the protocol that carries both.
//
// A [Service] is what can be asked. A worker implements it and a [Dispatcher] lets others reach it over connections; a
// [Client] is the same interface at the other end; the media manager is both. The protocol is lines of JSON
// (docs/reference/media-control.md, made from this package).
//
// Invariants: an object has one owner, and is named by the owner; a put says the whole wanted state, so that it may be
// repeated; nobody waits for a peer who does not read, and every line, queue and list has a bound. Ends of connections
// are normal: objects stay for a grace, clients and workers dial again, [Service.Sync] makes both sides agree, and
// [EventLost] is the one way in which media goes that nobody deleted. This package keeps nothing on a disk.
//
// Ports are those of the deployment guide's table 23.
package control

//go:generate go test -count=1 -run ReferencePage -update .
