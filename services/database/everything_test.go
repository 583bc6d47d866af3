package database

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/database/copying"
)

// received is what a client has after a whole stream.
func received(t *testing.T, c *clientv3.Client) (map[string]string, int64) {
	t.Helper()
	s, err := copying.Open(t.Context(), c.ActiveConnection())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for {
		b, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all, s.Revision
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := copying.Each(b, func(e copying.Entry) bool {
			if delete(all, string(e.Key)); !e.Gone {
				all[string(e.Key)] = string(e.Value)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheStreamIsTheDatabaseAtItsRevision copies it again and again while it is written and compacted, and compares each copy with a range of
// its revision.
func TestTheStreamIsTheDatabaseAtItsRevision(t *testing.T) {
	n := open(t, testOptions(t))
	t.Cleanup(n.Close)
	c, err := Dial(n.opt.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// More than a batch.
	for i := range 40 {
		if _, err := c.Put(t.Context(), fmt.Sprint("long/", i), string(bytes.Repeat([]byte{'a' + byte(i%26)}, copying.BatchSize/20))); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			key := fmt.Sprint("k/", i%17)
			if i%5 == 0 {
				_, err = c.Delete(t.Context(), key)
			} else {
				_, err = c.Put(t.Context(), key, fmt.Sprint(i))
			}
			if err != nil {
				t.Errorf("write: %v", err)
				return
			}
		}
	})
	for range 20 {
		got, revision := received(t, c)
		want, err := c.Get(t.Context(), "", clientv3.WithPrefix(), clientv3.WithRev(revision))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want.Kvs) {
			t.Errorf("at revision %d: %d keys came, want %d", revision, len(got), len(want.Kvs))
		}
		for _, kv := range want.Kvs {
			if got[string(kv.Key)] != string(kv.Value) {
				t.Errorf("at revision %d: %s came as %.20q, want %.20q", revision, kv.Key, got[string(kv.Key)], kv.Value)
			}
		}
	}
	close(stop)
	wait.Wait()
	at, err := c.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	// The history goes, and what is there stays.
	if _, err := c.Compact(t.Context(), at.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	got, revision := received(t, c)
	want, err := c.Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if revision != at.Header.Revision || len(got) != len(want.Kvs) {
		t.Errorf("after a compaction: %d keys at revision %d, want %d at %d", len(got), revision, len(want.Kvs), at.Header.Revision)
	}
}
