package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	starts       = 3
	commands     = 100
	uploads      = 3
	uploadSize   = 48 << 20
	startLimit   = 3 * time.Minute
	password     = "Correct-Horse-7"
	benchVersion = "100.0-bench"
)

// measureBoot is the area boot: from power-on to a committed upgrade, and what the shell can do.
func measureBoot(ctx context.Context, tree qemu.Tree) ([]figures.Figure, error) {
	dir, err := os.MkdirTemp("", "rotunda-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	efi, err := os.Stat(tree.Product("rotunda.efi"))
	if err != nil {
		return nil, fmt.Errorf("find EFI image: %w", err)
	}
	upgrade, err := tree.BuildUpgrade(ctx, benchVersion, "")
	if err != nil {
		return nil, err
	}
	list := []figures.Figure{{Name: "efi_image_mib", Value: float64(efi.Size()) / (1 << 20), Unit: "MiB", Peer: figures.None, Goal: "<= 64"}}

	boot, err := measureStarts(ctx, tree)
	if err != nil {
		return nil, err
	}
	list = append(list, figures.Figure{Name: "boot_login_s", Value: boot, Unit: "s", Peer: figures.None, Goal: "<= 20"})

	ours, err := measureMachine(ctx, tree, dir, upgrade)
	if err != nil {
		return nil, err
	}
	fmt.Println("starting the peer")
	theirs, release, err := measurePeer(ctx, tree, dir)
	if err != nil {
		return nil, err
	}
	server := "OpenSSH " + release + " server of Debian, on the same kernel under the same emulation"
	return append(list,
		figures.Figure{Name: "idle_ram_mib", Value: ours.idle, Unit: "MiB", Peer: figures.None, Goal: "<= 256"},
		figures.Figure{Name: "pid1_rss_mib", Value: ours.pid1, Unit: "MiB", Peer: figures.None, Goal: "<= 24"},
		figures.Figure{Name: "ssh_command_ms", Value: ours.command, Unit: "ms", Goal: "<= 50"}.
			Against(server+", running /bin/true", theirs.command),
		figures.Figure{Name: "sftp_mb_s", Value: ours.upload, Unit: "MB/s", Goal: ">= 20"}.
			Against(server+", sftp-server writing to memory (ours writes to disk)", theirs.upload),
		figures.Figure{Name: "upgrade_commit_s", Value: ours.commit, Unit: "s", Peer: figures.None, Goal: "<= 90"},
	), nil
}

func options(tree qemu.Tree, name string) qemu.Options {
	return qemu.Options{
		Name: name, Disk: qemu.Disk{Path: tree.Product("disk.img")},
		NICs:       []qemu.NIC{{Forward: []qemu.Forward{{Guest: 22}}}},
		Transcript: filepath.Join(tree.Root, "build", "test-logs", name+".serial"),
	}
}

// measureStarts returns the median time from power-on to the login prompt.
func measureStarts(ctx context.Context, tree qemu.Tree) (float64, error) {
	var times []float64
	for i := range starts {
		took, err := measureStart(ctx, tree)
		if err != nil {
			return 0, err
		}
		fmt.Printf("start %d of %d: login after %.1f s\n", i+1, starts, took)
		times = append(times, took)
	}
	return figures.Median(times), nil
}

func measureStart(ctx context.Context, tree qemu.Tree) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	m, err := qemu.Start(ctx, options(tree, "bench-start"))
	if err != nil {
		return 0, err
	}
	defer m.Close()
	if _, err := m.Serial.Expect(ctx, qemu.LoginPrompt); err != nil {
		return 0, err
	}
	return time.Since(m.Started).Seconds(), nil
}

// shell is what is measured of a machine that runs.
type shell struct {
	idle, pid1 float64 // MiB
	command    float64 // ms
	upload     float64 // MB/s
	commit     float64 // s
}

func measureMachine(ctx context.Context, tree qemu.Tree, dir, upgrade string) (s shell, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	m, err := qemu.Start(ctx, options(tree, "bench-machine"))
	if err != nil {
		return s, err
	}
	defer m.Close()
	if err := m.Serial.FirstLogin(ctx, "admin", "admin", password); err != nil {
		return s, err
	}
	health, err := m.Serial.Command(ctx, "health")
	if err != nil {
		return s, err
	}
	if s.idle, s.pid1, err = memory(health); err != nil {
		return s, err
	}
	fmt.Printf("idle: %.0f MiB in use, PID 1 %.1f MiB\n", s.idle, s.pid1)
	client := m.SSH("admin", password)
	if s.command, s.upload, err = measureSSH(ctx, client, dir, "whoami", "bench.img"); err != nil {
		return s, err
	}
	if r, err := client.SFTP(ctx, "put "+upgrade+" upgrade.img"); err != nil || r.Status != 0 {
		return s, fmt.Errorf("put upgrade.img: status %d, %w: %s", r.Status, err, r.Stderr)
	}
	if s.commit, err = measureUpgrade(ctx, m, client); err != nil {
		return s, err
	}
	fmt.Printf("upgrade committed after %.1f s\n", s.commit)
	return s, nil
}

// measureUpgrade answers Y and waits until the new version runs and is committed.
func measureUpgrade(ctx context.Context, m *qemu.Machine, client qemu.Client) (float64, error) {
	m.Serial.Drain()
	if err := m.Serial.Send("upgrade\r"); err != nil {
		return 0, err
	}
	if _, err := m.Serial.Expect(ctx, `\(Y/n\)[^\n]*\z`); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := m.Serial.Send("Y\r"); err != nil {
		return 0, err
	}
	if _, err := m.Serial.Expect(ctx, qemu.LoginPrompt); err != nil {
		return 0, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := client.Run(ctx, "upgrade list", nil)
		for line := range strings.Lines(r.Stdout) {
			if err == nil && strings.Contains(line, benchVersion) && strings.Contains(line, "running") && !strings.Contains(line, "trial") {
				return time.Since(began).Seconds(), nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for the commit: %w: %s", ctx.Err(), r.Stdout)
		}
	}
}

func measurePeer(ctx context.Context, tree qemu.Tree, dir string) (s shell, release string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	p, err := startPeer(ctx, tree, dir)
	if err != nil {
		return s, "", err
	}
	defer p.machine.Close()
	s.command, s.upload, err = measureSSH(ctx, p.client, dir, "/bin/true", "/tmp/bench.img")
	return s, p.release, err
}

// measureSSH returns the median time of a command over an open connection, in ms, and the median speed of an upload over
// it, in MB/s. OpenSSH's connection sharing keeps the connection open; starting the client itself, some milliseconds, is
// part of both, here and for the peer.
func measureSSH(ctx context.Context, client qemu.Client, dir, command, target string) (ms, speed float64, err error) {
	client, end, err := client.Share(ctx, filepath.Join(dir, "c-"+client.User))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, end()) }()

	var times []float64
	for range commands {
		began := time.Now()
		if r, err := client.Run(ctx, command, nil); err != nil || r.Status != 0 {
			return 0, 0, fmt.Errorf("run %s: status %d, %w: %s", command, r.Status, err, r.Stderr)
		}
		times = append(times, float64(time.Since(began).Microseconds())/1000)
	}
	file := filepath.Join(dir, "upload")
	content := make([]byte, uploadSize)
	_, _ = rand.Read(content)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return 0, 0, fmt.Errorf("make upload: %w", err)
	}
	var speeds []float64
	for range uploads {
		began := time.Now()
		r, err := client.SFTP(ctx, "put "+file+" "+target)
		if err != nil || r.Status != 0 {
			return 0, 0, fmt.Errorf("upload: status %d, %w: %s", r.Status, err, r.Stderr)
		}
		speeds = append(speeds, uploadSize/1e6/time.Since(began).Seconds())
		if r, err := client.SFTP(ctx, "rm "+target); err != nil || r.Status != 0 {
			return 0, 0, fmt.Errorf("remove upload: status %d, %w: %s", r.Status, err, r.Stderr)
		}
	}
	fmt.Printf("commands %.1f ms, uploads %.1f MB/s\n", figures.Median(times), figures.Median(speeds))
	return figures.Median(times), figures.Median(speeds), nil
}

var (
	memoryLine = regexp.MustCompile(`(?m)^Memory\s*: (\S+) available of (\S+)$`)
	systemLine = regexp.MustCompile(`(?m)^System\s*: (\S+) resident$`)
)

// memory reads the command health: MiB in use of the whole system and of PID 1.
func memory(health string) (inUse, pid1 float64, err error) {
	m, s := memoryLine.FindStringSubmatch(health), systemLine.FindStringSubmatch(health)
	if m == nil || s == nil {
		return 0, 0, fmt.Errorf("no memory in the answer to health: %q", health)
	}
	var values []float64
	for _, text := range []string{m[1], m[2], s[1]} {
		v, err := mebibytes(text)
		if err != nil {
			return 0, 0, err
		}
		values = append(values, v)
	}
	return values[1] - values[0], values[2], nil
}

// mebibytes reads a size such as 812.3M, whose unit is a power of 1024.
func mebibytes(text string) (float64, error) {
	if text == "" {
		return 0, errors.New("empty size")
	}
	units := map[byte]float64{'B': 1.0 / (1 << 20), 'K': 1.0 / (1 << 10), 'M': 1, 'G': 1 << 10, 'T': 1 << 20}
	unit, ok := units[text[len(text)-1]]
	v, err := strconv.ParseFloat(text[:len(text)-1], 64)
	if err != nil || !ok {
		return 0, fmt.Errorf("size %q: want a number and a unit", text)
	}
	return v * unit, nil
}
