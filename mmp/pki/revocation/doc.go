// Package revocation asks by OCSP whether a certificate was revoked (RFC 6960): of a smart card, of a directory, of a peer in a call, or of
// a file (`pki verify … ocsp`).
//
// An answer counts if it is signed by the issuer of the certificate, or by somebody to whom the issuer has given a certificate for just
// that (section 4.2.2.2), and if it is of now. Anything else, no answer included, is [Unanswered], and whoever wants to be sure refuses
// then: a thief would only have to cut the line, or to send an old answer. Answers are not kept.
//
// Those who ask parse what comes from the network, so they are processes that may: `mmp identity`, the Call Bridge, and for a file
// [Process], a process of its own that lives as long as one question, may open nothing but /etc, and whose crash is an error message.
// A question takes [Patience] at most.
package revocation
