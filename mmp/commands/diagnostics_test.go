package commands

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rotunda/init/control"
	"rotunda/mmp/files"
)

// capturing is the part of a [machine] that captures.
type capturing struct {
	// order is the last one; begun is closed when it has come, and stop when it is to end.
	order control.CaptureOrder
	begun chan struct{}
	stop  chan struct{}
	// ended is why it ends, at once unless it is to wait for its stop.
	ended string
	fails error
}

func (m *machine) Capture(ctx context.Context, o control.CaptureOrder, listening func()) (control.Capture, error) {
	m.capturing.order = o
	if m.capturing.fails != nil {
		return control.Capture{}, m.capturing.fails
	}
	listening()
	result := control.Capture{Packets: 1234, Dropped: 5, Bytes: 3 << 20, Ended: m.capturing.ended}
	if result.Ended != control.CaptureStopped {
		return result, nil
	}
	close(m.capturing.begun)
	select {
	case <-m.capturing.stop:
		return result, nil
	case <-ctx.Done():
		return control.Capture{}, ctx.Err()
	}
}

func (m *machine) StopCapture(_ context.Context, iface string) error {
	if m.capturing.stop == nil || iface != m.capturing.order.Interface {
		return control.Refuse(404, "there is no capture")
	}
	close(m.capturing.stop)
	return nil
}

func (m *machine) Traces(context.Context) (control.Traces, error) { return control.Traces{}, nil }

type room struct {
	name string
	err  error
}

func (r *room) CaptureRoom(name string) (int64, uint64, error) {
	r.name = name
	return 512 << 20, 96 << 20, r.err
}

func (r *room) GenerateBundle(_ context.Context, p files.Person) (string, int64, error) {
	r.name = p.User
	return "generatedlogbundle.tar.gz", 2 << 20, r.err
}

func TestACaptureRunsUntilCtrlCAndTellsWhatItHas(t *testing.T) {
	d := newDesk(t)
	d.deps.Captures = &room{}
	d.machine.capturing = capturing{ended: control.CaptureStopped, begun: make(chan struct{}), stop: make(chan struct{})}
	ctx, interrupt := context.WithCancel(t.Context())
	d.ctx = ctx
	go func() {
		<-d.machine.capturing.begun
		interrupt()
	}()
	d.prints(`Capturing the packets of interface a into cms-a-20260504T030201Z.pcap; Ctrl-C ends it
1234 packets captured, 5 dropped
cms-a-20260504T030201Z.pcap (3.0M) ready for download via SFTP
`, "pcap a")
	want := control.CaptureOrder{Interface: "a", File: "cms-a-20260504T030201Z.pcap", Limit: 512 << 20, Reserve: 96 << 20}
	if d.machine.capturing.order != want {
		t.Errorf("ordered %+v, want %+v", d.machine.capturing.order, want)
	}
}

func TestACaptureThatCannotBeToldToEndIsLeft(t *testing.T) {
	d := newDesk(t)
	d.deps.Captures = &room{}
	// It waits, and nobody knows of it.
	d.machine.capturing = capturing{ended: control.CaptureStopped, begun: make(chan struct{})}
	ctx, interrupt := context.WithCancel(t.Context())
	d.ctx = ctx
	go func() {
		<-d.machine.capturing.begun
		interrupt()
	}()
	d.prints("Capturing the packets of interface a into cms-a-20260504T030201Z.pcap; Ctrl-C ends it\nThe capture was ended\n", "pcap a")
}

func TestACaptureEndsByItselfAndSaysWhy(t *testing.T) {
	d := newDesk(t)
	d.deps.Captures = &room{}
	for ended, want := range map[string]string{
		control.CaptureLimit: "The capture has reached its largest size, 512.0M\n1234 packets captured, 5 dropped\n",
		control.CaptureDisk:  "The capture was ended because the disk is almost full: remove files that are not needed any more\n1234 packets",
	} {
		d.machine.capturing = capturing{ended: ended}
		got, err := d.run("pcap a")
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: wanted %q, got %q, %v", ended, want, got, err)
		}
	}
	d.fails("this machine has no interface d; it has a, b", "pcap d")
	d.machine.capturing = capturing{fails: control.Refuse(409, "there already is a capture on interface a: end it first")}
	d.fails("there already is a capture on interface a", "pcap a")
	if got, err := d.run("pcap a"); err == nil || got != "" {
		t.Errorf("one that never listened: wanted nothing but the error, got %q, %v", got, err)
	}
	d.deps.Captures = &room{err: errors.New("no room")}
	d.fails("no room", "pcap a")
	d.deps.Captures = nil
	d.fails("there is no storage", "pcap a")
}

func TestBundlesSerialModelAndProcesses(t *testing.T) {
	d := newDesk(t)
	r := &room{}
	d.deps.Bundles = r
	d.prints("generatedlogbundle.tar.gz (2.0M) ready for download via SFTP\n", "generate_logbundle")
	if r.name != "admin" {
		t.Errorf("made for %q", r.name)
	}
	r.err = errors.New("no room")
	d.fails("no room", "generate_logbundle")
	d.deps.Bundles = nil
	d.fails("there is no storage", "generate_logbundle")
	d.prints("Serial : VMware-56 4d\n", "serial")
	d.prints("Model    : Virtual machine\nPlatform : vm\nHardware : VMware, Inc. VMware7,1\n", "model")
	d.machine.health = control.Health{Uptime: 90 * time.Second, Memory: control.Memory{InitRSS: 12 << 20}, Services: []control.Service{
		{Name: "mmp", State: "ready", PID: 212, Uptime: 80 * time.Second, RSS: 30 << 20}, {Name: "turn", State: "stopped"}, {Name: "media", State: "starting", PID: 9}}}
	d.prints(`PID  SERVICE  STATE     UPTIME    MEMORY
1    init     ready     00:01:30  12.0M
212  mmp      ready     00:01:20  30.0M
9    media    starting  00:00:00  -
`, "ps")
}
