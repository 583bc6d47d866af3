package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// writer commits transactions once. When the database goes away under one, nobody knows whether it was committed; so each puts its number
// under the Store's own key and compares that nothing put another one there. It can be sent again then: the second time it fails, and
// finds its own number.
//
// A database that is away is noticed at once; one that is slow, with much of an import to write to a slow disk, is waited for.
type writer struct {
	key      string
	number   uint64
	revision int64 // of key
	// attempt is how long a database that is there may take for one transaction.
	attempt time.Duration
}

// send commits a transaction, and makes no further attempt after a time. ok is false when its comparisons failed; revision is then one at
// which they did.
func (w *writer) send(ctx context.Context, c *clientv3.Client, compare []clientv3.Cmp, then []clientv3.Op, until time.Time) (revision int64, ok bool, err error) {
	w.number++
	number := strconv.FormatUint(w.number, 10)
	compare = append(compare, clientv3.Compare(clientv3.ModRevision(w.key), "=", w.revision))
	then = append(then, clientv3.OpPut(w.key, number))
	for {
		attempt, cancel := context.WithTimeout(ctx, w.attempt)
		r, err := c.Txn(attempt).If(compare...).Then(then...).Else(clientv3.OpGet(w.key)).Commit()
		cancel()
		switch {
		case err == nil && r.Succeeded:
			w.revision = r.Header.Revision
			return w.revision, true, nil
		case err == nil:
			w.revision = 0
			if found := r.Responses[0].GetResponseRange().Kvs; len(found) > 0 {
				w.revision = found[0].ModRevision
				if string(found[0].Value) == number {
					return w.revision, true, nil
				}
			}
			return r.Header.Revision, false, nil
		case !isAway(err):
			return 0, false, refused(err)
		case ctx.Err() != nil || !time.Now().Before(until):
			return 0, false, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// isAway says whether an error means that the database did not answer, rather than that it refused.
func isAway(err error) bool {
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func codeOf(err error) codes.Code {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e.Code()
	}
	return status.Code(err)
}

// refused is what a refusal of the database means.
func refused(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("the change is too big for one transaction: %w", err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("commit: %w", err)
}

// forgetOthers removes the keys that Stores of this machine left behind when they were killed. A machine has one Store.
func (w *writer) forgetOthers(ctx context.Context, c *clientv3.Client) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	mine := w.key[:strings.LastIndexByte(w.key, '/')+1]
	_, _ = c.Delete(ctx, mine, clientv3.WithPrefix())
}

// forget removes the key.
func (w *writer) forget(c *clientv3.Client) {
	if w.revision == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = c.Delete(ctx, w.key)
}
