package store

import (
	"context"
	"slices"
	"sync"

	"rotunda/services/callbridge/schema"
)

// subscribers are those who are told of changes.
type subscribers struct {
	mu   sync.Mutex
	all  []*subscriber
	wait sync.WaitGroup
}

// subscriber has a queue and a goroutine of its own: one that is slow, or that writes, holds nobody up.
type subscriber struct {
	objects []*schema.Object
	call    func(before, after *Record)
	ctx     context.Context
	cancel  context.CancelFunc

	mu   sync.Mutex
	left []change
	wake chan struct{}
}

// Subscribe calls f after every change of objects of these types, of all without any: in order, one at a time, after reads show it, on
// a goroutine of its own, where f may write. before is nil for a new object and after for a deleted one. When the copy had to be taken
// anew, f is told of what differs. After cancel no call begins.
func (s *Store) Subscribe(f func(before, after *Record), objects ...*schema.Object) (cancel func()) {
	u := &subscriber{objects: objects, call: f, wake: make(chan struct{}, 1)}
	u.ctx, u.cancel = context.WithCancel(s.ctx)
	// Between two changes: the first one that f is told of is the first one that reads do not show yet.
	s.still.Lock()
	s.subscribers.mu.Lock()
	s.subscribers.all = append(s.subscribers.all, u)
	s.subscribers.mu.Unlock()
	s.still.Unlock()
	s.subscribers.wait.Go(u.run)
	return func() {
		u.cancel()
		s.subscribers.mu.Lock()
		defer s.subscribers.mu.Unlock()
		s.subscribers.all = slices.DeleteFunc(s.subscribers.all, func(o *subscriber) bool { return o == u })
	}
}

// tell queues changes.
func (s *subscribers) tell(steps []change) {
	if len(steps) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.all {
		u.mu.Lock()
		for _, c := range steps {
			if len(u.objects) == 0 || slices.Contains(u.objects, c.kind.object) {
				u.left = append(u.left, c)
			}
		}
		u.mu.Unlock()
		select {
		case u.wake <- struct{}{}:
		default:
		}
	}
}

func (u *subscriber) run() {
	for {
		select {
		case <-u.wake:
		case <-u.ctx.Done():
			return
		}
		u.mu.Lock()
		left := u.left
		u.left = nil
		u.mu.Unlock()
		for _, c := range left {
			if u.ctx.Err() != nil {
				return
			}
			u.call(c.before, c.after)
		}
	}
}
