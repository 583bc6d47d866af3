package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Write runs f on a consistent view and commits what it put and deleted in one transaction. Writes of a Store run one after the
// other, and those that wait at the same time are committed together. f runs again when another Call Bridge was faster, so it has no
// effects but those on tx, and it neither waits for anything nor calls Write or Subscribe. When Write returns nil, the data is durable and reads of
// this Store show it. An error of f is returned as it is, once it is sure that f saw the latest state. What ctx ends is the
// wait for a turn; a transaction under way is waited for, a few seconds at most.
func (s *Store) Write(ctx context.Context, f func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{turn: make(chan *Tx), ran: make(chan outcome, 1), done: make(chan error, 1)}
	s.queue.push(r)
	impatient := time.NewTimer(s.patience)
	defer impatient.Stop()
	ended, closed := ctx.Done(), s.ctx.Done()
	for {
		select {
		case tx := <-r.turn:
			r.run(tx, f)
		case err := <-r.done:
			return err
		case <-ended:
			if r.withdraw() {
				return ctx.Err()
			}
			ended = nil
		case <-impatient.C:
			if r.withdraw() {
				return ErrUnavailable
			}
			impatient.Reset(s.patience)
		case <-closed:
			if r.withdraw() {
				return ErrUnavailable
			}
			closed = nil
		}
	}
}

const (
	// usualPatience is that of [Options].
	usualPatience = 5 * time.Second
	// attemptTimes patience is how long a database that is there may take for one transaction.
	attemptTimes = 3
	// settleTimeout is how long it may take to say where it is.
	settleTimeout = 3 * time.Second
	// arrival is how long what was committed may be on its way back into the copy. The caller is better told late than told wrong.
	arrival = 20 * time.Second
	// mostAttempts is how often a write runs while other Call Bridges are faster.
	mostAttempts = 60
	// A batch takes no further write from here on. One write alone may be as big as the database takes.
	fullObjects = 1000
	fullBytes   = 1 << 20
	// mostOps is what the database takes in one transaction (package database: MaxTxnOps), less a few of the Store's own.
	mostOps = 8192 - 8
	// bigObjects is what a write may bring a batch to; beyond, it is committed by itself.
	bigObjects = 2500
)

// request is a Write that waits.
type request struct {
	state atomic.Int32
	// turn hands the transaction to the caller's own goroutine, which runs f and reports on ran: a panic is the caller's.
	turn chan *Tx
	ran  chan outcome
	done chan error
	// attempts are how often f ran; it belongs to the committer.
	attempts int
}

const (
	waiting = iota
	taken
	withdrawn
)

func (r *request) withdraw() bool { return r.state.CompareAndSwap(waiting, withdrawn) }

// take says whether the caller still waits.
func (r *request) take() bool {
	return r.state.CompareAndSwap(waiting, taken) || r.state.Load() == taken
}

// outcome is what f came to.
type outcome struct {
	err error
	// gone says that f did not return: it panicked, or ended its goroutine.
	gone bool
}

func (r *request) run(tx *Tx, f func(tx *Tx) error) {
	o := outcome{gone: true}
	defer func() { r.ran <- o }()
	err := f(tx)
	o = outcome{err: err}
}

// queue is the requests in order.
type queue struct {
	mu    sync.Mutex
	items []*request
	wake  chan struct{}
}

func (q *queue) push(r *request) {
	q.mu.Lock()
	q.items = append(q.items, r)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) takeAll() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}

// commitAll commits what waits until the Store is closed.
func (s *Store) commitAll() {
	s.writer.forgetOthers(s.ctx, s.client)
	for {
		select {
		case <-s.queue.wake:
		case <-s.ctx.Done():
			return
		}
		left := s.queue.takeAll()
		for len(left) > 0 && s.ctx.Err() == nil {
			left = append(s.commit(left), s.queue.takeAll()...)
		}
		for _, r := range left {
			r.done <- ErrUnavailable
		}
	}
}

// result is a request that ran.
type result struct {
	request *request
	err     error
}

// commit brings the first of some requests into the database, as many as go into one transaction, and returns those that are to
// run, or to run again.
func (s *Store) commit(requests []*request) (left []*request) {
	until := time.Now().Add(s.patience)
	most := len(requests)
	for attempt := 0; ; attempt++ {
		b, results, left := s.runAll(requests, most)
		compare, then := b.transaction()
		if len(then) == 0 {
			return append(s.settle(results, b.revision), left...)
		}
		if len(compare) > mostOps || len(then) > mostOps {
			// It ran alone: whatever is smaller than this is never joined to so much.
			fail(results, fmt.Errorf("the change is too big for one transaction: %d operations, and %d is the most", max(len(compare), len(then)), mostOps))
			return left
		}
		revision, ok, err := s.writer.send(s.ctx, s.client, compare, then, until)
		if err == nil {
			err = s.arrive(revision)
		}
		switch {
		case err != nil:
			fail(results, err)
			return left
		case ok:
			if revision != b.revision+1 {
				// Others wrote in between. What f refused may be right by now.
				return append(s.report(results, true), left...)
			}
			s.report(results, false)
			return left
		}
		// Somebody else was faster. A short batch meets others more seldom than a long one.
		requests = requests[:0:0]
		for _, r := range results {
			if r.request.attempts < mostAttempts && s.ctx.Err() == nil {
				requests = append(requests, r.request)
			} else {
				r.request.done <- fmt.Errorf("%w: others write all the time", ErrUnavailable)
			}
		}
		requests = append(requests, left...)
		if attempt > 1 {
			most = max(1, most/2)
		}
		pause(s.ctx, time.Duration(rand.Int64N(int64(time.Millisecond)<<min(attempt, 5))))
	}
}

// arrive waits until reads show what was committed.
func (s *Store) arrive(revision int64) error {
	ctx, cancel := context.WithTimeout(s.ctx, arrival)
	defer cancel()
	if s.reach(ctx, revision) != nil {
		return fmt.Errorf("%w: its changes do not arrive", ErrUnavailable)
	}
	return nil
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// runAll runs requests on one state, at most some of them and as many as fit.
func (s *Store) runAll(requests []*request, most int) (b *batch, results []result, left []*request) {
	s.still.Lock()
	defer s.still.Unlock()
	b = s.newBatch()
	for i, r := range requests {
		if len(results) >= most || len(b.touched) >= fullObjects || b.bytes >= fullBytes {
			return b, results, requests[i:]
		}
		if !r.take() {
			continue
		}
		r.attempts++
		tx := &Tx{batch: b, guards: newGuards()}
		r.turn <- tx
		o := <-r.ran
		if o.gone || o.err != nil {
			tx.rollback(0)
		}
		if o.gone {
			continue
		}
		if o.err == nil && len(results) > 0 && (len(b.touched) > bigObjects || b.bytes > 2*fullBytes) {
			tx.rollback(0)
			return b, results, requests[i:]
		}
		if o.err == nil {
			b.guards.add(tx.guards)
		}
		results = append(results, result{r, o.err})
	}
	return b, results, nil
}

// report tells callers how it went; those that failed on what may have been an old state are returned when again is set.
func (s *Store) report(results []result, again bool) (left []*request) {
	for _, r := range results {
		if r.err != nil && again && r.request.attempts < mostAttempts {
			left = append(left, r.request)
			continue
		}
		r.request.done <- r.err
	}
	return left
}

// fail ends requests that could not be committed.
func fail(results []result, err error) {
	for _, r := range results {
		r.request.done <- err
	}
}

// settle ends requests that change nothing. Those that failed ran on a copy that may be behind: they run again when it was.
func (s *Store) settle(results []result, revision int64) (left []*request) {
	failed := false
	for _, r := range results {
		failed = failed || r.err != nil
	}
	if !failed {
		return s.report(results, false)
	}
	ctx, cancel := context.WithTimeout(s.ctx, settleTimeout)
	defer cancel()
	now, err := s.client.Get(ctx, fencesKey, clientv3.WithCountOnly())
	if err == nil {
		err = s.reach(ctx, now.Header.Revision)
	}
	if err != nil {
		for i := range results {
			if results[i].err != nil {
				results[i].err = fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		}
		return s.report(results, false)
	}
	return s.report(results, now.Header.Revision > revision)
}
