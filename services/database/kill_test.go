package database_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/database/databasetest"
)

// TestNothingAcknowledgedIsLostByKills kills the database under writes, again and again. Each writer counts up in a key of its own, and
// writes a second key in the same transaction; whatever was acknowledged is there after the next start, and both keys agree.
func TestNothingAcknowledgedIsLostByKills(t *testing.T) {
	kills := 100
	if testing.Short() || raceEnabled {
		// The race detector makes a start three times as long.
		kills = 25
	}
	const writers = 8
	p := databasetest.NewProcess(t)
	client := p.Client()
	acknowledged := make([]int, writers)
	total := 0
	for round := range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		// Some dozen writes of each are under way or done when the kill comes; it comes at another moment each time.
		enough := make(chan struct{}, writers*1000)
		for w := range writers {
			group.Go(func() {
				for n := acknowledged[w] + 1; ; n++ {
					value := strconv.Itoa(n)
					_, err := client.Txn(ctx).Then(clientv3.OpPut(key("a", w), value), clientv3.OpPut(key("b", w), value)).Commit()
					if err != nil {
						return
					}
					acknowledged[w] = n
					enough <- struct{}{}
				}
			})
		}
		for range 20 + round%50 {
			<-enough
		}
		p.Kill()
		cancel()
		group.Wait()
		p.Start()
		for w := range writers {
			r, err := client.Txn(t.Context()).Then(clientv3.OpGet(key("a", w)), clientv3.OpGet(key("b", w))).Commit()
			if err != nil {
				t.Fatal(err)
			}
			a, b := value(t, r, 0), value(t, r, 1)
			if a != b {
				t.Fatalf("kill %d, writer %d: wanted both keys of a transaction, got %d and %d", round, w, a, b)
			}
			// The last one may have been stored without that anybody heard of it.
			if a < acknowledged[w] || a > acknowledged[w]+1 {
				t.Fatalf("kill %d, writer %d: %d was acknowledged, and %d is there", round, w, acknowledged[w], a)
			}
			total += a - acknowledged[w]
			acknowledged[w] = a
		}
	}
	sum := 0
	for _, n := range acknowledged {
		sum += n
	}
	t.Logf("%d kills, %d transactions, %d of them stored without an acknowledgement", kills, sum, total)
	if sum < kills*20 {
		t.Errorf("wanted writes at each kill, got %d in all", sum)
	}
}

func key(family string, writer int) string { return fmt.Sprintf("/%s/%d", family, writer) }

// value is the number in the answer to one get, 0 for none.
func value(t *testing.T, r *clientv3.TxnResponse, at int) int {
	t.Helper()
	kvs := r.Responses[at].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return 0
	}
	n, err := strconv.Atoi(string(kvs[0].Value))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
