package audio

import "testing"

// long marks a test that works through minutes of sound in one goroutine. The race detector has nothing to find there and
// makes it thirty times slower.
func long(t *testing.T) {
	if raced {
		t.Skip("minutes of sound in one goroutine: make test runs this once more without the race detector")
	}
}
