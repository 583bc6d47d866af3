package rtp

import "time"

// Seconds from the NTP epoch, 1900, to the Unix epoch.
const ntpEpoch = 2208988800

// NTP returns the time as RTCP carries it: seconds since 1900 and a fraction of 32 bits each.
func NTP(t time.Time) uint64 {
	seconds := uint64(t.Unix()+ntpEpoch) & 0xFFFFFFFF // the era wraps in 2036
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// FromNTP returns the time of an NTP stamp. Seconds below 2^31 are of the era after 2036 (RFC 2030 section 3).
func FromNTP(stamp uint64) time.Time {
	seconds := int64(stamp >> 32)
	if seconds < 1<<31 {
		seconds += 1 << 32
	}
	// Half a unit more, so that a time that went through NTP comes back to the nanosecond it was.
	nano := ((stamp&0xFFFFFFFF)*uint64(time.Second) + 1<<31) >> 32
	return time.Unix(seconds-ntpEpoch, int64(nano))
}

// compactNTP is the middle half of a stamp: the form in reports, in units of 1/65536 s.
func compactNTP(stamp uint64) uint32 { return uint32(stamp >> 16) }
