package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rotunda/init/control"
	"rotunda/init/network/namespacetest"
)

// record is one packet of a file.
type record struct {
	at     time.Time
	length int
	data   []byte
}

// read takes a file apart and is strict.
func read(t *testing.T, file string) []record {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < headerSize || binary.LittleEndian.Uint32(b) != 0xa1b23c4d || binary.LittleEndian.Uint32(b[16:]) != 65535 || binary.LittleEndian.Uint32(b[20:]) != 1 {
		t.Fatalf("the file begins with % x", b[:min(len(b), headerSize)])
	}
	var list []record
	for b = b[headerSize:]; len(b) > 0; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		list = append(list, record{time.Unix(int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))), int(binary.LittleEndian.Uint32(b[12:])), b[recordSize : recordSize+n]})
		b = b[recordSize+n:]
	}
	return list
}

// inNamespace runs f on a thread of its own network.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	namespacetest.New(t).Must(t, func() error {
		f()
		return nil
	})
}

// cable makes two ends that are up and have no address, so that nobody but the test sends much.
func cable(t *testing.T) {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name = "near"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "far"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"near", "far"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644)
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// send puts a frame on the wire.
func send(t *testing.T, device string, frame []byte) {
	t.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		t.Error(err)
		return
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index}); err != nil {
		t.Error(err)
	}
}

// frame is an Ethernet frame of a protocol for experiments, with a number in it.
func frame(n, size int, tag ...byte) []byte {
	f := append(bytes.Repeat([]byte{0x02, 0, 0, 0, 0, 1}, 2), tag...)
	f = append(f, 0x88, 0xb5)
	f = binary.BigEndian.AppendUint32(f, uint32(n))
	return append(f, make([]byte, max(0, size-len(f)))...)
}

// capture runs in the calling thread's network and ends when end is called.
func capture(t *testing.T, o Order, file string) (end func() (control.Capture, error)) {
	t.Helper()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	told, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		result control.Capture
		err    error
	}
	done := make(chan outcome, 1)
	// Sockets belong to the network of the thread that opens them, so the ring is opened here, and the rest may run anywhere.
	r, err := openRing(o.Device)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer out.Close()
		result, err := run(o, r, out, told, func() error { return nil })
		done <- outcome{result, err}
	}()
	return func() (control.Capture, error) {
		tell.Close()
		o := <-done
		told.Close()
		return o.result, o.err
	}
}

func TestBothDirectionsAreCapturedAndRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	const sent = 400
	inNamespace(t, func() {
		cable(t)
		end := capture(t, Order{Device: "near", Limit: 1 << 30}, file)
		began := time.Now()
		for n := range sent / 2 {
			send(t, "near", frame(2*n, 60))
			send(t, "far", frame(2*n+1, 1514))
		}
		result, err := end()
		if err != nil || result.Ended != control.CaptureStopped || result.Packets < sent || result.Dropped != 0 {
			t.Errorf("got %+v, %v, want %d packets or more", result, err, sent)
		}
		next := 0
		for _, r := range read(t, file) {
			if string(r.data[12:14]) != "\x88\xb5" {
				continue
			}
			n := int(binary.BigEndian.Uint32(r.data[14:]))
			if want := []int{60, 1514}[n%2]; n != next || r.length != want || len(r.data) != want {
				t.Fatalf("packet %d of %d bytes where %d of %d was to come", n, r.length, next, want)
			}
			if r.at.Before(began.Add(-time.Second)) || r.at.After(time.Now().Add(time.Second)) {
				t.Errorf("packet %d has the time %v", n, r.at)
			}
			next++
		}
		if next != sent {
			t.Errorf("%d packets of %d are there", next, sent)
		}
		if st, err := os.Stat(file); err != nil || st.Size() != result.Bytes {
			t.Errorf("the file has %d bytes, the capture tells of %d", st.Size(), result.Bytes)
		}
	})
	if t.Failed() || t.Skipped() {
		return
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: image/install-packages test")
	}
	b, err := exec.Command(tshark, "-n", "-r", file, "-Y", "eth.type == 0x88b5", "-T", "fields", "-e", "frame.len", "-e", "eth.src").CombinedOutput()
	if got := strings.Count(string(b), "\t02:00:00:00:00:01\n"); err != nil || got != sent {
		t.Errorf("tshark reads %d frames, %v:\n%.1000s", got, err, b)
	}
}

func TestAVLANTagIsThereAsOnTheWire(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	tag := []byte{0x81, 0x00, 0x00, 0x2a}
	inNamespace(t, func() {
		cable(t)
		end := capture(t, Order{Device: "near", Limit: 1 << 30}, file)
		send(t, "far", frame(1, 60, tag...))
		if _, err := end(); err != nil {
			t.Error(err)
		}
		for _, r := range read(t, file) {
			if bytes.Equal(r.data, frame(1, 60, tag...)) && r.length == 60 {
				return
			}
		}
		t.Error("the frame is not there as it was sent")
	})
}

func TestAFileEndsAtItsLimitWithAWholePacket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	inNamespace(t, func() {
		cable(t)
		end := capture(t, Order{Device: "near", Limit: 10_000}, file)
		for n := range 40 {
			send(t, "near", frame(n, 1000))
		}
		result, err := end()
		if err != nil || result.Ended != control.CaptureLimit || result.Bytes > 10_000 || result.Bytes < 8_000 || result.Packets != uint64(len(read(t, file))) {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

func TestTheLastOfADiskIsLeft(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	inNamespace(t, func() {
		cable(t)
		end := capture(t, Order{Device: "near", Limit: 1 << 30, Reserve: 1 << 60}, file)
		send(t, "near", frame(1, 1000))
		result, err := end()
		if err != nil || result.Ended != control.CaptureDisk || len(read(t, file)) != 0 {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

func TestAnInterfaceMayGoDownMeanwhile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	inNamespace(t, func() {
		cable(t)
		end := capture(t, Order{Device: "near", Limit: 1 << 30}, file)
		send(t, "near", frame(1, 60))
		l, err := netlink.LinkByName("near")
		if err = errors.Join(err, netlink.LinkSetDown(l), netlink.LinkSetUp(l)); err != nil {
			t.Error(err)
		}
		send(t, "near", frame(2, 60))
		result, err := end()
		if err != nil || result.Ended != control.CaptureStopped {
			t.Errorf("got %+v, %v", result, err)
		}
		var got []uint32
		for _, r := range read(t, file) {
			if string(r.data[12:14]) == "\x88\xb5" {
				got = append(got, binary.BigEndian.Uint32(r.data[14:]))
			}
		}
		if fmt.Sprint(got) != "[1 2]" {
			t.Errorf("wanted both packets, got %v", got)
		}
	})
}

func TestOrdersThatCannotBeFollowed(t *testing.T) {
	for name, args := range map[string][]string{"nothing": nil, "no JSON": {"x"}} {
		if err := Main(args); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	listening := func() error {
		t.Error("it says that it listens")
		return nil
	}
	if _, err := Run(Order{Device: "nosuch0", Limit: 1}, out, os.Stdin, listening); err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("an interface that there is not: %v", err)
	}
}

// TestMain lets this test's own file be the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "capture" {
		if err := Main(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// program starts the program in the network of the calling thread. It ends when tell is closed, and with the test.
func program(t *testing.T, o Order, file string) (reports *json.Decoder, tell io.Closer) {
	t.Helper()
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("/proc/self/exe", "capture", string(order))
	cmd.ExtraFiles, cmd.Stderr = []*os.File{out}, os.Stderr
	tell, err = cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tell.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return json.NewDecoder(said), tell
}

func TestNothingIsMissedOnceTheProgramSaysThatItListens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	inNamespace(t, func() {
		cable(t)
		reports, tell := program(t, Order{Device: "near", Limit: 1 << 30}, file)
		var first, last Report
		if err := reports.Decode(&first); err != nil || first != (Report{Listening: true}) {
			t.Errorf("first it says %+v, %v", first, err)
		}
		send(t, "far", frame(7, 60))
		tell.Close()
		if err := reports.Decode(&last); err != nil || last.Result == nil || last.Result.Ended != control.CaptureStopped || last.Error != "" {
			t.Errorf("last it says %+v, %v", last, err)
		}
		for _, r := range read(t, file) {
			if bytes.Equal(r.data, frame(7, 60)) {
				return
			}
		}
		t.Error("the frame that was sent then is not there")
	})
}

func TestTheProgramSaysWhyItCannotListen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	reports, _ := program(t, Order{Device: "nosuch0", Limit: 1}, file)
	var r Report
	if err := reports.Decode(&r); err != nil || r.Listening || r.Result != nil || !strings.Contains(r.Error, "nosuch0") {
		t.Errorf("it says %+v, %v", r, err)
	}
	if st, err := os.Stat(file); err != nil || st.Size() != 0 {
		t.Errorf("the file: %v, %v", st, err)
	}
}

// FuzzPackets: a block is the kernel's, and still nothing in it leads out of it.
func FuzzPackets(f *testing.F) {
	f.Add(make([]byte, 256), 48, 3)
	f.Fuzz(func(t *testing.T, block []byte, first, count int) {
		aligned := make([]byte, len(block)+8)
		copy(aligned, block)
		n := 0
		for p := range packets(aligned[:len(block)], first, min(count, 1000)) {
			b := appendRecord(nil, p)
			if len(b) > recordSize+Snap || len(b) != recordSize+int(binary.LittleEndian.Uint32(b[8:])) {
				t.Fatalf("a record of %d bytes", len(b))
			}
			n++
		}
		if n > 1000 {
			t.Fatalf("%d packets", n)
		}
	})
}
