//go:build race

package sip

// floods are how many sources send: the race detector makes each of them slow.
const floods = 20_000
