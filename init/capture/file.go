package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"rotunda/init/control"
)

// The layout of a pcap file (draft-ietf-opsawg-pcap).
const (
	magicNanoseconds = 0xa1b23c4d
	linkEthernet     = 1
	headerSize       = 24
	recordSize       = 16
)

// packet is one packet of the ring. Its bytes are valid until the kernel has the block back.
type packet struct {
	second, nanosecond uint32
	// length is what it had on the wire; data may be less.
	length uint32
	data   []byte
	// tag is the VLAN tag that the card took out, tagged whether there is one.
	tagged bool
	tag    [4]byte
}

const packetHeader = int(unsafe.Sizeof(unix.Tpacket3Hdr{}))

// packets gives those of one block. A block that leads out of itself ends there.
func packets(block []byte, first, count int) iter.Seq[packet] {
	return func(yield func(packet) bool) {
		at := first
		for range count {
			if at < 0 || at+packetHeader > len(block) || at%4 != 0 {
				return
			}
			h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[at]))
			from := at + int(h.Mac)
			to := from + int(h.Snaplen)
			if to > len(block) {
				return
			}
			p := packet{second: h.Sec, nanosecond: h.Nsec, length: h.Len, data: block[from:to]}
			if h.Status&unix.TP_STATUS_VLAN_VALID != 0 {
				kind := uint16(unix.ETH_P_8021Q)
				if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
					kind = h.Hv1.Vlan_tpid
				}
				p.tagged = true
				binary.BigEndian.PutUint16(p.tag[:], kind)
				binary.BigEndian.PutUint16(p.tag[2:], uint16(h.Hv1.Vlan_tci))
			}
			if !yield(p) || h.Next_offset == 0 {
				return
			}
			at += int(h.Next_offset)
		}
	}
}

// writer is the file. err is set once it could not be written.
type writer struct {
	file    *os.File
	limit   int64
	reserve uint64

	buffer  []byte
	size    int64
	packets uint64
	err     error
}

func (w *writer) begin() error {
	h := make([]byte, 0, headerSize)
	h = binary.LittleEndian.AppendUint32(h, magicNanoseconds)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = binary.LittleEndian.AppendUint64(h, 0)
	h = binary.LittleEndian.AppendUint32(h, Snap)
	h = binary.LittleEndian.AppendUint32(h, linkEthernet)
	if _, err := w.file.Write(h); err != nil {
		return fmt.Errorf("write the capture: %w", err)
	}
	w.size = headerSize
	return nil
}

// put writes packets in one write. It returns why nothing more can be written.
func (w *writer) put(list iter.Seq[packet]) (full string) {
	room, err := free(w.file)
	if err != nil {
		w.err = err
		return ""
	}
	limit, because := w.limit-w.size, control.CaptureLimit
	if spare := int64(room) - int64(w.reserve); spare < limit {
		limit, because = spare, control.CaptureDisk
	}
	w.buffer = w.buffer[:0]
	count := uint64(0)
	for p := range list {
		before := len(w.buffer)
		w.buffer = appendRecord(w.buffer, p)
		if int64(len(w.buffer)) > limit {
			w.buffer, full = w.buffer[:before], because
			break
		}
		count++
	}
	n, err := w.file.Write(w.buffer)
	if errors.Is(err, unix.ENOSPC) {
		// Others have written too. Half a record would make the file look damaged.
		err, full, count = w.file.Truncate(w.size), control.CaptureDisk, 0
		n = 0
	}
	if err != nil {
		w.err = fmt.Errorf("write the capture: %w", err)
		return ""
	}
	w.size += int64(n)
	w.packets += count
	return full
}

// appendRecord puts a VLAN tag back between the addresses and the type.
func appendRecord(b []byte, p packet) []byte {
	const addresses = 12
	data, length := p.data, p.length
	tagged := p.tagged && len(data) >= addresses
	have := len(data)
	if tagged {
		have += len(p.tag)
		length += uint32(len(p.tag))
	}
	have = min(have, Snap)
	b = binary.LittleEndian.AppendUint32(b, p.second)
	b = binary.LittleEndian.AppendUint32(b, p.nanosecond)
	b = binary.LittleEndian.AppendUint32(b, uint32(have))
	b = binary.LittleEndian.AppendUint32(b, length)
	end := len(b) + have
	if tagged {
		b = append(b, data[:addresses]...)
		b = append(b, p.tag[:]...)
		data = data[addresses:]
	}
	b = append(b, data[:min(len(data), end-len(b))]...)
	return b
}
