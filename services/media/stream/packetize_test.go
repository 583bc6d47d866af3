package stream

import (
	"bytes"
	"errors"
	"testing"

	"rotunda/services/media/control"
)

// assembleAll puts payloads of one frame together again.
func assembleAll(t testing.TB, codec string, payloads [][]byte) (*AccessUnit, bool) {
	t.Helper()
	d := newDepacketizer(codec)
	u := NewPool(0).Unit()
	for i, p := range payloads {
		if err := d.push(u, p); err != nil {
			t.Fatalf("payload %d of %d: %v", i, len(payloads), err)
		}
	}
	return u, d.finish(u, true)
}

func TestFramesComeBackFromTheirPackets(t *testing.T) {
	for _, codec := range []string{control.H264, control.VP8} {
		for _, size := range []int{100, 577, 1100, 1400} {
			c := testClip(t, codec, "red")
			p, err := NewPacketizer(codec, size, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, unit := range c.units {
				payloads, err := p.Split(unit)
				if err != nil {
					t.Fatal(err)
				}
				for _, payload := range payloads {
					if len(payload) > size {
						t.Fatalf("%s frame %d: got a payload of %d bytes, want at most %d", codec, i, len(payload), size)
					}
				}
				if u, ok := assembleAll(t, codec, payloads); !ok || !bytes.Equal(u.Data, unit) {
					t.Fatalf("%s frame %d: got %d bytes back, want the %d that were split", codec, i, len(u.Data), len(unit))
				}
			}
		}
	}
}

func TestFragmentsOfAFrameAreEqualButTheLast(t *testing.T) {
	nal := func(header byte, n int) []byte {
		return append(append([]byte{0, 0, 0, 1}, header), bytes.Repeat([]byte{0x55}, n-1)...)
	}
	for _, c := range []struct {
		name  string
		codec string
		frame []byte
		want  []int
	}{
		{"one slice that fits is one packet", control.H264, nal(0x41, 1000), []int{1000}},
		{"one that does not is as few fragments as possible", control.H264, nal(0x41, 2501), []int{836, 836, 834}},
		{"small units share a packet", control.H264, bytes.Join([][]byte{nal(0x67, 20), nal(0x68, 5), nal(0x65, 2000)}, nil), []int{30, 1002, 1001}},
		{"VP8", control.VP8, bytes.Repeat([]byte{1}, 2500), []int{838, 838, 836}},
	} {
		p, err := NewPacketizer(c.codec, 1100, 1)
		if err != nil {
			t.Fatal(err)
		}
		payloads, err := p.Split(c.frame)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var got []int
		for _, payload := range payloads {
			got = append(got, len(payload))
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: got payloads of %v bytes, want %v", c.name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: got payloads of %v bytes, want %v", c.name, got, c.want)
				break
			}
		}
	}
}

func TestModeZeroSendsSlicesAloneOrNotAtAll(t *testing.T) {
	p, err := NewPacketizer(control.H264, 200, 0)
	if err != nil {
		t.Fatal(err)
	}
	small := []byte{0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 4, 5}
	payloads, err := p.Split(small)
	if err != nil || len(payloads) != 3 || payloads[0][0] != 0x67 || payloads[1][0] != 0x68 || payloads[2][0] != 0x65 {
		t.Errorf("got %x, %v, want the three units as they are", payloads, err)
	}
	if _, err := p.Split(append([]byte{0, 0, 1, 0x65}, bytes.Repeat([]byte{9}, 200)...)); !errors.Is(err, ErrSliceTooLarge) {
		t.Errorf("got %v, want %v", err, ErrSliceTooLarge)
	}
}

func TestFilesOfManyUnitsAreSplitAtStartCodesOfBothLengths(t *testing.T) {
	got := splitAnnexB(nil, []byte{0, 0, 0, 1, 7, 1, 0, 0, 1, 8, 2, 0, 0, 0, 0, 0, 1, 5, 3, 0, 0, 3, 1, 0})
	want := [][]byte{{7, 1}, {8, 2}, {5, 3, 0, 0, 3, 1}}
	if len(got) != len(want) {
		t.Fatalf("got %x, want %x", got, want)
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("got %x, want %x", got, want)
		}
	}
}
