// Package store keeps the application objects: those of the tables in package schema, in etcd (services/database), with a
// copy of all of them in memory. Every Call Bridge of a cluster has such a copy and writes to the same database.
//
// # Reading
//
// Reads never ask the database. The copy is loaded at one revision, from a stream of everything (services/database/copying) or, where the
// database has none, by a range; a watch of everything brings each later change, and a change is
// applied whole: whoever reads sees each transaction of the database altogether or not at all. When the watch cannot go on (what it
// missed was compacted, or the database was put back to an earlier state), the copy is taken anew while reads go on with the one
// there is; subscribers are told of the differences.
//
// A record is a string of its set values beside a small header. Lists are chunks of neighbours that are never changed but replaced:
// what a filter found in a chunk stays true as long as the list has that chunk, so that the pages of a query, and the same query
// after a change, read only what is new. Indexes (values that are unique, values that are looked up, who names whom) are made
// from the objects in memory and are nowhere else.
//
// # Writing
//
// The writes of a Store run one after the other, each on what those before it left, while the copy stands still. Those that wait
// together become one transaction, so that sixteen writers share a flush of the disk. A transaction is a list of comparisons and a
// list of puts: every object that is changed, and every one that was read by its ID, must be as the copy has it. If one is not, because
// another Call Bridge was faster, the copy catches up and the writes run again.
//
// # Fences, and why there are no keys for indexes
//
// That no two objects share a URI could be a key a URI. But then each object has several keys that must agree with it, in every
// version, after every restore, and call IDs that are unique in the tenant group of the tenant of the space would have keys that a
// change of the tenant moves by the thousand. Instead an index has 64 fences, keys without content. Whoever claims a value puts the
// fence that the value hashes to, and compares that nobody has put it since the revision of the copy. Then no claim of any value
// behind that fence was committed that the copy does not show, and what the copy says is true at the commit. Two Call
// Bridges that claim different values behind one fence at the same time cost the slower one a second run, and nothing else.
// An index that is only in memory cannot disagree with its objects.
//
// A tenant that changes its group, or goes, puts all fences, since it moves all its objects into another scope. Types of which there
// may be so many have one fence. A reference compares that what it names exists; one that must not dangle (Required) also puts a
// fence that the deletion of what it names compares. Other references dangle after a deletion, read as not set, and are unset in the
// background some hundred at a time: in a cluster by the Call Bridge that comes first.
//
// # Invariants
//
// At every revision of the database: values are unique as the tables say; what is Required to be named is there; nothing is below
// what is not there; there are not more of a type than may be; nothing newly names what was not there. A test replays
// the history of random writers and looks.
//
// # Crashes and absences
//
// A transaction is whole or not there: a crash of the Call Bridge or of the database at any moment leaves nothing half done, and nothing
// to repair; dangling references are found by the next load. A write that returned nil is on the disk. While the
// database is away reads go on and writes give [ErrUnavailable] after five seconds; a write that began in a shorter absence waits it out. It is
// committed once: see writer.go. What was refused was refused on the latest state: before Write returns an error of f, it asks the
// database whether the copy was behind. Without the database that is not known, and it is ErrUnavailable too.
//
// A value is a JSON object of the names of fields and their texts. Members that the table does not have, and types below an object that
// no table has, belong to a newer version, and are kept when the object is written and deleted with it. A value that cannot be read
// is left as it is and reported.
//
// What objects there are: guide chapter 17 and appendix I, reference section 2. When values clash and references fail: section 1.
package store
