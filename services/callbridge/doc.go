// Package callbridge is the verb "callbridge": it makes the parts of the Call Bridge, says who meets whom, and runs them: the API on loopback and on
// a unix socket, SIP on its listening interfaces, meetings on the media engine, records, events, imports. The parts know nothing of each other but
// the types that they share.
//
// The API answers from the start: while the database does not, requests that need it get 503 databaseNotReady, and what
// does not need it (system/status, system/alarms) is there for whoever looks for the reason. SIP listens from the start too, and refuses calls until
// the objects are loaded. PID 1 hears READY when the sockets are open, and signs of life for as long as the API answers on its own socket.
//
// Invariants: no change of settings, of addresses or of certificates ends a call; at SIGTERM every far end is told (5 s at most) and what happened is
// recorded; a media engine that comes late, goes or comes back is package mixer's affair, and other calls go on.
//
// What is kept here is the machine's ID, in a file that is written once, whole, before it is used, and a mark that calls are up. All else is
// in the database, so a crash loses nothing that a client was told is done. Calls end with the process: the next one finds the mark and raises an alarm,
// answers 481 to what far ends send in dialogs that it does not know, and has the media engine forget the legs.
//
// On a developer's machine, without root, beside `services database`, `services media` and a media worker:
//
//	services callbridge -folder /tmp/cb -database /tmp/db.sock -socket /tmp/cb.sock -developer anna:secret \
//		-listen 127.0.0.1:18080 -media 127.0.0.1:2830 -prompts build/prompts -sip 15060 -sips 15061
//
// SIP is on loopback then, and on the interfaces of a file of settings ([config.CallBridgeService]) if -settings names one. Source: deployment guide
// chapters 1.6, 2.1, 4.3, 6, 7 and 16.1, reference sections 1 and 2.11.
package callbridge
