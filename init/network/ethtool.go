package network

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// virtualDrivers have a port that looks like one and obeys no speed.
var virtualDrivers = []string{"vmxnet3", "virtio_net", "veth", "hv_netvsc", "xen_netfront"}

func isVirtual(driver string) bool { return slices.Contains(virtualDrivers, driver) }

var errVirtual = errors.New("speed and duplex can be set on hardware only")

const (
	ethtoolGet = unix.ETHTOOL_GLINKSETTINGS
	ethtoolSet = unix.ETHTOOL_SLINKSETTINGS
	// maxModeWords is the largest number of 32-bit words that the kernel may ask for a link mode mask.
	maxModeWords = 127
	// autonegBit is ETHTOOL_LINK_MODE_Autoneg_BIT.
	autonegBit = 1 << 6

	duplexHalf = 0
	duplexFull = 1
	// speedUnknown is SPEED_UNKNOWN, (uint32)-1.
	speedUnknown = 1<<32 - 1
)

// linkSettings is struct ethtool_link_settings with room for the masks: supported, advertised, partner's.
type linkSettings struct {
	cmd, speed                               uint32
	duplex, port, phy, autoneg               uint8
	mdioSupport, mdix, mdixCtrl              uint8
	words                                    int8
	transceiver, clockCfg, clockState, match uint8
	reserved                                 [7]uint32
	masks                                    [3 * maxModeWords]uint32
}

// ifreqData is struct ifreq with a pointer.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

func ethtool(fd int, link string, s *linkSettings) error {
	var r ifreqData
	if len(link) >= len(r.name) {
		return fmt.Errorf("interface name %q is too long", link)
	}
	copy(r.name[:], link)
	r.data = unsafe.Pointer(s)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r)))
	runtime.KeepAlive(s)
	if errno != 0 {
		return errno
	}
	return nil
}

// portMode is what the port says, with the raw answer to build a change from.
type portMode struct {
	LinkMode
	raw linkSettings
}

// linkMode reads speed and duplex. The kernel first answers with the size of the masks that it wants, negated.
func linkMode(fd int, link string) (portMode, error) {
	ask := linkSettings{cmd: ethtoolGet}
	if err := ethtool(fd, link, &ask); err != nil {
		return portMode{}, err
	}
	if ask.words >= 0 {
		return portMode{}, errors.New("ethtool: no mask size")
	}
	s := linkSettings{cmd: ethtoolGet, words: -ask.words}
	if err := ethtool(fd, link, &s); err != nil {
		return portMode{}, err
	}
	if s.words != -ask.words || s.words < 0 || int(s.words) > maxModeWords {
		return portMode{}, errors.New("ethtool: the mask size has changed")
	}
	m := portMode{raw: s}
	m.Autoneg = s.autoneg == 1
	m.CanAutoneg = s.masks[0]&autonegBit != 0
	if s.speed != speedUnknown {
		m.Speed = int(s.speed)
	}
	m.FullDuplex = s.duplex == duplexFull
	return m, nil
}

// SetMode implements [Kernel].
func (k *Linux) SetMode(link string, mode LinkMode) error {
	err := k.here(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		now, err := linkMode(fd, link)
		if err != nil {
			return err
		}
		s := now.raw
		s.cmd = ethtoolSet
		words := int(s.words)
		// The partner's mask is the kernel's to tell.
		clear(s.masks[2*words:])
		if mode.Autoneg {
			s.autoneg = 1
			// Offer everything that the port can do.
			copy(s.masks[words:2*words], s.masks[:words])
		} else {
			s.autoneg = 0
			s.speed, s.duplex = uint32(mode.Speed), duplexHalf
			if mode.FullDuplex {
				s.duplex = duplexFull
			}
		}
		return ethtool(fd, link, &s)
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return errVirtual
	}
	return err
}
