package databasetest

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func put(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	if _, err := c.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, c *clientv3.Client, key, want string) {
	t.Helper()
	r, err := c.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != want {
		t.Fatalf("%s: wanted %q, got %v", key, want, r.Kvs)
	}
}

func TestStartedDatabasesKnowNothingOfEachOther(t *testing.T) {
	a, b := Start(t), Start(t)
	put(t, a, "k", "a")
	put(t, b, "k", "b")
	wantValue(t, a, "k", "a")
	wantValue(t, b, "k", "b")
}

func TestDataSurvivesStopAndStart(t *testing.T) {
	d := New(t)
	put(t, d.Client(), "k", "v")
	d.Stop()
	d.Start()
	wantValue(t, d.Client(), "k", "v")
}

func TestDataSurvivesKill(t *testing.T) {
	p := NewProcess(t)
	put(t, p.Client(), "k", "v")
	p.Kill()
	p.Start()
	wantValue(t, p.Client(), "k", "v")
	p.Stop()
	p.Start()
	wantValue(t, p.Client(), "k", "v")
}
