package engine

import "time"

// alarms are those of callLegs in the API: packetLoss, excessiveJitter, highRoundTripTime. Each begins at its limit and ends
// well below, so that a figure on the edge does not ring.
type alarms [3]bool

var alarmLimits = [3]struct {
	name       string
	begin, end float64
}{
	// Loss of 5 % is what Opus' redundancy no longer hides; 60 ms of jitter and 500 ms of round trip are heard by everybody
	// (ITU-T G.114 calls 400 ms one way unacceptable).
	{"packetLoss", 0.05, 0.02},
	{"excessiveJitter", 0.060, 0.030},
	{"highRoundTripTime", 0.500, 0.400},
}

// update returns which alarms changed.
func (a *alarms) update(lost float64, jitter, trip time.Duration) (changed [3]bool) {
	for i, v := range [3]float64{lost, jitter.Seconds(), trip.Seconds()} {
		on := v >= alarmLimits[i].begin || a[i] && v > alarmLimits[i].end
		changed[i] = on != a[i]
		a[i] = on
	}
	return changed
}
