package dhcp

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors that the parent hands down.
const (
	packetSocket = 3
	arpSocket    = 4
)

// Arguments are what [Main] reads; PID 1 makes the command line from them.
type Arguments struct {
	// Interface is the kernel's name, for messages only.
	Interface string
	Index     int
	MAC       net.HardwareAddr
	Hostname  string
	// Request is the address of a lease that is still valid; the zero value if there is none.
	Request netip.Addr
}

// List returns the arguments after the verb.
func (a Arguments) List() []string {
	list := []string{"-index", fmt.Sprint(a.Index), "-mac", a.MAC.String(), "-hostname", a.Hostname}
	if a.Request.IsValid() {
		list = append(list, "-request", a.Request.String())
	}
	return append(list, a.Interface)
}

func parseArguments(args []string) (Arguments, error) {
	var a Arguments
	var mac, request string
	set := flag.NewFlagSet("dhcp", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.IntVar(&a.Index, "index", 0, "")
	set.StringVar(&mac, "mac", "", "")
	set.StringVar(&a.Hostname, "hostname", "", "")
	set.StringVar(&request, "request", "", "")
	if err := set.Parse(args); err != nil {
		return a, err
	}
	if set.NArg() != 1 || a.Index <= 0 {
		return a, errors.New("want -index, -mac and the name of an interface")
	}
	a.Interface = set.Arg(0)
	var err error
	if a.MAC, err = net.ParseMAC(mac); err != nil || len(a.MAC) != 6 {
		return a, fmt.Errorf("%q is no MAC address", mac)
	}
	if request != "" {
		if a.Request, err = netip.ParseAddr(request); err != nil || !isHost(a.Request) {
			return a, fmt.Errorf("%q is no IPv4 host address", request)
		}
	}
	return a, nil
}

// Main is the verb "dhcp" of PID 1's program. It runs until a socket or standard output fails, or until it is killed;
// it has nothing to clean up. The result is the exit status.
func Main(args []string) int {
	a, err := parseArguments(args)
	if err == nil {
		err = run(a, os.Stdout, os.Stderr)
	}
	fmt.Fprintf(os.Stderr, "<27>dhcp: %v\n", err)
	return 1
}

// received is one frame of either socket, or the error that ended it.
type received struct {
	reply reply
	arp   []byte
	err   error
}

func run(a Arguments, out, log io.Writer) error {
	packets, err := openSocket(packetSocket, a.Index, unix.ETH_P_IP)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	arps, err := openSocket(arpSocket, a.Index, unix.ETH_P_ARP)
	if err != nil {
		packets.Close()
		return fmt.Errorf("ARP socket: %w", err)
	}
	in := make(chan received)
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { packets.readReplies(in, done) })
	readers.Go(func() { arps.readARP(in, done) })
	defer func() {
		close(done)
		packets.Close()
		arps.Close()
		readers.Wait()
	}()

	m := &machine{
		settings: settings{mac: a.MAC, hostname: a.Hostname, request: a.Request},
		number:   rand.Uint32,
		jitter:   func() float64 { return 0.8 + 0.4*rand.Float64() },
	}
	perform := func(actions []action) error {
		for _, act := range actions {
			switch {
			case act.log != "":
				fmt.Fprintf(log, "<30>dhcp: %s: %s\n", a.Interface, act.log)
			case act.report != nil:
				if err := emit(out, *act.report); err != nil {
					return err
				}
			case act.arp != nil:
				// A frame that cannot leave now (the link is going down) is sent again at the next deadline.
				if err := arps.send(act.arp, nil); err != nil {
					fmt.Fprintf(log, "<28>dhcp: %s: send ARP: %v\n", a.Interface, err)
				}
			case act.send != nil:
				s := act.send
				if err := packets.send(datagram(s.source, s.destination, s.message.ToBytes()), s.to); err != nil {
					fmt.Fprintf(log, "<28>dhcp: %s: send %v: %v\n", a.Interface, s.message.MessageType(), err)
				}
			}
		}
		return nil
	}

	if err := perform(m.start(time.Now())); err != nil {
		return err
	}
	for {
		var timer <-chan time.Time
		if !m.deadline.IsZero() {
			timer = time.After(time.Until(m.deadline))
		}
		var actions []action
		select {
		case <-timer:
			actions = m.expire(time.Now())
		case r := <-in:
			switch {
			case r.err != nil:
				return r.err
			case r.arp != nil:
				actions = m.heard(time.Now(), r.arp)
			default:
				actions = m.receive(time.Now(), r.reply)
			}
		}
		if err := perform(actions); err != nil {
			return err
		}
	}
}

// emit writes one event as one line with one write.
func emit(w io.Writer, e Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("report event: %w", err)
	}
	return nil
}

// socket is a packet socket without link header (SOCK_DGRAM, packet(7)), bound to one link.
type socket struct {
	file     *os.File
	index    int
	protocol uint16
}

func openSocket(fd, index int, protocol uint16) (*socket, error) {
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	// os/exec hands descriptors down in blocking mode.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return &socket{os.NewFile(uintptr(fd), "packet"), index, protocol}, nil
}

func (s *socket) Close() { s.file.Close() }

// send puts a payload on the link, to everybody if to is nil.
func (s *socket) send(p []byte, to net.HardwareAddr) error {
	if to == nil {
		to = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	address := &unix.SockaddrLinklayer{Protocol: networkOrder(s.protocol), Ifindex: s.index, Halen: 6}
	copy(address.Addr[:], to)
	conn, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), p, 0, address)
		return sent != unix.EAGAIN
	})
	return errors.Join(err, sent)
}

// receive reads one packet with its sender's MAC address. partial says that the UDP checksum was left to hardware.
func (s *socket) receive(b []byte) (n int, from net.HardwareAddr, partial bool, err error) {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return 0, nil, false, err
	}
	control := make([]byte, 128)
	var controlled int
	var sender unix.Sockaddr
	var got error
	err = conn.Read(func(fd uintptr) bool {
		n, controlled, _, sender, got = unix.Recvmsg(int(fd), b, control, 0)
		return got != unix.EAGAIN
	})
	if err = errors.Join(err, got); err != nil {
		return 0, nil, false, err
	}
	if l, ok := sender.(*unix.SockaddrLinklayer); ok && l.Halen == 6 {
		from = net.HardwareAddr(append([]byte(nil), l.Addr[:6]...))
	}
	messages, err := unix.ParseSocketControlMessage(control[:controlled])
	if err != nil {
		return n, from, false, nil
	}
	for _, c := range messages {
		// struct tpacket_auxdata starts with tp_status.
		if c.Header.Level == unix.SOL_PACKET && c.Header.Type == unix.PACKET_AUXDATA && len(c.Data) >= 4 {
			partial = binary.NativeEndian.Uint32(c.Data)&unix.TP_STATUS_CSUMNOTREADY != 0
		}
	}
	return n, from, partial, nil
}

// passing tells errors of a link that went down, after which the socket works again, from the end of the socket.
func passing(err error) bool {
	return errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS)
}

// deliver hands a frame to the loop; false when the loop has ended.
func deliver(in chan<- received, done <-chan struct{}, r received) bool {
	select {
	case in <- r:
		return r.err == nil
	case <-done:
		return false
	}
}

func (s *socket) readReplies(in chan<- received, done <-chan struct{}) {
	b := make([]byte, maxPacket)
	for {
		n, from, partial, err := s.receive(b)
		if passing(err) {
			continue
		}
		if err != nil {
			deliver(in, done, received{err: fmt.Errorf("receive: %w", err)})
			return
		}
		message, err := payload(b[:n], partial)
		if err != nil {
			continue
		}
		r, err := parseReply(message)
		if err != nil {
			continue
		}
		r.via = from
		if !deliver(in, done, received{reply: r}) {
			return
		}
	}
}

func (s *socket) readARP(in chan<- received, done <-chan struct{}) {
	for {
		b := make([]byte, 64)
		n, _, _, err := s.receive(b)
		if passing(err) {
			continue
		}
		if err != nil {
			deliver(in, done, received{err: fmt.Errorf("receive ARP: %w", err)})
			return
		}
		if !deliver(in, done, received{arp: b[:n]}) {
			return
		}
	}
}

// networkOrder turns a protocol number to what sockaddr_ll wants.
func networkOrder(p uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(p >> 8), byte(p)})
}
