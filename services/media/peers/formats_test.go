package peers

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"testing"

	"rotunda/services/media/control"
)

// Formats that may be spoken.
var (
	pcmu   = control.Format{Codec: control.PCMU, PayloadType: 0}
	g722   = control.Format{Codec: control.G722, PayloadType: 9}
	opus   = control.Format{Codec: control.Opus, PayloadType: 111}
	single = control.Format{Codec: control.H264, PayloadType: 97, PacketizationMode: 0}
	vp8    = control.Format{Codec: control.VP8, PayloadType: 98}
	vp9    = control.Format{Codec: control.VP9, PayloadType: 99}
)

// newKeys makes SDES keys.
func newKeys(suite string) *control.Keys {
	size := map[string]int{control.SuiteAESCM80: 30, control.SuiteAESCM32: 30, control.SuiteAEAD128: 28, control.SuiteAEAD256: 44}[suite]
	if size == 0 {
		return nil
	}
	k := &control.Keys{Suite: suite, Local: make([]byte, size), Remote: make([]byte, size)}
	_, _ = rand.Read(k.Local)
	_, _ = rand.Read(k.Remote)
	return k
}

// separate is a transport with a port for RTP and one for RTCP, as programs have it that are told of one port.
func separate(port uint16, keys *control.Keys) control.Transport {
	t := control.Transport{Local: []netip.Addr{loopback}, Remote: netip.AddrPortFrom(loopback, port), RemoteRTCP: netip.AddrPortFrom(loopback, port+1)}
	if keys != nil {
		t.Security, t.Keys = control.SDES, keys
	}
	return t
}

var fars = map[string]far{"ffmpeg": ffmpeg{}, "gst-launch-1.0": gstreamer{}}

func TestProgramsOfOthersHearAndAreHeard(t *testing.T) {
	_, address := worker(t)
	for _, c := range []struct {
		program string
		format  control.Format
		suite   string
		tone    int
	}{
		{"ffmpeg", pcmu, "", 500},
		{"ffmpeg", pcma, control.SuiteAESCM80, 500},
		// What is above 4 kHz is heard by wideband codecs only.
		{"ffmpeg", g722, "", 3000},
		{"ffmpeg", opus, control.SuiteAESCM80, 3000},
		{"gst-launch-1.0", pcmu, control.SuiteAESCM80, 500},
		{"gst-launch-1.0", pcma, "", 500},
		{"gst-launch-1.0", g722, control.SuiteAEAD128, 3000},
		{"gst-launch-1.0", opus, control.SuiteAEAD256, 3000},
	} {
		t.Run(fmt.Sprint(c.program, " ", c.format.Codec, " ", c.suite), func(t *testing.T) {
			t.Parallel()
			need(t, c.program)
			far := fars[c.program]
			us := dial(t, address)
			phone := us.call("phone", "room", 900, nil, nil)
			keys, port := newKeys(c.suite), ports(t)
			state := us.put(control.Leg{ID: "far", Conference: "room", Transports: []control.Transport{separate(port, keys)},
				Audio: &control.Audio{Send: c.format, Receive: []control.Format{c.format}}})
			heard := far.listen(t, c.format, port, state.AudioSSRC, keys)
			far.speak(t, c.format, c.tone, state.Transports[0].RTP[0], keys)
			until(t, "the phone hears the program", func() bool { return phone.hears(float64(c.tone)) })
			until(t, "the program hears the phone", func() bool { return heard.hears(900) })
			if l := heard.level(float64(c.tone)); l > quiet {
				t.Errorf("the program hears itself at %.3f, want less than %.3f", l, quiet)
			}
		})
	}
}

func TestProgramsOfOthersSeeAndAreSeen(t *testing.T) {
	// Each tile is one program's, at a place of its own.
	panes := []control.Pane{{X: 0, Y: 0, W: 5000, H: 5000}, {X: 5000, Y: 0, W: 5000, H: 5000}, {X: 0, Y: 5000, W: 5000, H: 5000}, {X: 5000, Y: 5000, W: 5000, H: 5000}}
	places := [][2]float64{{0.25, 0.25}, {0.75, 0.25}, {0.25, 0.75}, {0.75, 0.75}}
	type end struct {
		id      string
		comes   control.Format
		profile string
		goes    control.Format
		suite   string
		colour  colour
	}
	for _, c := range []struct {
		program string
		ends    []end
	}{
		{"ffmpeg", []end{
			{"baseline", single, "baseline", single, "", red},
			{"high", h264, "high", h264, control.SuiteAESCM80, green},
			{"vp8", vp8, "", vp8, control.SuiteAESCM80, blue},
			{"vp9", vp9, "", h264, "", yellow}}},
		{"gst-launch-1.0", []end{
			{"main", h264, "main", h264, control.SuiteAEAD128, yellow},
			{"constrained", h264, "constrained-baseline", single, "", blue},
			{"vp8", vp8, "", vp8, control.SuiteAEAD256, green},
			{"vp9", vp9, "", h264, "", red}}},
	} {
		t.Run(c.program, func(t *testing.T) {
			need(t, c.program)
			far := fars[c.program]
			_, address := worker(t)
			us := dial(t, address)
			view := control.View{Template: panes, SelfPane: "self"}
			for i, e := range c.ends {
				view.Template[i].Participant = e.id
			}
			var eyes []*eye
			for _, e := range c.ends {
				keys, port := newKeys(e.suite), ports(t)
				state := us.put(control.Leg{ID: e.id, Conference: "room", View: view, Transports: []control.Transport{separate(port, keys)},
					Video: &control.Video{Send: e.goes, Receive: []control.Format{e.comes}, SendBitrate: 1_000_000}})
				eyes = append(eyes, far.watch(t, e.goes, port, state.VideoSSRC[0], keys))
				far.show(t, e.comes, e.profile, e.colour, state.Transports[0].RTP[0], keys)
			}
			for k, viewer := range eyes {
				for i, e := range c.ends {
					at := places[i]
					tries := 0
					until(t, fmt.Sprintf("%s sees %s, where it sees %v", c.ends[k].id, e.id, func() any { c, _ := viewer.at(at[0], at[1]); return c }()), func() bool {
						// Programs that come late do not ask for a key frame; the controller does, as for SIP INFO.
						if tries++; tries%25 == 0 {
							if err := us.KeyFrame(t.Context(), c.ends[k].id, "main"); err != nil {
								t.Fatal(err)
							}
						}
						return viewer.sees(at[0], at[1], e.colour)
					})
				}
			}
		})
	}
}
