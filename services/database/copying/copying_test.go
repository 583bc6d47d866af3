package copying

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// keyValue is a row of the database file.
func keyValue(t testing.TB, kv *mvccpb.KeyValue) []byte {
	t.Helper()
	b, err := proto.Marshal(kv)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABatchGivesWhatWasPutIntoIt(t *testing.T) {
	var batch []byte
	batch = Append(batch, keyValue(t, &mvccpb.KeyValue{Key: []byte("a"), Value: []byte("one"), CreateRevision: 3, ModRevision: 300, Version: 2, Lease: 7}), false)
	batch = Append(batch, keyValue(t, &mvccpb.KeyValue{Key: []byte("b")}), true)
	batch = Append(batch, keyValue(t, &mvccpb.KeyValue{Key: []byte("c"), Value: bytes.Repeat([]byte("x"), 5000), ModRevision: 301}), false)
	var got []Entry
	if err := Each(batch, func(e Entry) bool { got = append(got, e); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("want 3 entries, got %d", len(got))
	}
	if e := got[0]; string(e.Key) != "a" || string(e.Value) != "one" || e.Revision != 300 || e.Gone {
		t.Errorf("the first: got %+v", e)
	}
	if e := got[1]; string(e.Key) != "b" || !e.Gone {
		t.Errorf("the deleted one: got %+v", e)
	}
	if e := got[2]; string(e.Key) != "c" || len(e.Value) != 5000 || e.Revision != 301 {
		t.Errorf("the long one: got %q, %d bytes, revision %d", e.Key, len(e.Value), e.Revision)
	}
	for cut := 1; cut < len(batch); cut++ {
		n := 0
		if err := Each(batch[:cut], func(Entry) bool { n++; return true }); err == nil && n == 3 {
			t.Fatalf("cut after %d of %d bytes: want an error or fewer entries", cut, len(batch))
		}
	}
	n := 0
	if err := Each(batch, func(Entry) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("who has enough after one gets %d (%v)", n, err)
	}
}

func FuzzEach(f *testing.F) {
	f.Add(Append(nil, keyValue(f, &mvccpb.KeyValue{Key: []byte("k"), Value: []byte("v"), ModRevision: 9}), false))
	f.Add(Append(nil, protowire.AppendTag(nil, fieldKey, protowire.BytesType), true))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, batch []byte) {
		size := 0
		_ = Each(batch, func(e Entry) bool {
			size += len(e.Key) + len(e.Value)
			return true
		})
		if size > len(batch) {
			t.Fatalf("entries of %d bytes came out of %d", size, len(batch))
		}
	})
}
