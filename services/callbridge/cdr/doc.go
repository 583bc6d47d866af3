// Package cdr makes the call detail records: it hears every change of meetings, writes one record for each that administrators account by,
// and delivers them to up to four receivers over HTTP.
//
// What records there are, with their fields and where each comes from, is the table in table.go; the XML and docs/reference/cdr.md
// are made from it. An envelope is one POST:
//
//	<?xml version="1.0"?><records session="…"><record type="callStart" time="…" recordIndex="1" correlatorIndex="0">
//	<call id="…"><name>…</name>…</call></record>
//	</records>
//
// session is drawn when the process starts. correlatorIndex counts all records from 0, the same for every receiver; recordIndex counts
// those that a receiver was given from 1, without a hole: records that were lost to it are counted in numPreceedingRecordsMissing (spelled so)
// of the next one.
//
// # Invariants
//
// A callLegEnd has its callLegStart and a callEnd its callStart: what began before this package listened has neither. Records are in the
// order of the changes. Whoever tells of a change does not wait: a record is written into memory and the network has goroutines of its
// own, one a receiver, which know nothing of each other. A receiver is sent a record until it says 2xx, and the next one only then. It may see
// one twice, when its answer was lost: the same session and correlatorIndex, and the same recordIndex.
//
// The backlog of one receiver is bounded by [maxBacklog] records and [maxBytes] bytes. Beyond, the oldest that are not under way are dropped:
// a receiver that comes back wants to know what goes on now, and is told how many are missing. Records are encoded once for
// all receivers.
//
// Nothing is on a disk (deployment guide 3.1.6: there is no long-term store), so records that wait are lost in a crash, and the new session
// tells receivers so. An orderly end waits up to [lastWords] for what is left.
//
// Certificates of receivers are not verified, unless the wiring gives a configuration that does: there is no command to trust
// a receiver's certificate with. Name and password in a receiver's URI are sent as Basic authentication and never logged.
//
// Source: deployment guide 3.1.6, 18.1 and appendix I.5; reference sections 2.11 and 3.
package cdr

//go:generate go test -count=1 -run ReferencePage -update .
