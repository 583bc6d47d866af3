//go:build race

package directory

// The race detector makes everything ten times slower; what it looks for shows with fewer users, too.
const scale = 2_000
