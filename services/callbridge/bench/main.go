// Command bench measures the store of application objects and writes its figures to build/bench.jsonl (package figures):
// make bench-api, in 5 minutes.
//
//	go run ./services/callbridge/bench [-users 300000] [-folder …]
//
// # How it is measured
//
// The database is the service, as a process of its own with the flags that PID 1 gives it, on the disk of -folder and with every write
// flushed. The copy is in a second process, which is this program run anew, so that nothing else is in its memory. There are
// users with a space each, of which they are the member, as an LDAP import makes them, with names as people have them.
//
// users_300k_load_s is from the start of both processes on a full database until everything can be read. users_300k_mib is the
// resident memory of both after that, pages of the database file that are in memory included. api_read_us is the
// median of reads of one space by its ID with all its fields. api_page_ms is the slowest of several kinds of filters, each the median of
// queries that were never asked before, with the count of all that match; further pages of a query take microseconds. db_writes_s
// is how many spaces sixteen writers add in a second, each in a Write of its own and durable, on the full database. api_requests_s is
// how many requests of the API sixteen clients with a connection each make in a second, one of ten of them a durable write.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rotunda/qemu"
	"rotunda/qemu/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	users    int
	folder   string
	services string
	socket   string
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := &bench{}
	flags.IntVar(&b.users, "users", 300_000, "`number` of users with a space each")
	flags.StringVar(&b.folder, "folder", "", "existing `folder` on the disk to measure, instead of that of temporary files")
	flags.StringVar(&b.services, "program", "", "`program` services instead of one that is built now")
	part := flags.String("part", "", "what a process that this one starts does: fill, read")
	flags.StringVar(&b.socket, "socket", "", "`socket` of the database, for -part")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch *part {
	case "fill":
		return b.fill(ctx)
	case "read":
		return b.read(ctx)
	case "":
		return b.measure(ctx)
	}
	return fmt.Errorf("-part %s: use fill or read", *part)
}

// measured is what the process with the copy found out.
type measured struct {
	Objects    int
	ReadMicros float64
	// PageMillis are medians by kind of filter, Slowest is the kind that took longest.
	PageMillis map[string]float64
	Slowest    string
	NextMicros float64
	WritesPerS float64
}

func (b *bench) measure(ctx context.Context) error {
	tree, err := qemu.FindTree()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.folder, "rotunda-bench-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if b.services == "" {
		b.services = filepath.Join(dir, "services")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.services, "./services")
		build.Dir, build.Env = tree.Root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build services: %w: %s", err, out)
		}
	}
	b.socket = filepath.Join(dir, "client.sock")
	data := filepath.Join(dir, "data")

	db, err := b.database(ctx, data)
	if err != nil {
		return err
	}
	defer func() { db.end() }()
	began := time.Now()
	fill, err := b.part(ctx, "fill")
	if err != nil {
		return err
	}
	if err := fill.command.Wait(); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	fmt.Printf("filled in %s, the database had at most %d MiB\n", time.Since(began).Round(time.Second), db.memory("VmHWM:"))
	db.end()

	began = time.Now()
	if db, err = b.database(ctx, data); err != nil {
		return err
	}
	ready := time.Since(began)
	reader, err := b.part(ctx, "read")
	if err != nil {
		return err
	}
	defer func() { reader.end() }()
	if _, err := reader.line("loaded"); err != nil {
		return err
	}
	load := time.Since(began)
	if _, err := reader.line("settled"); err != nil {
		return err
	}
	database, copied := db.memory("VmRSS:"), reader.memory("VmRSS:")
	peak := fmt.Sprintf("database %d MiB (%d of them pages of its file), copy %d MiB; while loading %d and %d MiB", database, db.memory("RssFile:"), copied,
		db.memory("VmHWM:"), reader.memory("VmHWM:"))
	fmt.Println(peak)
	if err := reader.say("go on"); err != nil {
		return err
	}
	line, err := reader.line("measured ")
	if err != nil {
		return err
	}
	var m measured
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		return err
	}
	fmt.Printf("%+v\n", m)
	reader.end()
	perSecond, err := b.requests(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%.0f requests/s\n", perSecond)
	if b.users != 300_000 {
		fmt.Println("figures are kept for 300,000 users only")
		return nil
	}
	over := fmt.Sprintf("%d objects", m.Objects)
	all := []figures.Figure{
		{Name: "api_read_us", Value: m.ReadMicros, Unit: "us", Peer: figures.None, Goal: "<= 50", Conditions: over + "; in the process of the copy"},
		{Name: "api_page_ms", Value: m.PageMillis[m.Slowest], Unit: "ms", Peer: figures.None, Goal: "<= 5",
			Conditions: fmt.Sprintf("300,000 spaces; %s; the next page takes %.0f us; in the process of the copy", m.Slowest, m.NextMicros)},
		{Name: "db_writes_s", Value: m.WritesPerS, Unit: "/s", Peer: figures.None, Goal: ">= 500", Conditions: over + "; 16 writers"},
		{Name: "users_300k_mib", Value: float64(database + copied), Unit: "MiB", Peer: figures.None, Goal: "<= 1536", Conditions: peak},
		{Name: "users_300k_load_s", Value: load.Seconds(), Unit: "s", Peer: figures.None, Goal: "<= 20",
			Conditions: fmt.Sprintf("%s; %.1f s of it until the database serves", over, ready.Seconds())},
		{Name: "api_requests_s", Value: perSecond, Unit: "/s", Peer: figures.None, Goal: "none",
			Conditions: fmt.Sprintf("%s; %d clients on the same machine, one of %d requests is a durable write", over, clients, writeEvery)},
	}
	if err := figures.Store(filepath.Join(tree.Root, "build", "bench.jsonl"), all); err != nil {
		return err
	}
	figures.Print(all)
	return nil
}

// process is the database, or this program with a part.
type process struct {
	command *exec.Cmd
	lines   *bufio.Scanner
	in      *os.File
}

// database starts the service and waits until it serves.
func (b *bench) database(ctx context.Context, folder string) (*process, error) {
	p := &process{command: exec.CommandContext(ctx, b.services, "database", "-folder", folder, "-socket", b.socket)}
	p.command.Stderr = os.Stderr
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(b.socket); err == nil {
			return p, nil
		}
	}
	p.end()
	return nil, fmt.Errorf("the database does not come up")
}

// part starts this program for a part of the work.
func (b *bench) part(ctx context.Context, name string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.CommandContext(ctx, self, "-part", name, "-socket", b.socket, "-users", strconv.Itoa(b.users))}
	p.command.Stderr = os.Stderr
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(out)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p.command.Stdin, p.in = r, w
	return p, p.command.Start()
}

// line waits for a line with a prefix and returns what follows it.
func (p *process) line(prefix string) (string, error) {
	for p.lines.Scan() {
		if rest, ok := strings.CutPrefix(p.lines.Text(), prefix); ok {
			return rest, nil
		}
		fmt.Println(p.lines.Text())
	}
	return "", fmt.Errorf("the process ended before it said %q", prefix)
}

func (p *process) say(text string) error {
	_, err := fmt.Fprintln(p.in, text)
	return err
}

// memory is a line of /proc/…/status, in MiB.
func (p *process) memory(name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n >> 10
		}
	}
	return 0
}

func (p *process) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	_ = p.command.Wait()
}
