// Package pki knows keys, certificates and requests as administrators bring them: PEM, DER and PKCS#12, one object or a whole
// bundle, in any order. It finds what a file holds, sorts chains, says whether things belong together and which link of a chain is
// wrong, makes keys, requests and certificates, and takes pass phrases away.
//
// All functions work on bytes and values and keep nothing: no files, no clock, no terminal. What goes in comes from outside and is
// bounded: [MaxFile] bytes, [MaxObjects] objects, [MaxKey] bytes of a key, and [maxIterations] of a pass phrase's hash, so that
// a hostile file costs a few seconds at most. No error and no description holds any part of a private key or of a pass phrase.
//
// Formats: RFC 5280 (certificates), RFC 2986 (requests), RFC 5958 and 8018 (keys and their encryption), RFC 1421 section 4.6
// (the older encryption in PEM), RFC 7292 (PKCS#12), RFC 7468 (PEM). What is accepted for services follows the guide's chapter 4.4.
package pki

const (
	// MaxFile is the largest file that is looked at, in bytes; the largest public bundle of authorities has 250 kB.
	MaxFile = 1 << 20
	// MaxObjects of a file: that bundle has about 150.
	MaxObjects = 400
	// MaxKey in bytes: RSA of 16384 bits fits. Checking the numbers of a key takes longer the larger it is.
	MaxKey = 16 << 10
	// maxModulus of an RSA key in a certificate or request, in bits. Roots have 4096; crypto/tls takes 8192 (CVE-2023-29409).
	maxModulus = 16384
	// maxKeys of a file are looked into, for the same reason.
	maxKeys = 8
	// maxIterations of hashing a pass phrase. Programs use 2,048 to 600,000; a million take a third of a second on a server, and a PKCS#12
	// file has up to five such hashes.
	maxIterations = 1_000_000
	// maxPath is how many certificates a chain may have.
	maxPath = 10
)
