package mixer

import (
	"context"
	"errors"
	"sync"
	"time"

	"rotunda/services/media/control"
)

const (
	// askFor is how long the engine has for one answer: a worker that was killed is back in a fifth of a second.
	askFor = 5 * time.Second
	// Puts that were lost with a worker or a connection are asked again after a pause that doubles from firstPause to lastPause.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// queue does what was asked for one object, one thing after the other, in a goroutine that lives only while there is something to do.
type queue struct {
	mu      sync.Mutex
	tasks   []task
	running bool
	closed  bool
	// ctx ends when the object is closed: what waits then is given up.
	ctx    context.Context
	cancel context.CancelFunc
}

// task is one thing. A put takes all puts with it that stand directly behind it, since the newest state is the only one that counts.
type task struct {
	put bool
	do  func(ctx context.Context)
}

func newQueue() *queue {
	q := &queue{}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

// add puts a task behind the others, unless the object is closed.
func (q *queue) add(t task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if n := len(q.tasks); t.put && n > 0 && q.tasks[n-1].put {
		return true // that one will find the change
	}
	q.tasks = append(q.tasks, t)
	q.start()
	return true
}

// close makes last the only task that is left; it runs when the one under way has been given up.
func (q *queue) close(last func(ctx context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	q.cancel()
	q.tasks = []task{{do: last}}
	q.start()
}

func (q *queue) start() {
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		if len(q.tasks) == 0 {
			q.tasks, q.running = nil, false
			q.mu.Unlock()
			return
		}
		t, ctx := q.tasks[0], q.ctx
		q.tasks = q.tasks[1:]
		if q.closed {
			ctx = context.Background()
		}
		q.mu.Unlock()
		t.do(ctx)
	}
}

// insist asks until there is an answer that another try would not change.
func insist(ctx context.Context, ask func(context.Context) error) error {
	return insistWhile(ctx, ask, passing)
}

// insistWhile asks again for as long as an error is of a kind.
func insistWhile(ctx context.Context, ask func(context.Context) error, again func(error) bool) error {
	pause := firstPause
	for {
		once, cancel := context.WithTimeout(ctx, askFor)
		err := ask(once)
		cancel()
		if err == nil || ctx.Err() != nil || !again(err) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

// passing are failures of the way to the engine, not of what was asked.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	switch control.CodeOf(err) {
	case control.CodeLost, control.CodeTimeout:
		return true
	}
	return false
}
