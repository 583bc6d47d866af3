package stream

import (
	"slices"
	"testing"
	"time"
)

func TestALegFallsAtOnceAndRisesWithPatience(t *testing.T) {
	rates := TierRates(2_000_000) // 400, 1000, 2000 kbit/s
	type step struct {
		after    time.Duration
		estimate int
		want     Tier
	}
	for _, c := range []struct {
		name  string
		from  Tier
		steps []step
	}{
		{"enough for what it has", TierMiddle, []step{{time.Second, 1_100_000, TierMiddle}, {time.Minute, 1_100_000, TierMiddle}}},
		{"down at once, over two tiers", TierHigh, []step{{time.Second, 500_000, TierLow}}},
		{"the lowest stays", TierLow, []step{{time.Second, 10_000, TierLow}}},
		{"up after five seconds, one at a time", TierLow, []step{{time.Second, 5_000_000, TierLow}, {4 * time.Second, 5_000_000, TierLow}, {time.Second, 5_000_000, TierMiddle}, {time.Second, 5_000_000, TierMiddle}, {5 * time.Second, 5_000_000, TierHigh}}},
		{"a dip begins the wait anew", TierLow, []step{{time.Second, 2_000_000, TierLow}, {4 * time.Second, 1_100_000, TierLow}, {time.Second, 2_000_000, TierLow}, {4 * time.Second, 2_000_000, TierLow}, {time.Second, 2_000_000, TierMiddle}}},
		{"just enough is not enough to rise", TierMiddle, []step{{time.Second, 2_100_000, TierMiddle}, {time.Minute, 2_100_000, TierMiddle}}},
		{"who falls back waits twice as long", TierHigh, []step{{time.Second, 1_500_000, TierMiddle}, {time.Second, 3_000_000, TierMiddle}, {5 * time.Second, 3_000_000, TierHigh}, {time.Second, 1_500_000, TierMiddle},
			{time.Second, 3_000_000, TierMiddle}, {9 * time.Second, 3_000_000, TierMiddle}, {time.Second, 3_000_000, TierHigh}}},
	} {
		s, now := TierState{Tier: c.from}, start
		for i, step := range c.steps {
			now = now.Add(step.after)
			if s = NextTier(s, rates, step.estimate, now); s.Tier != step.want {
				t.Errorf("%s: step %d: got tier %d, want %d", c.name, i, s.Tier, step.want)
				break
			}
		}
	}
}

var three = []Layer{{320, 180, 150_000}, {640, 360, 500_000}, {1280, 720, 1_500_000}}

func TestALayerFitsItsTileAndTheBandwidth(t *testing.T) {
	for _, c := range []struct {
		name          string
		layers        []Layer
		current       int
		width, height int
		bandwidth     int
		want          int
	}{
		{"a small tile", three, -1, 300, 170, 10_000_000, 0},
		{"a tile between two layers takes the larger", three, -1, 480, 270, 10_000_000, 1},
		{"a little upscaling is not seen", three, -1, 420, 236, 10_000_000, 0},
		{"a large tile", three, -1, 1920, 1080, 10_000_000, 2},
		{"too little for the large layer", three, -1, 1920, 1080, 1_400_000, 1},
		{"too little for any", three, -1, 1920, 1080, 100_000, -1},
		{"just enough is not enough to rise", three, 1, 1920, 1080, 1_550_000, 1},
		{"but enough to stay", three, 2, 1920, 1080, 1_550_000, 2},
		{"a tile that shrinks a little keeps its layer", three, 1, 400, 225, 10_000_000, 1},
		{"one that shrinks more does not", three, 1, 350, 190, 10_000_000, 0},
		{"a layer that is not sent", []Layer{{320, 180, 150_000}, {640, 360, 500_000}, {1280, 720, 0}}, -1, 1920, 1080, 10_000_000, 1},
		{"only the large one is sent", []Layer{{320, 180, 0}, {640, 360, 0}, {1280, 720, 1_500_000}}, -1, 100, 100, 10_000_000, 2},
		{"nothing is sent", []Layer{{}, {}, {}}, 1, 100, 100, 10_000_000, -1},
	} {
		if got := ChooseLayer(c.layers, c.current, c.width, c.height, c.bandwidth); got != c.want {
			t.Errorf("%s: got layer %d, want %d", c.name, got, c.want)
		}
	}
}

func TestEverybodyIsSeenBeforeAnybodyIsSeenSharply(t *testing.T) {
	big := Need{three, -1, 1280, 720}
	for _, c := range []struct {
		bandwidth int
		want      []int
	}{
		{10_000_000, []int{2, 2, 2}},
		{2_500_000, []int{2, 1, 0}},
		{1_000_000, []int{1, 0, 0}},
		{450_000, []int{0, 0, 0}},
		{310_000, []int{0, 0, -1}},
		{0, []int{-1, -1, -1}},
	} {
		got := ShareBandwidth(nil, []Need{big, big, big}, c.bandwidth)
		if !slices.Equal(got, c.want) {
			t.Errorf("%d bit/s: got layers %v, want %v", c.bandwidth, got, c.want)
		}
		sum := 0
		for _, l := range got {
			if l >= 0 {
				sum += three[l].Bitrate
			}
		}
		if sum > c.bandwidth {
			t.Errorf("%d bit/s: got layers of %d", c.bandwidth, sum)
		}
	}
}

func TestASourceKeepsItsSlot(t *testing.T) {
	for _, c := range []struct {
		name          string
		slots, wanted []uint32
		want          []uint32
	}{
		{"the first ones", []uint32{0, 0, 0}, []uint32{5, 6}, []uint32{5, 6, 0}},
		{"another order changes nothing", []uint32{5, 6, 7}, []uint32{7, 5, 6}, []uint32{5, 6, 7}},
		{"a new one takes the place of who left", []uint32{5, 6, 7}, []uint32{8, 5, 7}, []uint32{5, 8, 7}},
		{"more than there are slots", []uint32{5, 6}, []uint32{9, 6, 5}, []uint32{9, 6}},
		{"twice the same", []uint32{5, 5, 0}, []uint32{5, 5, 6}, []uint32{5, 6, 0}},
		{"nobody", []uint32{5, 6}, nil, []uint32{0, 0}},
		{"no slots", nil, []uint32{1}, nil},
	} {
		got := slices.Clone(c.slots)
		AssignSlots(got, c.wanted)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
