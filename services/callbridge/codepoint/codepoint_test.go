package codepoint

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDatagramsCarryTheMark(t *testing.T) {
	for address, level := range map[string][3]int{
		"127.0.0.1": {unix.IPPROTO_IP, unix.IP_RECVTOS, unix.IP_TOS},
		"::1":       {unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS},
	} {
		far, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address)})
		if err != nil {
			t.Logf("%s: %v", address, err)
			continue
		}
		defer far.Close()
		raw, err := far.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var set error
		if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level[0], level[1], 1) }); err != nil || set != nil {
			t.Fatal(err, set)
		}
		near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address)})
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		for _, dscp := range []uint8{24, 0, 63} {
			if err := Set(near, dscp); err != nil {
				t.Fatal(err)
			}
			if _, err := near.WriteTo([]byte("x"), far.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			var b, oob [128]byte
			_, n, _, _, err := far.ReadMsgUDP(b[:], oob[:])
			if err != nil {
				t.Fatal(err)
			}
			list, err := unix.ParseSocketControlMessage(oob[:n])
			if err != nil || len(list) != 1 || list[0].Header.Type != int32(level[2]) || list[0].Data[0] != dscp<<2 {
				t.Errorf("%s: want DSCP %d, got %v, %v", address, dscp, list, err)
			}
		}
	}
}

func TestConnectionsHaveTheMarkOfTheirListener(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Set(l, 24); err != nil {
		t.Fatal(err)
	}
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var tos int
	if err := raw.Control(func(fd uintptr) { tos, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS) }); err != nil || tos != 24<<2 {
		t.Errorf("want type of service %#x, got %#x, %v", 24<<2, tos, err)
	}
	c.Close()
	if err := Set(c, 1); err == nil {
		t.Error("want an error of a closed connection")
	}
}
