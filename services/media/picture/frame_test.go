package picture

import (
	"testing"
	"time"
)

func TestAPoolGivesMemoryBackThatNobodyNeeds(t *testing.T) {
	p := NewPool()
	now := time.Now()
	p.now = func() time.Time { return now }
	get := func() *Frame {
		t.Helper()
		f, err := p.Get(640, 360)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	rush := []*Frame{get(), get(), get(), get()}
	one := p.Bytes() / 4
	for _, f := range rush {
		f.Release()
	}
	if p.Bytes() != 4*one {
		t.Errorf("right after a rush: want %d bytes, got %d", 4*one, p.Bytes())
	}
	// From now on there is one picture at a time.
	for range 120 {
		f := get()
		f.Y[0] = 1
		now = now.Add(100 * time.Millisecond)
		f.Release()
	}
	if p.Bytes() != one {
		t.Errorf("12 s after a rush: want the %d bytes of one frame, got %d", one, p.Bytes())
	}
	again := []*Frame{get(), get(), get(), get()}
	if p.Bytes() != 4*one {
		t.Errorf("in the next rush: want %d bytes, got %d", 4*one, p.Bytes())
	}
	for _, f := range again {
		for _, plane := range [][]byte{f.Y, f.U, f.V} {
			plane[0], plane[len(plane)-1] = 2, 2
		}
		f.Release()
	}
}
