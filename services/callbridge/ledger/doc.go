// Package ledger is what a process leaves to the one that follows it when it is killed: how many call legs were up, and a short note of each dialog.
//
// It is a file that is mapped into memory. Noting something is a copy of some hundred bytes, and taking it back is one store: no system call and no
// disk, since a call that lasts a second must not cost more for its note than for its ringing. What was stored is in the page cache when the
// process ends, however it ends, and the next process reads it from there. Nothing is flushed: after a power cut there may be notes of the last half
// minute, or none.
//
// Layout: a head of one chunk (the magic, and the number of legs), then chunks of slots. A slot is a length, a checksum and the note; a length of 0 is a
// free slot. The length is stored last, and taken away first, so that a kill in between leaves a free slot and not a half one. Chunks are allocated
// when they are needed, and with their blocks, so that a full disk is an error here and not a signal at a store. Numbers are little-endian.
package ledger
