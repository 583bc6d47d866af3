package store

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/callbridge/schema"
)

// Options are what a Store needs.
type Options struct {
	// Client connects to the database. The Store does not close it.
	Client *clientv3.Client
	// Machine owns the objects whose type is Local.
	Machine ID
	// Log may be nil.
	Log *slog.Logger
	// Patience is how long a write waits for its turn, and then for a database that is away, whose last attempt may take three times as long; 0 is
	// 5 s.
	Patience time.Duration
}

// Store is the objects. It is safe for concurrent use.
type Store struct {
	model   *model
	client  *clientv3.Client
	machine ID
	log     *slog.Logger
	// patience is that of the options.
	patience time.Duration

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	// still is held while the copy may not change: by a batch while it runs, so that all of it sees one state, and by whoever changes
	// the copy. It is taken before mu.
	still sync.Mutex
	// mu guards what follows. It is never held while anybody else's function runs.
	mu       sync.RWMutex
	set      *set
	lists    []*sorted // by kind.at; nil for types without a list of their own
	revision int64
	// moved is closed when revision changes.
	moved chan struct{}

	memory memory
	queue  queue
	writer writer
	// lost makes follow take the copy anew.
	lost chan struct{}
	// origin is the database that the copy is of. It belongs to follow.
	origin origin

	subscribers subscribers
	cleaner     cleaner
}

// Open loads the whole copy, waiting for the database until ctx ends, and follows the database until Close.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Client == nil {
		return nil, errors.New("store: no client of the database")
	}
	s := &Store{
		model: tables(), client: o.Client, machine: o.Machine, log: o.Log, patience: cmp.Or(o.Patience, usualPatience),
		moved: make(chan struct{}), lost: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.queue.wake = make(chan struct{}, 1)
	s.writer.attempt = attemptTimes * s.patience
	s.writer.key = fencesKey + "writer/" + o.Machine.String() + "/" + uuid.NewString()
	s.cleaner.wake = make(chan struct{}, 1)
	s.ctx, s.cancel = context.WithCancel(context.Background())

	c, err := s.loadUntil(ctx)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.set, s.lists, s.revision, s.origin = c.set, c.lists, c.revision, c.origin
	s.cleaner.add(c.missing...)
	s.Subscribe(s.noticeGone)
	s.wait.Go(s.follow)
	s.wait.Go(s.commitAll)
	s.wait.Go(s.clean)
	return s, nil
}

// Close ends following and waits for it, and for subscribers under way. Writes that wait give ErrUnavailable. A subscriber does not call it.
func (s *Store) Close() {
	s.cancel()
	s.wait.Wait()
	s.subscribers.wait.Wait()
	s.writer.forget(s.client)
}

// Revision is that of the database that reads show.
func (s *Store) Revision() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}

// reach waits until reads show a revision.
func (s *Store) reach(ctx context.Context, revision int64) error {
	for {
		s.mu.RLock()
		at, moved := s.revision, s.moved
		s.mu.RUnlock()
		if at >= revision {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// move sets the revision, under mu.
func (s *Store) move(revision int64) {
	s.revision = revision
	close(s.moved)
	s.moved = make(chan struct{})
}

// key of a record.
func (s *Store) key(r *Record) string { return s.model.key(s.machine, r.object, r.parent, r.id) }

func (s *Store) keyOf(o *schema.Object, parent, id ID) string {
	return s.model.key(s.machine, o, parent, id)
}
