// Package capture writes the packets of one interface into a file (command pcap). It is a program of its own, `init capture`:
// PID 1 starts it with no privilege but CAP_NET_RAW, no file that it could open, and one that is open already.
//
// Packets come out of a ring that the kernel fills (packet(7), TPACKET_V3), in both directions and as they are on the wire: a
// VLAN tag that the network card has taken out is put back. None of their bytes is looked at. The file is a
// pcap file with nanoseconds and link type Ethernet, of which [Snap] bytes a packet are kept.
//
// The file is complete up to its last record at every moment but while one write is under way; a crash or a power cut leaves
// a file whose last record may be cut, which readers tell and read all the same. A capture ends when its standard input does,
// which is also what happens when whoever asked for it is gone, when the file has its largest size, and when the disk has no
// more room to spare: it never takes the last of it.
package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"rotunda/init/control"
)

const (
	// Snap is how much of a packet is kept. No packet of an interface is longer, what the card has joined included.
	Snap = 65535
	// fileFD is the file, open for writing.
	fileFD = 3
)

// Order is what is to be captured.
type Order struct {
	// Device is the kernel's name of the interface.
	Device string `json:"device"`
	// Limit is the largest size of the file, and Reserve what is left free on its disk, both in bytes.
	Limit   int64  `json:"limit"`
	Reserve uint64 `json:"reserve"`
}

// Report is what the program says, one a line: that it listens, from when on no packet is missed, and at the end what has become of the
// capture, or why it could not go on. Exactly one of them is set.
type Report struct {
	Listening bool             `json:"listening,omitempty"`
	Result    *control.Capture `json:"result,omitempty"`
	Error     string           `json:"error,omitempty"`
}

// Main is the verb "capture": an [Order] as JSON. It prints a [Report] when it listens, and one at the end.
func Main(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one order, got %d arguments", len(args))
	}
	var o Order
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	reports := json.NewEncoder(os.Stdout)
	result, err := Run(o, os.NewFile(fileFD, "capture"), os.Stdin, func() error { return reports.Encode(Report{Listening: true}) })
	if err != nil {
		return reports.Encode(Report{Error: err.Error()})
	}
	return reports.Encode(Report{Result: &result})
}

// Run captures into out until stop ends or can be read. listening is called once every packet is heard.
func Run(o Order, out, stop *os.File, listening func() error) (result control.Capture, err error) {
	r, err := openRing(o.Device)
	if err != nil {
		return result, err
	}
	return run(o, r, out, stop, listening)
}

func run(o Order, r *ring, out, stop *os.File, listening func() error) (result control.Capture, err error) {
	defer r.close()
	w := &writer{file: out, limit: o.Limit, reserve: o.Reserve}
	if err := w.begin(); err != nil {
		return result, err
	}
	// The ring fills from here on by itself.
	if err := listening(); err != nil {
		return result, fmt.Errorf("say that the capture listens: %w", err)
	}
	for result.Ended == "" {
		stopped, err := r.wait(int(stop.Fd()))
		if err != nil {
			return result, err
		}
		if stopped {
			result.Ended = control.CaptureStopped
			// What arrives from now on is not wanted; what has arrived is in blocks that the kernel has not closed yet.
			r.detach()
		}
		if full := r.drain(w); full != "" {
			result.Ended = full
		}
		if w.err != nil {
			return result, w.err
		}
	}
	result.Packets, result.Bytes = w.packets, w.size
	result.Dropped, err = r.dropped()
	return result, errors.Join(err, out.Sync())
}

// free is what may still be written to a file's disk.
func free(f *os.File) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("measure the disk: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
