//go:build !race

package sip

// floods are how many sources send.
const floods = 100_000
