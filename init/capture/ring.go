package capture

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// A block is handed over when it is full or blockWait old. 16 MiB hold 130 ms of a full gigabit.
	blockSize = 1 << 20
	blocks    = 16
	blockWait = 100 // ms
	// frameSize is what the kernel wants to know and does not use with blocks.
	frameSize = 1 << 11
)

// ring is a packet socket whose packets arrive in memory that it shares with the kernel.
type ring struct {
	fd     int
	memory []byte
	next   int
	lost   uint64
}

func openRing(device string) (*ring, error) {
	at, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", device, err)
	}
	// Without a protocol it hears nothing before it is bound, or it would begin with packets of other interfaces.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	r := &ring{fd: fd}
	if err := r.setUp(at.Index); err != nil {
		r.close()
		return nil, fmt.Errorf("capture on %s: %w", device, err)
	}
	return r, nil
}

func (r *ring) setUp(index int) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("choose the layout of the ring: %w", err)
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: blockSize, Block_nr: blocks, Frame_size: frameSize, Frame_nr: blockSize / frameSize * blocks, Retire_blk_tov: blockWait,
	}); err != nil {
		return fmt.Errorf("make the ring: %w", err)
	}
	var err error
	if r.memory, err = unix.Mmap(r.fd, 0, blockSize*blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// Frames that are for somebody else are what one looks for at a mirrored port. It ends with the socket.
	if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}); err != nil {
		return fmt.Errorf("hear every frame: %w", err)
	}
	return nil
}

func bigEndian(n uint16) uint16 { return n<<8 | n>>8 }

func (r *ring) close() {
	if r.memory != nil {
		_ = unix.Munmap(r.memory)
	}
	_ = unix.Close(r.fd)
}

// wait returns when a block is there, or when stop has ended or can be read.
func (r *ring) wait(stop int) (stopped bool, err error) {
	for {
		if r.block().Block_status&unix.TP_STATUS_USER != 0 {
			// Under a load that never ends, stop is to be looked at all the same.
			list := []unix.PollFd{{Fd: int32(stop), Events: unix.POLLIN}}
			_, err := unix.Poll(list, 0)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return false, fmt.Errorf("wait for packets: %w", err)
			}
			return list[0].Revents != 0, nil
		}
		list := []unix.PollFd{{Fd: int32(stop), Events: unix.POLLIN}, {Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}}
		_, err := unix.Poll(list, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("wait for packets: %w", err)
		}
		if list[0].Revents != 0 {
			return true, nil
		}
		if list[1].Revents&unix.POLLERR != 0 {
			// An interface that goes down says so once and is heard again when it comes up.
			if _, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
				return false, fmt.Errorf("wait for packets: %w", err)
			}
		}
	}
}

// detach ends what arrives and waits until the kernel has handed over the block that it was filling.
func (r *ring) detach() {
	// A protocol that nobody uses: 0 would mean the one there is.
	_ = unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_LOOP), Ifindex: 0})
	list := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(list, 3*blockWait)
}

func (r *ring) block() *unix.TpacketHdrV1 {
	// The header of a block follows 8 bytes of version and offset (struct tpacket_block_desc).
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&r.memory[r.next*blockSize+8]))
	return &unix.TpacketHdrV1{
		Block_status: atomic.LoadUint32(&h.Block_status), Num_pkts: h.Num_pkts, Offset_to_first_pkt: h.Offset_to_first_pkt, Blk_len: h.Blk_len,
	}
}

// drain writes the blocks that are there; it returns why nothing more can be written, as [control.Capture] has it.
func (r *ring) drain(w *writer) (full string) {
	for range blocks {
		b := r.block()
		if b.Block_status&unix.TP_STATUS_USER == 0 {
			return ""
		}
		data := r.memory[r.next*blockSize : (r.next+1)*blockSize]
		full = w.put(packets(data, int(b.Offset_to_first_pkt), int(b.Num_pkts)))
		// The kernel has it back.
		atomic.StoreUint32((*uint32)(unsafe.Pointer(&r.memory[r.next*blockSize+8])), unix.TP_STATUS_KERNEL)
		r.next = (r.next + 1) % blocks
		if full != "" || w.err != nil {
			return full
		}
	}
	return ""
}

// dropped is how many packets found the ring full.
func (r *ring) dropped() (uint64, error) {
	// Reading sets the kernel's count to 0.
	st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return r.lost, fmt.Errorf("count dropped packets: %w", err)
	}
	r.lost += uint64(st.Drops)
	return r.lost, nil
}
