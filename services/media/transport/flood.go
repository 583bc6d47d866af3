package transport

import "time"

// bucket is a token bucket that counts packets. It belongs to the loop's thread.
type bucket struct {
	rate   int64 // packets a second, also the depth: a second's worth may come at once
	tokens int64 // in nanoseconds of refill, so that no fraction is lost
	last   time.Time
}

func newBucket(rate int) bucket {
	return bucket{rate: int64(rate), tokens: int64(time.Second)}
}

// take reports whether one more packet may pass at the time given.
func (b *bucket) take(now time.Time) bool {
	if since := now.Sub(b.last); since > 0 {
		b.tokens = min(b.tokens+int64(min(since, time.Second)), int64(time.Second))
		b.last = now
	}
	price := int64(time.Second) / b.rate
	if b.tokens < price {
		return false
	}
	b.tokens -= price
	return true
}
