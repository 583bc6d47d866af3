package database

import (
	"context"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rotunda/services/database/copying"
)

// muchSent is from how many bytes on the memory that sending took is given back at once.
const muchSent = 64 << 20

// everything is the [copying.Source] of this node: the rows of the database file up to the revision that is the last one now.
//
// What is written meanwhile is not in it: it is in rows behind that revision, which are not looked at. What was overwritten before may be,
// for as long as history lasts.
func (n *Node) everything(ctx context.Context, revision func(int64) error, batch func([]byte) error) error {
	// A defragmentation would wait for the end with everything stopped.
	n.copying.RLock()
	defer n.copying.RUnlock()
	last := n.etcd.Server.KV().Rev()
	// etcd's own transactions for reading go with a buffer of what is not in the file yet, in another order and sometimes an old one: one key
	// at a time that does no harm. A snapshot is a transaction of the file alone, which has been written up to last before.
	snapshot := n.etcd.Server.Backend().Snapshot()
	defer snapshot.Close()
	tx, ok := snapshot.(interface {
		Bucket(name []byte) *bolt.Bucket
	})
	if !ok {
		return status.Error(codes.Unimplemented, "the snapshot is no transaction")
	}
	if n.etcd.Server.KV().FirstRev() > last {
		return status.Error(codes.Unavailable, "the database was compacted at this very moment")
	}
	if err := revision(last); err != nil {
		return err
	}
	rows := tx.Bucket(schema.Key.Name())
	if rows == nil {
		return nil
	}
	out, sent := make([]byte, 0, copying.BatchSize+copying.BatchSize/8), 0
	cursor := rows.Cursor()
	for key, value := cursor.First(); key != nil && mvcc.BytesToRev(key).Main <= last; key, value = cursor.Next() {
		if out = copying.Append(out, value, mvcc.IsTombstone(key)); len(out) < copying.BatchSize {
			continue
		}
		if err := batch(out); err != nil {
			return err
		}
		// The message that went out has a copy.
		sent += len(out)
		out = out[:0]
	}
	if len(out) > 0 {
		if err := batch(out); err != nil {
			return err
		}
	}
	if sent >= muchSent {
		// Both processes are at their largest now.
		debug.FreeOSMemory()
	}
	return ctx.Err()
}
