package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/codec"
	"rotunda/services/media/stream"
)

// decoding is the thread that decodes what compositions show. Units come from the network thread, in order; decoders belong
// to the thread alone.
type decoding struct {
	engine *Engine
	wake   chan struct{}

	mu    sync.Mutex
	queue []job
	// backlogs are what waits of each layer. One whose units pile up loses them all and begins anew with a key frame: what
	// is late by half a second is of no use to anybody.
	backlogs map[*layer]backlog
}

// backlog is what waits of a layer.
type backlog struct {
	units int
	// skips is set from an overflow to the next key frame: what comes between refers to pictures that were left out, and a
	// decoder would make a smear of it.
	skips bool
}

// job is a unit to decode, or without one a layer whose decoder is to be closed.
type job struct {
	layer *layer
	unit  *stream.AccessUnit
}

const (
	// maxWaiting units of one layer are half a second.
	maxWaiting = 15
	// encodeNice is the niceness of the threads that decode and encode: under Linux' scheduler a thread at 10 gets a tenth
	// of one at 0, and never keeps it waiting.
	encodeNice = 10
)

func newDecoding(e *Engine) *decoding {
	return &decoding{engine: e, wake: make(chan struct{}, 1), backlogs: map[*layer]backlog{}}
}

// put takes a unit, which it owns from then on.
func (d *decoding) put(y *layer, u *stream.AccessUnit) {
	d.mu.Lock()
	b := d.backlogs[y]
	overflow := b.units >= maxWaiting
	if overflow {
		d.forget(y)
		b = backlog{skips: true}
		y.contribution.errors.Add(1)
	}
	if b.skips = b.skips && !u.Key; b.skips {
		d.backlogs[y] = b
		d.mu.Unlock()
		u.Release()
		if overflow {
			y.receiver.RequestKey(time.Now())
		}
		return
	}
	b.units++
	d.backlogs[y] = b
	d.queue = append(d.queue, job{y, u})
	d.mu.Unlock()
	d.ring()
}

// forget takes the units of a layer out of the queue. The caller holds mu.
func (d *decoding) forget(y *layer) {
	kept := d.queue[:0]
	for _, j := range d.queue {
		if j.layer == y && j.unit != nil {
			j.unit.Release()
			continue
		}
		kept = append(kept, j)
	}
	clear(d.queue[len(kept):])
	d.queue = kept
	delete(d.backlogs, y)
}

// drop has a layer's decoder closed. What comes of the layer afterwards is decoded anew.
func (d *decoding) drop(y *layer) {
	d.mu.Lock()
	d.forget(y)
	d.queue = append(d.queue, job{y, nil})
	d.mu.Unlock()
	d.ring()
}

func (d *decoding) ring() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *decoding) take() (job, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return job{}, false
	}
	j := d.queue[0]
	n := copy(d.queue, d.queue[1:])
	d.queue[n] = job{}
	d.queue = d.queue[:n]
	if j.unit != nil {
		b := d.backlogs[j.layer]
		if b.units--; b.units > 0 || b.skips {
			d.backlogs[j.layer] = b
		} else {
			delete(d.backlogs, j.layer)
		}
	}
	return j, true
}

func (d *decoding) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), encodeNice); err != nil {
		return fmt.Errorf("lower the decoding thread: %w", err)
	}
	open := map[*layer]codec.VideoDecoder{}
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.wake:
		}
		for ctx.Err() == nil {
			j, ok := d.take()
			if !ok {
				break
			}
			if j.unit == nil {
				if c := open[j.layer]; c != nil {
					c.Close()
					delete(open, j.layer)
				}
				continue
			}
			d.decode(open, j)
		}
	}
}

func (d *decoding) decode(open map[*layer]codec.VideoDecoder, j job) {
	defer j.unit.Release()
	y := j.layer
	c := open[y]
	if c == nil {
		if !y.contribution.decodes(y) {
			return // it was dropped while the unit was on its way
		}
		if !j.unit.Key {
			y.receiver.RequestKey(time.Now())
			return
		}
		var err error
		if c, err = codec.NewVideoDecoder(y.codec); err != nil {
			d.engine.c.Log.Warn("no decoder", "codec", y.codec, "error", err)
			return
		}
		open[y] = c
	}
	f, err := c.Decode(j.unit.Data, j.unit.Timestamp)
	if err != nil {
		y.contribution.errors.Add(1)
		if errors.Is(err, codec.ErrBroken) {
			y.receiver.RequestKey(time.Now())
		}
		return
	}
	if f == nil {
		return
	}
	f.Captured = j.unit.Arrival
	y.contribution.show(y, f)
}
