// Package databasetest is a real database for tests: one etcd node with the settings of the service, in a temporary folder and on a unix
// socket only.
//
//	client := databasetest.Start(t)              // most tests
//	d := databasetest.New(t); d.Stop(); d.Start() // the same folder after an orderly end
//	p := databasetest.NewProcess(t); p.Kill(); p.Start() // a process of its own, ended as by kill -9
//
// A process of its own is the test binary run anew: importing this package is enough.
package databasetest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/database"
)

// patience with a start; a laden machine takes seconds.
const patience = time.Minute

// Start starts a database that ends with the test, and returns a client of it.
func Start(t testing.TB) *clientv3.Client {
	t.Helper()
	return New(t).Client()
}

// Database is a node within the test's process.
type Database struct {
	t       testing.TB
	options database.Options
	node    *database.Node
	client  *clientv3.Client
}

// New starts a node on a new folder.
func New(t testing.TB) *Database {
	t.Helper()
	d := &Database{t: t, options: options(t)}
	t.Cleanup(d.Stop)
	d.Start()
	return d
}

// NewDurable is New for benchmarks: it flushes as the service does.
func NewDurable(t testing.TB) *Database {
	t.Helper()
	d := &Database{t: t, options: options(t)}
	d.options.Unflushed = false
	t.Cleanup(d.Stop)
	d.Start()
	return d
}

func options(t testing.TB) database.Options {
	t.Helper()
	// t.TempDir may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return database.Options{Folder: filepath.Join(t.TempDir(), "database"), Socket: filepath.Join(dir, "client.sock"), Group: -1, Hasty: true, Unflushed: true}
}

// Start starts the node, if it does not run, on the folder as it is.
func (d *Database) Start() {
	d.t.Helper()
	if d.node != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := database.Open(ctx, d.options)
	if err != nil {
		d.t.Fatalf("start database: %v", err)
	}
	d.node = n
}

// Stop ends the node; what was written stays in the folder. Clients stay as well, and find the node after the next Start.
func (d *Database) Stop() {
	if d.node != nil {
		d.node.Close()
		d.node = nil
	}
}

// Client is a client by the socket, the same one at each call.
func (d *Database) Client() *clientv3.Client {
	d.t.Helper()
	if d.client == nil {
		d.client = dial(d.t, d.options.Socket)
	}
	return d.client
}

// Folder and Socket are the node's.
func (d *Database) Folder() string { return d.options.Folder }
func (d *Database) Socket() string { return d.options.Socket }

func dial(t testing.TB, socket string) *clientv3.Client {
	t.Helper()
	c, err := database.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Process is a node in a process of its own. It flushes as the service does.
type Process struct {
	t       testing.TB
	options database.Options
	cmd     *exec.Cmd
	client  *clientv3.Client
}

// child tells a test binary that it is to be a database; the value is its folder, childSocket the socket.
const (
	child       = "ROTUNDA_DATABASETEST_FOLDER"
	childSocket = "ROTUNDA_DATABASETEST_SOCKET"
)

func init() {
	folder := os.Getenv(child)
	if folder == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := database.Open(ctx, database.Options{Folder: folder, Socket: os.Getenv(childSocket), Group: -1, Hasty: true})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("ready\n")
	select {
	case <-ctx.Done():
	case <-n.Err():
	}
	n.Close()
	os.Exit(0)
}

// NewProcess starts a node in a process of its own, on a new folder.
func NewProcess(t testing.TB) *Process {
	t.Helper()
	p := &Process{t: t, options: options(t)}
	t.Cleanup(p.Kill)
	p.Start()
	return p
}

// Start starts the process, if it does not run, on the folder as it is, and returns once it serves.
func (p *Process) Start() {
	p.t.Helper()
	if p.cmd != nil {
		return
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+p.options.Folder, childSocket+"="+p.options.Socket)
	// The database does not outlive a test that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd = cmd
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		p.t.Fatalf("start database: %q %v", line, err)
	}
	go io.Copy(io.Discard, lines)
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop ends the process in order.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(s syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(s)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Client is a client by the socket, the same one at each call. It connects anew after each Start.
func (p *Process) Client() *clientv3.Client {
	p.t.Helper()
	if p.client == nil {
		p.client = dial(p.t, p.options.Socket)
	}
	return p.client
}

// Folder and Socket are the node's, Pid the process's.
func (p *Process) Folder() string { return p.options.Folder }
func (p *Process) Socket() string { return p.options.Socket }
func (p *Process) Pid() int       { return p.cmd.Process.Pid }
