// Package callbridge is the verb "callbridge": it opens the database's objects, puts the rules of the packages below onto the API, and
// serves it on loopback and on a unix socket. The parts know nothing of each other; who meets whom is said here.
//
// The API answers from the start: while the database does not, requests that need it get 503 databaseNotReady, and what
// does not need it (system/status, system/alarms) is there for whoever looks for the reason. PID 1 hears READY when the sockets are
// open, and signs of life for as long as the API answers on its own socket.
//
// Nothing is kept here but the machine's ID, in a file that is written once, whole, before it is used. All else is in the
// database, so a crash loses nothing that a client was told is done. Source: deployment guide chapters 1.6 and 2.1, reference section 1.
package callbridge
