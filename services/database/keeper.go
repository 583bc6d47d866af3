package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// lookEvery is how often the size of the database is looked at.
	lookEvery = time.Minute
	// worthLeast is the least that a defragmentation should give back: while it lasts, some seconds for 400 MB, nobody is answered.
	worthLeast = 64 << 20
	// defragPause is kept between two defragmentations of a database that is not full, and between two lines that say the same.
	defragPause = time.Hour
)

// sizes are what the keeper decides by, in bytes.
type sizes struct {
	// File is the database file, Used the part of it that holds something, Quota the size from which on etcd refuses to grow it.
	File, Used, Quota int64
	// Room is free on the disk.
	Room int64
	// Full says that etcd refuses writes, Changed that something has been deleted since a defragmentation found no room: pages count as
	// free only once there was another write, of which a full database takes none.
	Full, Changed bool
}

// decision is what to do about sizes.
type decision struct {
	// Forget drops the history of revisions, Defrag gives free pages back, Admit lets writes in again.
	Forget, Defrag, Admit bool
	// Warning and Error are for the log.
	Warning, Error string
}

// decide says what to do. Deleting and forgetting frees pages within the file only, and etcd goes by the file's size.
func decide(s sizes) (d decision) {
	waste := s.File - s.Used
	worth := waste >= worthLeast && waste >= s.File/2
	near := s.File >= s.Quota/5*4
	switch {
	case s.Full:
		d.Forget = true
		// Let in with less than a tenth to spare, writes would stop again at once.
		d.Admit = s.File < s.Quota/10*9
		worth = !d.Admit && s.Changed
	case near:
		worth = waste >= s.File/5
	}
	d.Defrag = worth && s.Room >= s.Used+reserve
	switch {
	case worth && !d.Defrag:
		d.Warning = fmt.Sprintf("no room to defragment the database: %d MiB are needed and %d MiB are free; delete files by SFTP", (s.Used+reserve)>>20, s.Room>>20)
	case near && !s.Full && !worth:
		d.Warning = fmt.Sprintf("the database takes %d of %d MiB: beyond that nothing can be stored; delete users or spaces that are not needed", s.File>>20, s.Quota>>20)
	case s.Room < reserve:
		d.Warning = fmt.Sprintf("the disk is nearly full: %d MiB are left; without room the database ends; delete files by SFTP", s.Room>>20)
	}
	if s.Full && !d.Admit && !d.Defrag {
		d.Error = fmt.Sprintf("the database is full (%d of %d MiB): nothing can be stored; deletions are accepted: delete users or spaces that are not needed, writes are let in again by themselves", s.File>>20, s.Quota>>20)
	}
	return d
}

// keeper looks after the size of a node.
type keeper struct {
	node  *Node
	lines *Lines
	// now and room are the clock and the disk.
	now  func() time.Time
	room func() (int64, error)

	defragged time.Time
	// revision is the one at which a full database was defragmented.
	revision int64
	said     map[string]time.Time
}

func newKeeper(n *Node, l *Lines) *keeper {
	return &keeper{node: n, lines: l, now: time.Now, said: map[string]time.Time{}, room: func() (int64, error) { return roomFor(n.opt.Folder) }}
}

// run looks until the context ends.
func (k *keeper) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			k.lines.warning("look after the database: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look does what is to be done now. A database that was full takes writes again within this call, if that can be had.
func (k *keeper) look(ctx context.Context) error {
	for {
		s, err := k.sizes(ctx)
		if err != nil {
			return err
		}
		d := decide(s)
		if d.Forget {
			if err := k.forget(ctx); err != nil {
				return err
			}
			if s, err = k.sizes(ctx); err != nil {
				return err
			}
			d = decide(s)
		}
		k.once(d.Warning, k.lines.warning)
		k.once(d.Error, k.lines.error)
		switch {
		case d.Admit:
			return k.admit(ctx, s)
		case d.Defrag && (s.Full || k.now().Sub(k.defragged) >= defragPause):
			if !k.node.copying.TryLock() {
				// A backup is being taken; there is another look in a minute.
				return nil
			}
			if s.Full {
				k.revision = k.node.etcd.Server.KV().Rev()
			}
			err := k.defrag(s)
			k.node.copying.Unlock()
			if err != nil {
				return err
			}
			if s.Full {
				// What it gave back decides whether writes are let in.
				continue
			}
		}
		return nil
	}
}

// once says a line, and the same one not again for a while.
func (k *keeper) once(text string, say func(string, ...any)) {
	if text == "" {
		return
	}
	// Lines that differ in their figures are the same.
	kind := text[:min(len(text), 24)]
	if at, was := k.said[kind]; was && k.now().Sub(at) < defragPause {
		return
	}
	k.said[kind] = k.now()
	say("%s", text)
}

func (k *keeper) sizes(ctx context.Context) (sizes, error) {
	be := k.node.etcd.Server.Backend()
	s := sizes{File: be.Size(), Used: be.SizeInUse(), Quota: k.node.opt.Quota}
	var err error
	if s.Room, err = k.room(); err != nil {
		return s, fmt.Errorf("look for room: %w", err)
	}
	alarms, err := k.node.local.AlarmList(ctx)
	if err != nil {
		return s, fmt.Errorf("read alarms: %w", err)
	}
	for _, a := range alarms.Alarms {
		s.Full = s.Full || a.Alarm == etcdserverpb.AlarmType_NOSPACE
		if a.Alarm == etcdserverpb.AlarmType_CORRUPT {
			k.once("etcd has found its data damaged and takes no writes: restore a backup (\"backup rollback\")", k.lines.error)
		}
	}
	s.Changed = k.revision != k.node.etcd.Server.KV().Rev()
	return s, nil
}

// forget drops the history: nobody needs it as much as the next write.
func (k *keeper) forget(ctx context.Context) error {
	_, err := k.node.local.Compact(ctx, k.node.etcd.Server.KV().Rev(), clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("forget history: %w", err)
	}
	return nil
}

func (k *keeper) defrag(s sizes) error {
	begin := time.Now()
	k.defragged = k.now()
	if err := k.node.etcd.Server.Defragment(); err != nil {
		return fmt.Errorf("defragment: %w", err)
	}
	after := k.node.etcd.Server.Backend().Size()
	k.lines.info("defragmented: %d KiB before, %d KiB after, in %v", s.File>>10, after>>10, time.Since(begin).Round(time.Millisecond))
	return nil
}

// admit ends etcd's alarm.
func (k *keeper) admit(ctx context.Context, s sizes) error {
	if _, err := k.node.local.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("let writes in: %w", err)
	}
	clear(k.said)
	k.lines.info("the database was full and takes writes again: %d of %d MiB", s.File>>20, s.Quota>>20)
	return nil
}
