package cdr

// Standing is how a receiver is getting on. Sent and Lost grow for as long as the receiver is configured: Sent have been acknowledged,
// Lost were discarded because too many waited.
type Standing struct {
	Waiting    int
	Sent, Lost uint64
}

// Standings are those of all receivers, by number, from 1.
func (r *Recorder) Standings() map[int]Standing {
	r.mu.Lock()
	list := append([]*receiver(nil), r.receivers...)
	r.mu.Unlock()
	standings := map[int]Standing{}
	for i, v := range list {
		if v == nil {
			continue
		}
		v.backlog.mu.Lock()
		standings[i+1] = Standing{Waiting: len(v.queue), Sent: v.sent, Lost: v.lost}
		v.backlog.mu.Unlock()
	}
	return standings
}
