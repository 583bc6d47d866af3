package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/browser"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
)

const (
	forwardBitrate = 600_000
	forwardWidth   = 640
	forwardHeight  = 360
	// Receivers of one sender: what fills a good part of the core of each side.
	ourReceivers, theirReceivers = 400, 150
	// forwardSuite is what browsers and both sides have in common.
	forwardSuite = control.SuiteAEAD128
)

// measureForward is one camera that many browsers watch, over DTLS-SRTP.
func measureForward(ctx context.Context, b *bench) ([]figures.Figure, error) {
	f, err := b.newFilm(0, forwardWidth, forwardHeight, forwardBitrate)
	if err != nil {
		return nil, err
	}
	identity, err := browser.NewIdentity()
	if err != nil {
		return nil, err
	}
	used := map[string]float64{}
	checked := map[string]bool{}
	audience := func(name string, p *process, l *wire.Load, watchers []*browser.End) (float64, error) {
		u, err := b.watch(ctx, p, l, 2*time.Second)
		if err != nil {
			return 0, err
		}
		if err := u.serve(filmRate, u.Frames); err != nil {
			return 0, err
		}
		used[name] = u.cores
		if u.Streams != len(watchers) {
			return 0, fmt.Errorf("%d of %d receivers are sent anything", u.Streams, len(watchers))
		}
		if !checked[name] {
			if err := forwarded(ctx, l, watchers[0]); err != nil {
				return 0, err
			}
			checked[name] = true
		}
		return float64(len(watchers)) * u.served / u.cores, u.complete()
	}
	values, err := b.alternate(ctx,
		side{"worker", func(ctx context.Context) (float64, error) {
			w, err := b.startWorker(ctx)
			if err != nil {
				return 0, err
			}
			defer w.close()
			ends, err := w.audience(ctx, identity, f)
			defer closeEnds(ends)
			if err != nil {
				return 0, err
			}
			return audience("worker", w.process, w.load, ends[1:])
		}},
		side{"janus", func(ctx context.Context) (float64, error) {
			j, err := b.startJanus(ctx, "videoroom", "")
			if err != nil {
				return 0, err
			}
			defer j.close()
			ends, err := j.audience(ctx, identity, f)
			defer closeEnds(ends)
			if err != nil {
				return 0, err
			}
			return audience("janus", j.process, j.load, ends[1:])
		}})
	if err != nil {
		return nil, err
	}
	figure := figures.Figure{Name: "forward_fanout", Value: values[0], Unit: "receivers/core", Goal: ">= 3x",
		Conditions: fmt.Sprintf("one sender of %dx%d H.264, %d bit/s, 30 frames/s; ICE lite, DTLS-SRTP with %s on both sides; worker: %d receivers, %.2f of a core; peer: %d receivers, %.2f of a core",
			forwardWidth, forwardHeight, forwardBitrate, forwardSuite, ourReceivers, used["worker"], theirReceivers, used["janus"])}
	return []figures.Figure{figure.Against("Janus VideoRoom 1.1.2", values[1])}, nil
}

func closeEnds(ends []*browser.End) {
	for _, e := range ends {
		e.Close()
	}
}

// forwarded checks that a receiver is sent the film as it is.
func forwarded(ctx context.Context, l *wire.Load, end *browser.End) error {
	seen := map[int]bool{}
	v := watchFar(l, end.Far, func(f *picture.Frame) {
		if n, ok := readMark(f, pane{0, 0, f.Width, f.Height}); ok {
			seen[n] = true
		}
	})
	err := sleep(ctx, 1500*time.Millisecond)
	v.close()
	if err == nil && len(seen) < 20 {
		err = fmt.Errorf("%d frames of the film are seen: want 20 or more", len(seen))
	}
	return err
}

// gather has everybody join, a few at a time: handshakes wait more than they work.
func gather(ends []*browser.End, join func(i int, end *browser.End) error) error {
	var g errgroup.Group
	g.SetLimit(16)
	for i, end := range ends {
		g.Go(func() error { return join(i, end) })
	}
	return g.Wait()
}

// newEnds makes the sender, which is the first end, and so many receivers.
func newEnds(l *wire.Load, identity *browser.Identity, receivers int) []*browser.End {
	ends := make([]*browser.End, 1+receivers)
	for i := range ends {
		ends[i] = browser.New(l, identity)
	}
	return ends
}

// audience puts the sender and the receivers of one conference.
func (w *worker) audience(ctx context.Context, identity *browser.Identity, f *film) ([]*browser.End, error) {
	ends := newEnds(w.load, identity, ourReceivers)
	err := gather(ends, func(i int, end *browser.End) error {
		video := &control.Video{Send: h264, Receive: []control.Format{h264}, Direction: control.SendOnly, PLI: true, NACK: true}
		if i == 0 {
			video.Direction = control.ReceiveOnly
		}
		leg := control.Leg{ID: strconv.Itoa(i), Conference: "hall", Video: video, View: control.View{Layout: "speakerOnly", SelfPane: "skip"},
			Transports: []control.Transport{{Local: []netip.Addr{here}, RTCPMux: true, Security: control.DTLS,
				Handover: &control.Handover{Active: true, Fingerprints: []string{identity.Fingerprint}},
				ICE:      &control.ICE{Lite: true, Ufrag: end.Ufrag, Password: end.Password, Candidates: []string{candidate(w.load)}}}}}
		state, err := w.client.PutLeg(ctx, leg)
		if err != nil {
			return err
		}
		t := state.Transports[0]
		end.Far.Remote = t.RTP[0]
		return end.Connect(ctx, browser.Remote{Ufrag: t.Ufrag, Password: t.Password, Active: true}, forwardSuite)
	})
	if err == nil {
		w.load.Play(ends[0].Far, wire.TrackOptions{Clip: f.clip, PayloadType: h264Type, SSRC: rtp.NewSSRC()})
	}
	return ends, err
}

// audience joins the sender and the receivers of one room.
func (j *janus) audience(ctx context.Context, identity *browser.Identity, f *film) ([]*browser.End, error) {
	handle, err := j.attach(ctx, "videoroom")
	if err != nil {
		return nil, err
	}
	if _, err := j.tell(ctx, handle, map[string]any{"request": "create", "room": 1, "publishers": 1, "videocodec": "h264", "bitrate": 0}, "", ""); err != nil {
		return nil, err
	}
	ends := newEnds(j.load, identity, theirReceivers)
	sender := ends[0]
	if _, err := j.tell(ctx, handle, map[string]any{"request": "join", "ptype": "publisher", "room": 1, "id": 7}, "", ""); err != nil {
		return ends, err
	}
	ssrc := rtp.NewSSRC()
	a, err := j.tell(ctx, handle, map[string]any{"request": "publish", "audio": false, "video": true}, "offer", describe(sender, j.load, identity, "actpass", "sendonly", ssrc))
	if err != nil {
		return ends, err
	}
	if err := follow(ctx, sender, a.JSEP.SDP); err != nil {
		return ends, fmt.Errorf("sender: %w", err)
	}
	j.load.Play(sender.Far, wire.TrackOptions{Clip: f.clip, PayloadType: h264Type, SSRC: ssrc})
	// What is not known to be published yet cannot be watched.
	for {
		if a, err = j.tell(ctx, handle, map[string]any{"request": "listparticipants", "room": 1}, "", ""); err != nil {
			return ends, err
		}
		var list struct{ Participants []struct{ Publisher bool } }
		if json.Unmarshal(a.Plugindata.Data, &list) == nil && len(list.Participants) > 0 && list.Participants[0].Publisher {
			break
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return ends, err
		}
	}
	return ends, gather(ends[1:], func(_ int, end *browser.End) error {
		handle, err := j.attach(ctx, "videoroom")
		if err != nil {
			return err
		}
		a, err := j.tell(ctx, handle, map[string]any{"request": "join", "ptype": "subscriber", "room": 1, "streams": []map[string]any{{"feed": 7}}}, "", "")
		if err != nil {
			return err
		}
		if _, err := j.tell(ctx, handle, map[string]any{"request": "start"}, "answer", describe(end, j.load, identity, "passive", "recvonly", 0)); err != nil {
			return err
		}
		return follow(ctx, end, a.JSEP.SDP)
	})
}

// candidate is where all ends are.
func candidate(l *wire.Load) string {
	return fmt.Sprintf("1 1 udp 2130706431 %s %d typ host", here, l.Address().Port())
}

// describe is the session description of an end.
func describe(e *browser.End, l *wire.Load, identity *browser.Identity, setup, direction string, ssrc uint32) string {
	lines := []string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
		fmt.Sprintf("m=video 9 UDP/TLS/RTP/SAVPF %d", h264Type), "c=IN IP4 0.0.0.0",
		"a=ice-ufrag:" + e.Ufrag, "a=ice-pwd:" + e.Password, "a=fingerprint:" + identity.Fingerprint, "a=setup:" + setup, "a=mid:0", "a=" + direction, "a=rtcp-mux",
		fmt.Sprintf("a=rtpmap:%d H264/90000", h264Type), fmt.Sprintf("a=fmtp:%d level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", h264Type),
		fmt.Sprintf("a=rtcp-fb:%d nack", h264Type), fmt.Sprintf("a=rtcp-fb:%d nack pli", h264Type), "a=candidate:" + candidate(l), "a=end-of-candidates"}
	if ssrc != 0 {
		lines = append(lines, fmt.Sprintf("a=ssrc:%d cname:bench", ssrc))
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

var (
	sdpAttribute = regexp.MustCompile(`(?m)^a=(ice-ufrag|ice-pwd|setup):(\S+)`)
	sdpCandidate = regexp.MustCompile(`(?m)^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host`)
)

// follow connects an end to what a description says. An offer leaves the roles open; the end has answered that it is
// passive.
func follow(ctx context.Context, e *browser.End, sdp string) error {
	var r browser.Remote
	for _, m := range sdpAttribute.FindAllStringSubmatch(sdp, -1) {
		switch m[1] {
		case "ice-ufrag":
			r.Ufrag = m[2]
		case "ice-pwd":
			r.Password = m[2]
		case "setup":
			r.Active = m[2] != "passive"
		}
	}
	c := sdpCandidate.FindStringSubmatch(sdp)
	if c == nil {
		return fmt.Errorf("no candidate in %q", sdp)
	}
	var err error
	if e.Far.Remote, err = netip.ParseAddrPort(c[1] + ":" + c[2]); err != nil {
		return fmt.Errorf("candidate %q: %w", c[0], err)
	}
	return e.Connect(ctx, r, forwardSuite)
}
