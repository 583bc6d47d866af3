// Package lookup finds where a SIP request is sent: the targets of a host name, in the order in which they should be tried, by NAPTR, SRV, A and
// AAAA records.
//
// It asks the name servers itself, not by the C library or package net, since those know no NAPTR records, tell no lifetimes, and do not say
// whether a name does not exist ([ErrNotFound]) or nobody answered ([ErrNoAnswer]): the first ends a call as unknown, the second is a fault of
// the network. A call is not sent to a domain's addresses because nobody answered for its SRV records; only when a server says that it cannot.
//
// Invariants: answers are kept no longer than their lifetime, and never more than Options.Entries of them; an expired answer is used for an
// hour when no server answers, so that a lost name server ends no calls. One question is asked once at a time, whoever waits for it. A target
// that failed goes to the end of the list for a while, and is never left out: when all have failed, all are tried. The weights of SRV records are
// drawn anew for each call. Every look-up ends within Options.Timeout.
//
// Nothing is kept on a disk. Source: RFC 3263, RFC 2782, RFC 3403, RFC 2308 (answers that there is nothing), RFC 6891 (EDNS), RFC 8767 (expired
// answers), RFC 5922 (the name that a certificate must have is the one that was looked up); deployment guide appendix A.
package lookup
