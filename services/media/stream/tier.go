package stream

import "time"

// Tier is one of the rates at which a composition is encoded.
type Tier uint8

// The tiers. Three keep the number of encodes small; a receiver loses at most half of its link's rate to them.
const (
	TierLow Tier = iota
	TierMiddle
	TierHigh
	Tiers
)

// TierRates are the bitrates of the tiers for a composition whose best quality takes top bits a second.
func TierRates(top int) [Tiers]int { return [Tiers]int{top / 5, top / 2, top} }

// TierState is what the choice of a leg's tier remembers.
type TierState struct {
	Tier Tier
	// Fits is since when the estimate has been enough for the next higher tier; zero while it is not.
	Fits time.Time
	// Fell is when the leg last came down, and Falls how often within a minute of having gone up.
	Fell  time.Time
	Falls int
}

// A leg goes down at once, since its packets are being lost; up when the estimate has been a fifth above the rate for five
// seconds, twice as long after each time that going up was a mistake.
const (
	tierMargin    = 1.2
	tierPatience  = 5 * time.Second
	tierRelapse   = time.Minute
	tierMostFalls = 4
)

// NextTier chooses the tier of a leg for its estimated bandwidth.
func NextTier(s TierState, rates [Tiers]int, estimate int, now time.Time) TierState {
	if s.Tier >= Tiers {
		s.Tier = TierHigh
	}
	if s.Tier > TierLow && estimate < rates[s.Tier] {
		for s.Tier > TierLow && estimate < rates[s.Tier] {
			s.Tier--
		}
		if !s.Fell.IsZero() && now.Sub(s.Fell) < tierRelapse {
			s.Falls = min(s.Falls+1, tierMostFalls)
		} else {
			s.Falls = 0
		}
		s.Fell, s.Fits = now, time.Time{}
		return s
	}
	if s.Tier == TierHigh || float64(estimate) < tierMargin*float64(rates[s.Tier+1]) {
		s.Fits = time.Time{}
		return s
	}
	if s.Fits.IsZero() {
		s.Fits = now
	}
	if now.Sub(s.Fits) >= tierPatience<<s.Falls {
		s.Tier++
		s.Fits = time.Time{}
	}
	return s
}

// Layer is one simulcast layer that a source sends at present.
type Layer struct {
	Width, Height int
	// Bitrate as measured; 0 says that nothing comes.
	Bitrate int
}

// ChooseLayer returns the layer for a tile: the smallest that has three quarters of the tile's lines, or else the largest,
// as far as the bandwidth goes; −1 if not even the smallest fits. Layers are ordered from small to large; current is what is
// sent now, −1 for none: a higher one needs a tenth of spare bandwidth, and a tile has to shrink well below a
// layer before it is left.
func ChooseLayer(layers []Layer, current, tileWidth, tileHeight, bandwidth int) int {
	best := -1
	for i, l := range layers {
		if l.Bitrate <= 0 {
			continue
		}
		need := l.Bitrate
		if i > current {
			need += need / 10
		}
		if need > bandwidth {
			break
		}
		if best >= 0 && enough(layers[best], tileWidth, tileHeight, best < current) {
			break
		}
		best = i
	}
	return best
}

// enough says whether a layer is sharp enough for a tile; to step down to it, it must be by a wider margin.
func enough(l Layer, width, height int, down bool) bool {
	if down {
		return l.Width*10 >= width*9 || l.Height*10 >= height*9
	}
	return l.Width*4 >= width*3 || l.Height*4 >= height*3
}

// Need is what one slot of a browser-side layout shows.
type Need struct {
	Layers        []Layer
	Current       int // layer sent now, −1 for none
	Width, Height int // of the tile
}

// ShareBandwidth chooses the layers of all slots, the most important first: each gets its smallest layer before any gets a
// larger one, and then the first ones get theirs. What does not fit at all gets −1. The result is appended to dst.
func ShareBandwidth(dst []int, needs []Need, bandwidth int) []int {
	at := len(dst)
	for _, n := range needs {
		choice := -1
		for i, l := range n.Layers {
			if l.Bitrate > 0 {
				if l.Bitrate <= bandwidth {
					choice = i
					bandwidth -= l.Bitrate
				}
				break
			}
		}
		dst = append(dst, choice)
	}
	for i, n := range needs {
		have := dst[at+i]
		if have < 0 {
			continue
		}
		given := n.Layers[have].Bitrate
		if better := ChooseLayer(n.Layers, n.Current, n.Width, n.Height, bandwidth+given); better > have {
			bandwidth -= n.Layers[better].Bitrate - given
			dst[at+i] = better
		}
	}
	return dst
}
