package main

import (
	"sync"
	"time"

	"rotunda/services/media/bench/wire"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

// viewer decodes what one far end is sent and hands the frames on, beside the thread of the load.
type viewer struct {
	load    *wire.Load
	far     *wire.Far
	packets chan arrived
	wait    sync.WaitGroup
	// lost counts packets that there was no room for.
	lost int
}

type arrived struct {
	packet []byte
	at     time.Time
}

// watchFar begins to decode. Frame is valid until see returns; Captured is when its last packet came.
func watchFar(l *wire.Load, far *wire.Far, see func(*picture.Frame)) *viewer {
	v := &viewer{load: l, far: far, packets: make(chan arrived, 4096)}
	v.wait.Go(func() { v.run(see) })
	l.Do(func() {
		far.Tap = func(packet []byte, at time.Time) {
			select {
			case v.packets <- arrived{append([]byte(nil), packet...), at}:
			default:
				v.lost++
			}
		}
	})
	return v
}

// close returns when everything that came has been seen.
func (v *viewer) close() {
	v.load.Do(func() { v.far.Tap = nil })
	close(v.packets)
	v.wait.Wait()
}

func (v *viewer) run(see func(*picture.Frame)) {
	d, err := codec.NewVideoDecoder(control.H264)
	if err != nil {
		return // nothing is seen, which the caller finds out
	}
	defer d.Close()
	var r *stream.Receiver
	pool := stream.NewPool(0)
	for p := range v.packets {
		if v.far.Unprotect != nil {
			// Control packets of the same keys are not for us; the thread of the load leaves them alone for receivers.
			if p.packet, err = v.far.Unprotect.UnprotectRTP(p.packet); err != nil {
				continue
			}
		}
		var h rtp.Header
		if _, err := h.Parse(p.packet); err != nil || h.PayloadType != h264Type {
			continue
		}
		if r == nil {
			r, err = stream.NewReceiver(stream.ReceiverOptions{SSRC: h.SSRC, Formats: []control.Format{h264}, Feedback: v, Pool: pool,
				Unit: func(u *stream.AccessUnit) {
					defer u.Release()
					f, err := d.Decode(u.Data, u.Timestamp)
					if err != nil || f == nil {
						return
					}
					f.Captured = u.Arrival
					f.Timestamp = u.Timestamp
					see(f)
					f.Release()
				}})
			if err != nil {
				return
			}
			defer r.Close()
			r.SetDecode(true, p.at)
		}
		_ = r.Push(p.packet, p.at) // what is malformed shows nothing
	}
}

// AskAgain asks for nothing: loss is an error here.
func (v *viewer) AskAgain(uint32, []uint16) {}

// AskKey asks for a key frame ([stream.Feedback]).
func (v *viewer) AskKey(ssrc uint32, _ uint8) {
	v.load.Control(v.far, rtp.AppendPLI(rtp.AppendReceiverReport(nil, 1, nil), 1, ssrc))
}
