package peers

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// proxy carries packets between a program and a transport of the engine, and loses some. A program sends to its inner port;
// the engine to its outer one.
type proxy struct {
	outer *net.UDPConn
	// inner is where the program sends to.
	inner *net.UDPConn
	// percent of the packets that are lost in each direction.
	percent       atomic.Int32
	lost, carried atomic.Int64
	far, near     atomic.Pointer[netip.AddrPort]
	// follow sends to where the program sends from.
	follow atomic.Bool
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{outer: udp(t), inner: udp(t)}
	var wait sync.WaitGroup
	wait.Go(func() { p.carry(p.outer, p.inner, &p.far) })
	wait.Go(func() { p.carry(p.inner, p.outer, &p.near) })
	t.Cleanup(func() {
		p.outer.Close()
		p.inner.Close()
		wait.Wait()
	})
	return p
}

func (p *proxy) carry(from, via *net.UDPConn, to *atomic.Pointer[netip.AddrPort]) {
	// A source of its own: the same packets are lost in each run, as far as they come in the same order.
	dice := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 2000)
	for {
		n, source, err := from.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if from == p.inner && p.follow.Load() {
			p.far.Store(&source)
		}
		at := to.Load()
		if at == nil {
			continue
		}
		if dice.Int32N(100) < p.percent.Load() {
			p.lost.Add(1)
			continue
		}
		p.carried.Add(1)
		_, _ = via.WriteToUDPAddrPort(b[:n], *at)
	}
}

// between tells where the engine is, and where the program listens.
func (p *proxy) between(engine netip.AddrPort, port uint16) {
	to := netip.AddrPortFrom(loopback, port)
	p.near.Store(&engine)
	p.far.Store(&to)
}

// session is GStreamer with feedback (RTP/AVPF): it sends bars, with key frames where one is asked for only and packets
// again that are asked for; and it asks itself.
func session(t *testing.T, via, feedback *proxy, media, control uint16) *eye {
	t.Helper()
	e := &eye{}
	launch(t, e.watch(seenWidth, seenHeight), "rtpbin name=r rtp-profile=avpf do-retransmission=true latency=200 "+
		"videotestsrc is-live=true pattern=smpte ! video/x-raw,format=I420,width=640,height=360,framerate=15/1 ! "+
		"x264enc tune=zerolatency speed-preset=ultrafast key-int-max=100000 bitrate=1000 ! video/x-h264,profile=constrained-baseline ! rtph264pay pt=96 config-interval=-1 mtu=600 ! rtprtxqueue ! r.send_rtp_sink_0 "+
		"r.send_rtp_src_0 ! udpsink host=127.0.0.1 port=%d sync=false async=false "+
		"r.send_rtcp_src_0 ! udpsink host=127.0.0.1 port=%d sync=false async=false "+
		"udpsrc port=%d caps=application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96,rtcp-fb-nack-pli=(boolean)true,rtcp-fb-nack=(boolean)true ! r.recv_rtp_sink_0 "+
		"udpsrc port=%d caps=application/x-rtcp ! r.recv_rtcp_sink_0 "+
		"r. ! rtph264depay request-keyframe=true ! avdec_h264 ! videoconvert ! videoscale add-borders=false ! video/x-raw,format=I420,width=%d,height=%d ! fdsink fd=1 sync=false",
		addressOf(via.inner).Port(), addressOf(feedback.inner).Port(), media, control, seenWidth, seenHeight)
	return e
}

func TestLossIsRepairedAndLateJoinersSeeAtOnce(t *testing.T) {
	need(t, "gst-launch-1.0")
	_, address := worker(t)
	us := dial(t, address)
	phone := us.call("phone", "room", 0, &red, nil)
	media, feedback := newProxy(t), newProxy(t)
	port := ports(t)
	transport := separate(0, nil)
	transport.Remote, transport.RemoteRTCP = addressOf(media.outer), addressOf(feedback.outer)
	state := us.put(control.Leg{ID: "far", Conference: "room", Transports: []control.Transport{transport}, View: control.View{Layout: "allEqual", SelfPane: "skip"},
		Video: &control.Video{Send: h264, Receive: []control.Format{h264}, NACK: true, PLI: true, MaxWidth: 640, MaxHeight: 360}})
	media.between(state.Transports[0].RTP[0], port)
	feedback.between(state.Transports[0].RTCP[0], port+1)
	far := session(t, media, feedback, port, port+1)

	// The bars of SMPTE: yellow is the second of seven, blue the last.
	bars := func(e *eye) bool { return e.sees(1.5/7, 0.3, yellow) && e.sees(6.5/7, 0.3, blue) }
	until(t, "the phone sees the bars", func() bool { return bars(&phone.eye) })
	until(t, "the far end sees the phone", func() bool { return far.sees(0.5, 0.5, red) })

	// Whoever comes late gets a key frame, though the far end sends none by itself.
	asked := us.stats("far").Video[0].KeyFramesAsked
	for _, layout := range []string{"allEqual", "speakerOnly"} {
		began := time.Now()
		late := us.call("late."+layout, "room", 0, &blue, func(l *control.Leg) { l.View.Layout, l.View.Pinned = layout, "far" })
		until(t, "who comes late sees a picture", func() bool { return late.eye.count() > 0 })
		took := time.Since(began)
		t.Logf("%s: the first picture after %v", layout, took.Round(time.Millisecond))
		if layout == "speakerOnly" {
			until(t, "the bars are forwarded to who comes late", func() bool { return us.stats(late.leg.ID).Video[0].Class == "forward" && bars(&late.eye) })
		}
		if err := us.DeleteLeg(t.Context(), late.leg.ID); err != nil {
			t.Fatal(err)
		}
	}
	if now := us.stats("far").Video[0].KeyFramesAsked; now == asked {
		t.Errorf("the far end was asked for %d key frames before and after, want more", asked)
	}

	until(t, "the far end sees the phone alone", func() bool { return far.sees(0.2, 0.5, red) && far.sees(0.8, 0.5, red) })
	media.percent.Store(5)
	for _, c := range []*colour{&green, &blue, &red} {
		phone.colour.Store(c)
		until(t, "with every twentieth packet lost the far end sees a new colour everywhere", func() bool {
			return far.sees(0.2, 0.2, *c) && far.sees(0.8, 0.8, *c) && far.sees(0.5, 0.5, *c)
		})
		before := phone.eye.count()
		until(t, "and the phone sees the bars go on", func() bool { return phone.eye.count() > before+15 && bars(&phone.eye) })
	}
	figures := us.stats("far").Video[0]
	t.Logf("%d packets lost of %d; sent again %d, lost for us %d, key frames asked %d, wanted %d", media.lost.Load(), media.lost.Load()+media.carried.Load(),
		figures.Retransmitted, figures.Receive.Lost, figures.KeyFramesAsked, figures.KeyFramesWanted)
	if figures.Retransmitted == 0 {
		t.Error("nothing was sent again, though packets were lost")
	}
	media.percent.Store(0)
	before := far.count()
	until(t, "pictures go on", func() bool { return far.count() > before+15 && far.sees(0.5, 0.5, red) })
}
