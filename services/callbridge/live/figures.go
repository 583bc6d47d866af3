package live

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"rotunda/services/media/control"
)

const (
	// fresh is how old figures may be: the engine works rates out once a second.
	fresh = time.Second
	// askFor is how long the engine may take. A client that polls rather gets an answer without figures than none.
	askFor = 2 * time.Second
	// maxKept bounds the figures that are kept: more legs than a Call Bridge has.
	maxKept = 8192
)

// figures are those of legs, kept for as long as they are fresh. One request is under way at a time; who comes meanwhile waits for it, and
// asks for what it did not bring.
type figures struct {
	ask       func(context.Context, ...string) (map[string]control.LegStats, error)
	connected func() bool
	now       func() time.Time

	asking chan struct{} // holds a token while a request is under way
	mu     sync.Mutex
	kept   map[string]figure
}

type figure struct {
	at    time.Time
	stats control.LegStats
	there bool
}

func newFigures(ask func(context.Context, ...string) (map[string]control.LegStats, error), connected func() bool, now func() time.Time) *figures {
	return &figures{ask: ask, connected: connected, now: now, asking: make(chan struct{}, 1), kept: map[string]figure{}}
}

// of returns the figures of legs by the names of their media. Those that the engine does not tell in time are left out.
func (f *figures) of(ctx context.Context, names ...string) map[string]control.LegStats {
	found, missing := f.look(names)
	if len(missing) == 0 || f.ask == nil || !f.connected() {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	select {
	case f.asking <- struct{}{}:
		defer func() { <-f.asking }()
	case <-ctx.Done():
		return found
	}
	if found, missing = f.look(names); len(missing) == 0 {
		return found
	}
	// An error brings what was heard before it: that counts.
	answer, err := f.ask(ctx, missing...)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if len(f.kept)+len(missing) > maxKept {
		clear(f.kept)
	}
	for _, name := range missing {
		s, there := answer[name]
		if there {
			found[name] = s
		}
		if there || err == nil {
			f.kept[name] = figure{now, s, there}
		}
	}
	return found
}

// look returns what is fresh, and the names of what is not.
func (f *figures) look(names []string) (found map[string]control.LegStats, missing []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found = make(map[string]control.LegStats, len(names))
	now := f.now()
	for _, name := range names {
		switch k, ok := f.kept[name]; {
		case name == "":
		case !ok || now.Sub(k.at) >= fresh:
			delete(f.kept, name)
			missing = append(missing, name)
		case k.there:
			found[name] = k.stats
		}
	}
	return found, missing
}

// codecs by the names of the API.
var codecs = map[string]string{control.PCMU: "g711u", control.PCMA: "g711a", control.G722: "g722", control.Opus: "opus", control.H264: "h264",
	control.VP8: "vp8", control.VP9: "vp9"}

// fixed are the rates of codecs that have only one, in bits per second.
var fixed = map[string]int{control.PCMU: 64000, control.PCMA: 64000, control.G722: 64000}

// streams are the figures of what a leg sends and is sent.
func streams(v values, s control.LegStats) {
	if a := s.Audio; a != nil {
		if received := stream(v, "status/rxAudio", a.Receive); received {
			rate(v, "status/rxAudio", a.Receive)
			v["status/rxAudio/gainApplied"] = decimal(a.Gain)
		}
		if sent := stream(v, "status/txAudio", a.Send); sent {
			rate(v, "status/txAudio", a.Send)
			v.number("status/txAudio/roundTripTime", whole(a.Send.RoundTrip))
		}
	}
	for _, p := range s.Video {
		if p.Stream != "main" && p.Stream != "presentation" {
			continue
		}
		rx, tx := "status/rxVideo role="+p.Stream, "status/txVideo role="+p.Stream
		if stream(v, rx, p.Receive) {
			picture(v, rx, p.ReceiveWidth, p.ReceiveHeight, p.ReceiveRate)
		}
		if stream(v, tx, p.Send) {
			picture(v, tx, p.SendWidth, p.SendHeight, p.SendRate)
			v.number(tx+"/roundTripTime", whole(p.Send.RoundTrip))
		}
	}
}

// stream are the figures that all streams have. A direction without a packet is none.
func stream(v values, group string, s control.StreamStats) bool {
	if codecs[s.Codec] == "" || s.Packets == 0 {
		return false
	}
	v[group+"/codec"] = codecs[s.Codec]
	v.number(group+"/jitter", whole(s.Jitter))
	v.number(group+"/bitRate", s.Bitrate)
	v[group+"/packetLossPercentage"] = decimal(s.LossPercent)
	return true
}

func rate(v values, group string, s control.StreamStats) {
	if r := fixed[s.Codec]; r != 0 {
		v.number(group+"/codecBitRate", r)
	}
}

func picture(v values, group string, width, height int, rate float64) {
	if width > 0 && height > 0 {
		v.number(group+"/width", width)
		v.number(group+"/height", height)
	}
	v[group+"/frameRate"] = decimal(rate)
}

func whole(f float64) int { return int(math.Round(f)) }

// decimal has one digit after the point.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
