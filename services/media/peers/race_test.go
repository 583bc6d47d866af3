//go:build race

package peers

// raced: the tests run with the race detector.
const raced = true
