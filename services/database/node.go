// Package database is the store of all application objects: the verb "database" of the program services, an embedded etcd.
package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	// MaxTxnOps is the most comparisons, and the most operations, of one transaction: an import writes some thousand objects at once.
	MaxTxnOps = 8192
	// MaxRequestBytes bounds one transaction; etcd allows gRPC half a MiB more.
	MaxRequestBytes = 8 << 20
	// memberName and peerURL are what a machine alone calls itself. Nothing listens there, and when it joins others its URL is
	// changed by a membership command, as that of any member.
	memberName = "rotunda"
	peerURL    = "unix://alone"
)

// Options say where a node keeps its data and who reaches it.
type Options struct {
	// Folder holds the data; it is made when it is missing.
	Folder string
	// Socket is the unix socket for clients, with a path of at most 103 bytes. Group, unless negative, is who may connect, besides
	// the process's own user.
	Socket string
	Group  int
	// Quota is the size of the database file, in bytes, from which on nothing but deletions is accepted.
	Quota int64
	// Log takes etcd's own lines; nil discards them.
	Log *zap.Logger
	// Fast is for tests: it elects in milliseconds, and does not flush. What a process wrote survives its kill all the same, but
	// not a power cut.
	Fast bool
}

// Node is a database that serves.
type Node struct {
	etcd   *embed.Etcd
	local  *clientv3.Client
	socket string
}

// config is etcd's configuration for one node.
func (o Options) config() *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = o.Folder
	// Clients connect only once the node is whole: Open moves the socket to its place then.
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: o.Socket + ".new"}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = nil
	c.AdvertisePeerUrls = []url.URL{{Scheme: "unix", Host: "alone"}}
	c.InitialCluster = memberName + "=" + peerURL
	c.InitialClusterToken = "rotunda"
	c.EnableGRPCGateway = false
	c.QuotaBackendBytes = o.Quota
	c.MaxTxnOps = MaxTxnOps
	c.MaxRequestBytes = MaxRequestBytes
	c.ElectionMs = 500
	if o.Fast {
		c.TickMs, c.ElectionMs = 10, 50
		c.UnsafeNoFsync = true
	}
	log := o.Log
	if log == nil {
		log = zap.NewNop()
	}
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)
	return c
}

// Open starts a node and returns once it serves.
func Open(ctx context.Context, o Options) (*Node, error) {
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(o.Socket), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of socket: %w", err)
	}
	e, err := embed.StartEtcd(o.config())
	if err != nil {
		return nil, err
	}
	n := &Node{etcd: e, socket: o.Socket}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, err
	case <-e.Server.StopNotify():
		e.Close()
		return nil, errors.New("etcd ended at its start")
	case <-ctx.Done():
		e.Close()
		return nil, ctx.Err()
	}
	if err := n.publish(o); err != nil {
		e.Close()
		return nil, err
	}
	n.local = v3client.New(e.Server)
	return n, nil
}

// publish gives the socket its mode and its place.
func (n *Node) publish(o Options) error {
	at := o.Socket + ".new"
	if o.Group >= 0 {
		if err := os.Chown(at, -1, o.Group); err != nil {
			return fmt.Errorf("give socket to its group: %w", err)
		}
	}
	if err := os.Chmod(at, 0o660); err != nil {
		return err
	}
	return os.Rename(at, o.Socket)
}

// Client is a client inside of this process.
func (n *Node) Client() *clientv3.Client { return n.local }

// Err tells when the node has ended by itself.
func (n *Node) Err() <-chan error { return n.etcd.Err() }

// Close ends the node after the requests under way.
func (n *Node) Close() {
	_ = os.Remove(n.socket)
	_ = n.local.Close()
	n.etcd.Close()
}

// Dial connects to a database on this machine. It does not wait for an answer, and connects anew whenever the database comes back.
func Dial(socket string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{"unix://" + socket},
		Logger:    zap.NewNop(),
		// A database that starts anew is back within a second or two; gRPC by itself would soon wait for minutes.
		BackoffWaitBetween:    25 * time.Millisecond,
		BackoffJitterFraction: 0.1,
		MaxCallSendMsgSize:    MaxRequestBytes + 1<<20,
		MaxCallRecvMsgSize:    1 << 30,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: time.Second,
		})},
	})
}
