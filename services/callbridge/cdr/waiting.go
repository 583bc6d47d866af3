package cdr

// Waiting is how many records each receiver does not have yet, by its number, from 1.
func (r *Recorder) Waiting() map[int]int {
	r.mu.Lock()
	list := append([]*receiver(nil), r.receivers...)
	r.mu.Unlock()
	waiting := map[int]int{}
	for i, v := range list {
		if v == nil {
			continue
		}
		v.backlog.mu.Lock()
		waiting[i+1] = len(v.queue)
		v.backlog.mu.Unlock()
	}
	return waiting
}
