// Package database is where all application objects are kept: the verb "database" of the program services, an embedded etcd.
//
// # What it owns
//
// A folder of the current set (app/database) and a unix socket that only the Call Bridge's group may open. There is no TCP port and no
// password: who may open the socket is who may do everything. What the keys mean is services/callbridge/store's alone.
//
//	data/            etcd's: a write-ahead log, and the database file (bbolt)
//	made             an empty file: there was a database here
//	snapshot.db.zst  what a rollback has left, until it is restored
//	new/             what is being made; it counts for nothing
//
// # Invariants
//
// What was acknowledged is on the disk: etcd flushes its log before it answers, for as many transactions at once as are waiting.
// A kill or a power cut loses nothing of it; the log's torn end, which nobody was promised, is cut off at the next start.
//
// data appears whole, by a rename, from a snapshot that was checked or from an empty one. So a cut at the first start or in a restore
// leaves nothing that counts. Where data was (made says so) and is missing, or cannot be read, there is an error that says so and
// what to do ([Damaged]); nothing is repaired, and never a new database made, without an administrator's word.
//
// # What else it does
//
// It forgets revisions after five minutes, gives free pages back when half of the file is free, warns at four fifths of the quota,
// and lets writes in again by itself when a full database has been emptied (keeper.go). It serves a consistent snapshot for
// backups on the same socket (snapshot.go). Whoever needs a copy of everything has a stream of it, beside etcd's own services, which is read from the
// file front to back (everything.go, package copying).
//
// # Memory
//
// 6 MB of its own when idle, besides the pages of the program that all services share; 190 MB with 600,000 objects of 500 bytes, most of it
// the index of the keys. etcd's defaults would keep 10,000 transactions of the log in memory for followers, which are 3 GB after
// an import: see snapshotCount and catchUp.
//
// # From one machine to several
//
// One node is a cluster with one member: guide chapter 5 asks for three to five. What then comes is configuration of the same node, in
// [Options.config]: peer URLs to listen on instead of none, with PeerTLSInfo (client certificates of the cluster's authority); a TCP
// client URL with ClientTLSInfo for Call Bridges without a database of their own; the member's URL changed from its
// placeholder by a membership command, since a member may change it at any time; catchUp raised to etcd's 5,000, or a
// follower that was away for a moment needs the whole database; a joining machine's data made by etcd, as a learner first,
// instead of by prepare. Each database is made as a cluster of its own, so that two that never joined refuse each other.
// Keys, transactions, watches and snapshots stay as they are.
package database
