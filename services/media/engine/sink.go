package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/audio"
	"rotunda/services/media/control"
	"rotunda/services/media/record"
	"rotunda/services/media/stream"
)

// sink writes a leg's media to a file or pushes it to a server. For a leg without transports that is what the leg would be
// sent: the composition and the mix of its conference. For one with transports it is what comes from it.
type sink struct {
	leg  *leg
	want control.Sink
	// canvas is what is composed for the sink; nil for one that takes what comes.
	canvas *control.Video
	// needsKey asks the director for a key frame.
	needsKey atomic.Bool

	out    output
	began  time.Time
	voice  *voice
	failed sync.Once
	// ended is set before the output is closed: others may still be about to write.
	ended atomic.Bool
	// keyed is when the last key frame came or was asked for; of the thread that carries the pictures.
	keyed time.Time
}

// pushKeys are between two key frames of a push. Who watches comes at any time and can begin only there, and no server of
// RTMP can ask for one.
const pushKeys = 2 * time.Second

// output is a recording or a push.
type output interface {
	Video(unit []byte, timestamp time.Duration, key bool) error
	Audio(frame []byte, timestamp time.Duration) error
	Close() error
}

func newSink(l *leg, want control.Sink) (*sink, error) {
	k := &sink{leg: l, want: want, began: time.Now()}
	k.needsKey.Store(true)
	options := record.Options{AudioRate: sinkRate, AudioChannels: 1, KeyFrame: k.askKey}
	if len(l.flows) == 0 {
		k.canvas = &control.Video{Send: control.Format{Codec: control.H264, PacketizationMode: 1}, MaxWidth: want.Width, MaxHeight: want.Height, SendBitrate: want.Bitrate}
		k.canvas.MaxWidth, k.canvas.MaxHeight, k.canvas.MaxRate = limits(k.canvas)
		options.Width, options.Height = k.canvas.MaxWidth, k.canvas.MaxHeight
	}
	var err error
	if want.File != "" {
		k.out, err = record.Create(want.File, options)
	} else {
		k.out, err = record.Dial(want.URL, record.PushOptions{Options: options, State: func(state record.State, text string) {
			k.tell(string(state), text)
		}})
	}
	if err != nil {
		return nil, err
	}
	if want.File != "" {
		k.tell("open", "")
	}
	if err := k.move(l.conference.Load()); err != nil {
		return nil, errors.Join(err, k.out.Close())
	}
	return k, nil
}

func (k *sink) tell(state, text string) {
	k.leg.emit(control.Event{Event: control.EventSink, ID: k.want.ID, State: state, Text: text})
}

// move takes the sound of another conference.
func (k *sink) move(to *conference) error {
	if k.voice != nil {
		k.voice.part(k)
	}
	var err error
	if k.canvas != nil {
		k.voice, err = to.hear(k)
	} else {
		k.voice, err = listen(k, func(take func([]int16, time.Time)) *audio.Tap { return to.bus.TapSource(k.leg.source, sinkRate, take) })
	}
	return err
}

// askKey is called by the output when it waits for a key frame.
func (k *sink) askKey() {
	k.needsKey.Store(true)
	k.leg.changed()
	if k.canvas == nil {
		if c := k.leg.contribution[mainPicture].Load(); c != nil {
			if y, _ := c.best(time.Now()); y != nil {
				y.receiver.RequestKey(time.Now())
			}
		}
	}
}

// video takes an access unit of H.264, which the output copies.
func (k *sink) video(unit []byte, at time.Time, key bool) {
	if k.ended.Load() {
		return
	}
	if key {
		k.keyed = at
	} else if k.want.URL != "" && at.Sub(k.keyed) >= pushKeys {
		k.keyed = at
		k.askKey()
	}
	if err := k.out.Video(unit, at.Sub(k.began), key); err != nil {
		k.fail(err)
	}
}

// sound takes a frame of AAC.
func (k *sink) sound(frame []byte, at time.Time) {
	if at.Before(k.began) {
		return // from before the sink was there
	}
	if err := k.out.Audio(frame, at.Sub(k.began)); err != nil {
		k.fail(err)
	}
}

// fail reports the first thing that goes wrong; the rest would say the same fifty times a second.
func (k *sink) fail(err error) {
	if k.ended.Load() {
		return
	}
	k.failed.Do(func() { k.tell("failed", err.Error()) })
}

func (k *sink) close() {
	k.ended.Store(true)
	if k.voice != nil {
		k.voice.part(k)
	}
	if err := k.out.Close(); err != nil && !errors.Is(err, record.ErrEmpty) {
		k.tell("failed", fmt.Sprintf("close: %v", err))
		return
	}
	k.tell("closed", "")
}

// received hands an access unit that came to the sinks of the leg which take what comes. Its sound is recorded when it is
// played, so the picture is as late as that.
func (l *leg) received(u *stream.AccessUnit, wait time.Duration, known bool) {
	list := l.takers.Load()
	if list == nil || u.Codec != control.H264 {
		return
	}
	if !known {
		wait = l.soundDelay()
	}
	for _, k := range *list {
		k.video(u.Data, u.Arrival.Add(wait), u.Key)
	}
}
