package engine

import (
	"testing"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
)

var baseline720 = offered{codec: control.H264, width: 1280, height: 720, profile: [3]byte{66, 0xe0, 31}, bitrate: 1_500_000}

func full(p layout.Pane) *layout.Scene {
	p.Rect = layout.Rect{W: 1280, H: 720}
	return &layout.Scene{Look: layout.Look{Width: 1280, Height: 720}, Panes: []layout.Pane{p}}
}

func TestOnlyAnUntouchedPictureIsForwarded(t *testing.T) {
	v := &control.Video{Send: control.Format{Codec: control.H264}}
	offers := func(o offered) func(uint32) (offered, bool) { return func(uint32) (offered, bool) { return o, true } }
	vp8 := baseline720
	vp8.codec = control.VP8
	large := baseline720
	large.width, large.height = 1920, 1080
	fat := baseline720
	fat.bitrate = 4_000_000
	high := baseline720
	high.profile = [3]byte{100, 0, 31}
	message := full(layout.Pane{Source: 7})
	message.Message = "hello"
	two := full(layout.Pane{Source: 7})
	two.Panes = append(two.Panes, layout.Pane{Source: 8, Rect: layout.Rect{W: 320, H: 180}})
	for name, c := range map[string]struct {
		scene *layout.Scene
		offer offered
		want  bool
	}{
		"one picture":           {full(layout.Pane{Source: 7}), baseline720, true},
		"with a label":          {full(layout.Pane{Source: 7, Label: true, Name: "Ann"}), baseline720, false},
		"camera off":            {full(layout.Pane{Source: 7, CameraOff: true}), baseline720, false},
		"with a message":        {message, baseline720, false},
		"two panes":             {two, baseline720, false},
		"another codec":         {full(layout.Pane{Source: 7}), vp8, false},
		"more pixels":           {full(layout.Pane{Source: 7}), large, false},
		"more bits":             {full(layout.Pane{Source: 7}), fat, false},
		"a profile too high":    {full(layout.Pane{Source: 7}), high, false},
		"nothing to be seen":    {full(layout.Pane{}), baseline720, false},
		"a profile not yet met": {full(layout.Pane{Source: 7}), offered{codec: control.H264, width: 1280, height: 720}, false},
	} {
		source, ok := forwardable(c.scene, v, offers(c.offer))
		if ok != c.want || ok && source != 7 {
			t.Errorf("%s: got %v (source %d), want %v", name, ok, source, c.want)
		}
	}
}

func TestAPictureIsForwardedWhileTheLinkCarriesIt(t *testing.T) {
	for _, c := range []struct {
		bitrate, link   int
		forwarded, want bool
	}{
		{1_000_000, 2_000_000, false, true},
		{1_000_000, 1_100_000, false, false},
		{1_000_000, 1_100_000, true, true},
		{1_000_000, 900_000, true, false},
		{0, 50_000, false, true},
	} {
		if got := suitsLink(c.bitrate, c.link, c.forwarded); got != c.want {
			t.Errorf("%d over %d, forwarded %v: got %v, want %v", c.bitrate, c.link, c.forwarded, got, c.want)
		}
	}
}

func TestLimitsFollowWhatTheFarEndDecodes(t *testing.T) {
	for _, c := range []struct {
		v                   control.Video
		width, height, rate int
	}{
		{control.Video{}, 1280, 720, 30},
		{control.Video{MaxWidth: 1920, MaxHeight: 1080}, 1920, 1080, 30},
		{control.Video{MaxRate: 5}, 1280, 720, 5},
		{control.Video{MaxWidth: 1920, MaxHeight: 1080, Send: control.Format{MaxFrameSize: 3600}}, 1280, 720, 30},
		{control.Video{Send: control.Format{MaxFrameSize: 396}}, 320, 180, 30},
		{control.Video{Send: control.Format{MaxMacroblockRate: 54000}}, 1280, 720, 15},
	} {
		w, h, r := limits(&c.v)
		if w != c.width || h != c.height || r != c.rate {
			t.Errorf("%+v: got %d × %d at %d, want %d × %d at %d", c.v, w, h, r, c.width, c.height, c.rate)
		}
	}
}

func TestAHigherProfileDecodesALowerOne(t *testing.T) {
	for _, c := range []struct {
		wanted string
		have   [3]byte
		want   bool
	}{
		{"42e01f", [3]byte{66, 0xc0, 31}, true},
		{"", [3]byte{66, 0xc0, 31}, true},
		{"42e01f", [3]byte{100, 0, 31}, false},
		{"64001f", [3]byte{77, 0, 31}, true},
		{"42e01f", [3]byte{77, 0x80, 31}, true},
		{"4d001f", [3]byte{100, 0, 31}, false},
		{"xyz", [3]byte{66, 0, 31}, true},
	} {
		if got := decodes(c.wanted, c.have); got != c.want {
			t.Errorf("a decoder of %q and a stream of %x: got %v, want %v", c.wanted, c.have, got, c.want)
		}
	}
}
