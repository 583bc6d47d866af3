package database

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	backup "rotunda/init/database"
)

// BenchmarkDurableWrites is one transaction of an object and a fence, by 16 writers, each flushed before it is acknowledged.
func BenchmarkDurableWrites(b *testing.B) {
	o := testOptions(b)
	o.Hasty, o.Unflushed = false, false
	n := open(b, o)
	defer n.Close()
	c, err := Dial(o.Socket)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	value := strings.Repeat("x", 500)
	var next atomic.Int64
	b.SetParallelism(max(1, 16/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			i := next.Add(1)
			_, err := c.Txn(b.Context()).Then(clientv3.OpPut(fmt.Sprintf("/o/users/%d", i), value), clientv3.OpPut(fmt.Sprintf("/f/jid/%d", i%64), "")).Commit()
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkLarge is 600,000 objects of 500 bytes: how long a snapshot, its restore, a check and a start take, and what the process
// takes of memory then.
func BenchmarkLarge(b *testing.B) {
	for b.Loop() {
		o := testOptions(b)
		n := open(b, o)
		var ops []clientv3.Op
		begin := time.Now()
		for i := range 600_000 {
			v := fmt.Sprintf(`{"name":"User number %d","jid":"user%d@example.com","tenant":"","pad":"%s"}`, i, i, strings.Repeat(fmt.Sprintf("%08d,", i), 42))
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/o/users/%08d-5a5a-4b4b-8c8c-123456789abc", i), v))
			if len(ops) == 1000 {
				if _, err := n.Client().Txn(b.Context()).Then(ops...).Commit(); err != nil {
					b.Fatal(err)
				}
				ops = nil
			}
		}
		b.ReportMetric(time.Since(begin).Seconds(), "load-s")
		b.ReportMetric(float64(n.etcd.Server.Backend().Size())/(1<<20), "file-MiB")
		begin = time.Now()
		var packed bytes.Buffer
		if _, err := n.snapshot(&packed); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "snapshot-s")
		b.ReportMetric(float64(packed.Len())/(1<<20), "packed-MiB")
		n.Close()
		begin = time.Now()
		if err := check(filepath.Join(o.Folder, dataFolder)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "check-s")
		begin = time.Now()
		n = open(b, o)
		b.ReportMetric(time.Since(begin).Seconds(), "start-s")
		n.Close()
		r := testOptions(b)
		if err := os.MkdirAll(r.Folder, 0o700); err != nil {
			b.Fatal(err)
		}
		f, err := os.Create(filepath.Join(r.Folder, backup.File))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(f, &packed); err != nil {
			b.Fatal(err)
		}
		f.Close()
		begin = time.Now()
		n = open(b, r)
		b.ReportMetric(time.Since(begin).Seconds(), "restore-s")
		n.Close()
	}
}
