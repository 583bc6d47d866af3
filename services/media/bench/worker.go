package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"rotunda/services/freeport"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
)

// here is the address that both sides use: the machine's own, since WebRTC servers pass over the loopback one. Packets go
// through the loopback device all the same.
var here = ownAddress()

func ownAddress() netip.Addr {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	return netip.MustParseAddr("127.0.0.1")
}

// The header extension and the payload types that both sides are told.
const (
	levelExtension = 1
	opusType       = 111
	h264Type       = 107 // what Janus VideoRoom always offers
)

// worker is a media worker with a client and the load that it carries.
type worker struct {
	*process
	client *control.Client
	load   *wire.Load

	mu    sync.Mutex
	panes map[string][]string
}

// startWorker returns when the worker answers.
func (b *bench) startWorker(ctx context.Context) (*worker, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	w := &worker{panes: map[string][]string{}}
	core := subjectCore()
	if w.process, err = launch(core, b.worker, "-listen", address, "-cpu", strconv.Itoa(core), "-encoder", b.encoder); err != nil {
		return nil, err
	}
	w.client = control.NewClient(control.ClientOptions{Address: address, Name: "bench", Events: w.note})
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err = w.client.Status(within); err == nil {
		w.load, err = wire.Start(here)
	}
	if err != nil {
		w.close()
		if gone := w.running(); gone != nil {
			err = gone
		}
		return nil, err
	}
	return w, nil
}

func (w *worker) close() {
	w.client.Close()
	if w.load != nil {
		w.load.Close()
	}
	w.stop(syscall.SIGTERM)
}

// note remembers who is seen where.
func (w *worker) note(e control.Event) {
	if e.Event == control.EventPanes {
		w.mu.Lock()
		w.panes[e.Leg] = e.Panes
		w.mu.Unlock()
	}
}

// pane is who is in a pane of what a leg is sent, "" for nobody.
func (w *worker) pane(leg string, number int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if panes := w.panes[leg]; number < len(panes) {
		return panes[number]
	}
	return ""
}

// put puts a leg and adds a far end for its first transport.
func (w *worker) put(ctx context.Context, leg control.Leg) (*wire.Far, error) {
	state, err := w.client.PutLeg(ctx, leg)
	if err != nil {
		return nil, err
	}
	f := &wire.Far{Remote: state.Transports[0].RTP[0]}
	w.load.Add(f)
	return f, nil
}

// plain is a transport without encryption, to and from the load.
func (w *worker) plain() control.Transport {
	return control.Transport{Local: []netip.Addr{here}, RTCPMux: true, Remote: w.load.Address()}
}

var (
	opus = control.Format{Codec: control.Opus, PayloadType: opusType}
	h264 = control.Format{Codec: control.H264, PayloadType: h264Type, PacketizationMode: 1}
)

// classes tells how the main pictures of all legs are made, and is an error when one is made in another way than wanted.
func (w *worker) classes(ctx context.Context, want string) error {
	stats, err := w.client.Stats(ctx, nil)
	if err != nil {
		return err
	}
	for _, s := range stats {
		for _, v := range s.Video {
			if v.Stream == "main" && v.SendRate > 0 && v.Class != want {
				return fmt.Errorf("leg %s is sent a picture of class %q: want %q", s.ID, v.Class, want)
			}
		}
	}
	return nil
}
