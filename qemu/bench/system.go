package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rotunda/qemu"
	"rotunda/qemu/figures"
)

const (
	changes = 20
	batch   = 100
	rules   = 2000
	// clockAhead is how far the clock of the time server is from that of this host, and settles how long the machine has to follow it.
	clockAhead = 3*time.Hour + 250*time.Millisecond
	settles    = time.Minute
	// hostAddress is this host's loopback for a machine on QEMU's user network.
	hostAddress = "10.0.2.2"
)

// measureSystem is the area system: how long changes of the configuration take until they are applied and read back.
func measureSystem(ctx context.Context, tree qemu.Tree) (list []figures.Figure, err error) {
	dir, err := os.MkdirTemp("", "rotunda-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	stopClock, err := serveTime("127.0.0.1:123", clockAhead)
	if err != nil {
		return nil, err
	}
	defer stopClock()
	o := options(tree, "bench-system")
	o.NICs = append(o.NICs, qemu.NIC{})
	m, err := qemu.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := m.Serial.FirstLogin(ctx, "admin", "admin", password); err != nil {
		return nil, err
	}
	client, end, err := m.SSH("admin", password).Share(ctx, filepath.Join(dir, "c"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	s := system{ctx, client}
	if err := s.lines("ntp server add "+hostAddress, "ipv4 b add 198.18.0.2/24 198.18.0.1", "ipv4 b enable"); err != nil {
		return nil, err
	}
	began := time.Now()

	one, err := s.oneByOne()
	if err != nil {
		return nil, err
	}
	fmt.Printf("a change: %.0f ms\n", one)
	many, err := s.together()
	if err != nil {
		return nil, err
	}
	fmt.Printf("%d changes: %.0f ms\n", batch, many)
	select {
	case <-time.After(time.Until(began.Add(settles))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	offset, err := s.offset()
	if err != nil {
		return nil, err
	}
	fmt.Printf("clock: %.3f ms\n", offset)
	wall, err := s.firewall()
	if err != nil {
		return nil, err
	}
	fmt.Printf("%d rules: %.0f ms\n", rules, wall)
	return []figures.Figure{
		{Name: "config_change_ms", Value: one, Unit: "ms", Peer: figures.None, Goal: "<= 200"},
		{Name: "config_100_ms", Value: many, Unit: "ms", Peer: figures.None, Goal: "<= 1000"},
		{Name: "ntp_offset_ms", Value: offset, Unit: "ms", Peer: figures.None, Goal: "<= 5"},
		{Name: "firewall_2000_ms", Value: wall, Unit: "ms", Peer: figures.None, Goal: "<= 1000"},
	}, nil
}

// system is a shell over a connection that stays open.
type system struct {
	ctx    context.Context
	client qemu.Client
}

// run runs one command and returns what it says and how long it took.
func (s system) run(command, input string) (string, float64, error) {
	began := time.Now()
	r, err := s.client.Run(s.ctx, command, strings.NewReader(input))
	took := float64(time.Since(began).Microseconds()) / 1000
	if err != nil || r.Status != 0 {
		return "", 0, fmt.Errorf("run %q: status %d, %w: %.500s%.500s", command, r.Status, err, r.Stdout, r.Stderr)
	}
	return r.Stdout, took, nil
}

func (s system) lines(list ...string) error {
	for _, line := range list {
		if _, _, err := s.run(line, ""); err != nil {
			return err
		}
	}
	return nil
}

// oneByOne is the median of changes with a command each, to the answer, which comes after the change was read back.
func (s system) oneByOne() (float64, error) {
	var times []float64
	for n := range changes {
		_, took, err := s.run(fmt.Sprintf("ipv4 b route add 203.0.113.%d/32", n), "")
		if err != nil {
			return 0, err
		}
		times = append(times, took)
	}
	return figures.Median(times), s.holds("ipv4 b", "203.0.113.19")
}

// together is what a script with as many lines takes.
func (s system) together() (float64, error) {
	var b strings.Builder
	for n := range batch {
		fmt.Fprintf(&b, "dns app add rr \"host%d.example.com. 60 IN A 192.0.2.1\"\n", n)
	}
	_, took, err := s.run("", b.String())
	if err != nil {
		return 0, err
	}
	return took, s.holds("dns", "host0.example.com.", fmt.Sprintf("host%d.example.com.", batch-1))
}

// firewall is how long rules take to be in force, all in one change.
func (s system) firewall() (float64, error) {
	if err := s.lines("firewall b default allow"); err != nil {
		return 0, err
	}
	var b strings.Builder
	for n := range rules {
		fmt.Fprintf(&b, "firewall b deny %d/tcp from 198.51.100.0/24\n", 10000+n)
	}
	if _, took, err := s.run("", b.String()); err != nil {
		return 0, err
	} else {
		fmt.Printf("%d rules stored: %.1f s\n", rules, took/1000)
	}
	_, took, err := s.run("firewall b enable", "")
	if err != nil {
		return 0, err
	}
	return took, s.holds("firewall b", "Enabled : true", fmt.Sprintf("drop %d/tcp", 10000+rules-1))
}

func (s system) holds(command string, parts ...string) error {
	got, _, err := s.run(command, "")
	if err != nil {
		return err
	}
	for _, p := range parts {
		if !strings.Contains(got, p) {
			return fmt.Errorf("%s: no %q in %.2000s", command, p, got)
		}
	}
	return nil
}

var offsetLine = regexp.MustCompile(`(?m)^Status : synchronized, offset ([+-]?[0-9.]+) ms`)

// offset is how far the machine says that it is from its server.
func (s system) offset() (float64, error) {
	got, _, err := s.run("ntp status", "")
	if err != nil {
		return 0, err
	}
	m := offsetLine.FindStringSubmatch(got)
	if m == nil {
		return 0, fmt.Errorf("the clock is not synchronized: %s", got)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	return max(v, -v), err
}

// serveTime is an NTP server whose clock is ahead of this host's (RFC 5905, section 7.3), until stop is called.
func serveTime(address string, ahead time.Duration) (stop func(), err error) {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, fmt.Errorf("serve the time: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [512]byte
		for {
			n, from, err := conn.ReadFrom(b[:])
			if err != nil {
				return
			}
			if n >= 48 {
				_, _ = conn.WriteTo(timeAnswer(b[:48], time.Now().Add(ahead)), from)
			}
		}
	}()
	return func() {
		_ = conn.Close()
		<-done
	}, nil
}

// timeAnswer answers with a stratum 1 server's words.
func timeAnswer(question []byte, now time.Time) []byte {
	const seventyYears = 2_208_988_800 // from 1900 to 1970
	stamp := uint64(now.Unix()+seventyYears)<<32 | uint64(now.Nanosecond())<<32/1_000_000_000
	a := make([]byte, 48)
	a[0], a[1], a[2], a[3] = 4<<3|4, 1, question[2], 0xec
	copy(a[12:], "GPS\x00")
	binary.BigEndian.PutUint64(a[16:], stamp)
	copy(a[24:32], question[40:48])
	binary.BigEndian.PutUint64(a[32:], stamp)
	binary.BigEndian.PutUint64(a[40:], stamp)
	return a
}
