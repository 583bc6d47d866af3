package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	backup "rotunda/init/database"
	"rotunda/services/database/copying"
)

const (
	// MaxTxnOps is the most comparisons, and the most operations, of one transaction: an import writes some thousand objects at once.
	MaxTxnOps = 8192
	// MaxRequestBytes bounds one transaction; etcd lets gRPC have half a MiB more. The log of the last 100 transactions is kept in
	// memory: whoever writes much does it in transactions of less than a MiB.
	MaxRequestBytes = 8 << 20
	// DefaultQuota is four times what 300,000 users with a space each take.
	DefaultQuota = 2 << 30
	// memberName and peerURL are what a machine alone calls itself. Nothing listens there, and when it joins others its URL is
	// changed by a membership command, as that of any member.
	memberName = "rotunda"
	peerURL    = "unix://alone"
	// history is how long revisions are kept: a watch that was interrupted for longer has to load everything anew.
	history = 5 * time.Minute
	// snapshotCount is after how many transactions the log on the disk may be forgotten: what is younger is read into memory at
	// each start. etcd's 10,000 would be 3 GB after an import, and the 500 that there were once 200 MB to read at a start.
	snapshotCount = 100
	// catchUp is how many transactions are kept in memory for followers. Alone there are none.
	catchUp = 16
	// closeGrace is how long Close waits for requests under way.
	closeGrace = 300 * time.Millisecond
	// electsItself is when a node that has read its files serves at the latest. Alone it takes a second.
	electsItself = time.Minute
)

func init() {
	// A segment of the write-ahead log is written to its full size in advance; etcd's 64 MB are meant for servers with other
	// disks. Two are kept, and one is made ready.
	wal.SegmentSizeBytes = 16 << 20
}

// Options say where a node keeps its data and who reaches it.
type Options struct {
	// Folder holds the data; it is made when it is missing.
	Folder string
	// Socket is the unix socket for clients, with a path of at most 103 bytes. Group, unless negative, is who may connect, besides
	// the process's own user.
	Socket string
	// Metrics is the unix socket for figures, empty for none.
	Metrics string
	Group   int
	// Quota is the size of the database file, in bytes, from which on nothing but deletions is accepted; 0 means [DefaultQuota].
	Quota int64
	// Log takes etcd's own lines, and Say what an administrator should know; nil discards them.
	Log *zap.Logger
	Say func(string)
	// Hasty and Unflushed are for tests: a node that leads within milliseconds, and one whose data survive its kill but no power cut.
	Hasty, Unflushed bool
}

// Node is a database that serves.
type Node struct {
	etcd  *embed.Etcd
	local *clientv3.Client
	opt   Options
	// grpc is set by a goroutine of etcd's, soon after it is ready.
	grpc atomic.Pointer[grpc.Server]
	life life
	// copying is held by snapshots for reading. A defragmentation would wait for their end with everything stopped.
	copying sync.RWMutex
}

// config is etcd's configuration for one node.
func (o Options) config() *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = filepath.Join(o.Folder, dataFolder)
	// Open moves the socket to its place when everything is ready.
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: o.Socket + ".new"}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = nil
	c.AdvertisePeerUrls = []url.URL{{Scheme: "unix", Host: "alone"}}
	c.InitialCluster = memberName + "=" + peerURL
	// prepare has made the member: should its log be missing all the same, etcd is not to begin another one.
	c.ClusterState = embed.ClusterStateFlagExisting
	c.EnableGRPCGateway = false
	c.QuotaBackendBytes = o.Quota
	c.MaxTxnOps = MaxTxnOps
	c.MaxRequestBytes = MaxRequestBytes
	c.SnapshotCount = snapshotCount
	c.SnapshotCatchUpEntries = catchUp
	c.MaxSnapFiles, c.MaxWalFiles = 2, 2
	c.AutoCompactionMode = embed.CompactorModePeriodic
	c.AutoCompactionRetention = history.String()
	// etcd's 100 ms are for requests of one key, on better disks.
	c.WarningApplyDuration, c.WarningUnaryRequestDuration = time.Second, 2*time.Second
	// Alone a node needs no patience with others: it leads half a second after its start.
	c.ElectionMs = 500
	if o.Hasty {
		c.TickMs, c.ElectionMs = 10, 50
	}
	c.UnsafeNoFsync = o.Unflushed
	return c
}

// Open prepares the folder, starts a node and returns once it serves.
func Open(ctx context.Context, o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Quota == 0 {
		o.Quota = DefaultQuota
	}
	if err := os.MkdirAll(filepath.Dir(o.Socket), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of socket: %w", err)
	}
	if err := prepare(o.Folder, o.Say); err != nil {
		return nil, err
	}
	n := &Node{opt: o}
	c := o.config()
	c.ServiceRegister = func(s *grpc.Server) {
		copying.Register(s, n.everything)
		n.grpc.Store(s)
	}
	c.UserHandlers = map[string]http.Handler{backup.Path: http.HandlerFunc(n.serveSnapshot)}
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(n.life.logger(o.Log))
	err := guarded(func() (err error) {
		n.etcd, err = embed.StartEtcd(c)
		return err
	})
	if err != nil {
		return nil, o.unstarted(err)
	}
	select {
	case <-n.etcd.Server.ReadyNotify():
	case err := <-n.etcd.Err():
		n.etcd.Close()
		return nil, err
	case <-n.etcd.Server.StopNotify():
		n.etcd.Close()
		return nil, errors.New("etcd ended at its start")
	case <-time.After(electsItself):
		// etcd takes a log that was overwritten for one that was torn, cuts it, and waits for ever for what is in no log any more.
		n.etcd.Close()
		return nil, damaged("the node does not come up within %v: its write-ahead log has lost what the database file is built on", electsItself)
	case <-ctx.Done():
		n.etcd.Close()
		return nil, ctx.Err()
	}
	if err := n.publish(); err != nil {
		n.etcd.Close()
		return nil, err
	}
	n.local = v3client.New(n.etcd.Server)
	n.life.running.Store(true)
	return n, nil
}

// unstarted says why etcd did not start. It panics over files that it cannot read, and over a full disk too.
func (o Options) unstarted(err error) error {
	var socket *net.OpError
	if errors.As(err, &socket) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	if room, rerr := roomFor(o.Folder); rerr == nil && room < wal.SegmentSizeBytes {
		return fmt.Errorf("the disk is full: %d MiB are free: delete files by SFTP (%w)", room>>20, err)
	}
	return &Damaged{err}
}

// publish gives the socket its mode and its place.
func (n *Node) publish() error {
	at := n.opt.Socket + ".new"
	if n.opt.Group >= 0 {
		if err := os.Chown(at, -1, n.opt.Group); err != nil {
			return fmt.Errorf("give socket to its group: %w", err)
		}
	}
	if err := os.Chmod(at, 0o660); err != nil {
		return err
	}
	return os.Rename(at, n.opt.Socket)
}

// Client is a client inside of this process.
func (n *Node) Client() *clientv3.Client { return n.local }

// Err tells when the node has ended by itself.
func (n *Node) Err() <-chan error { return n.etcd.Err() }

// Close ends the node after the requests under way. Watches do not end by themselves, and etcd would wait seven seconds for them.
func (n *Node) Close() {
	n.life.ending.Store(true)
	_ = os.Remove(n.opt.Socket)
	_ = n.local.Close()
	hurry := time.AfterFunc(closeGrace, func() {
		if s := n.grpc.Load(); s != nil {
			s.Stop()
		}
	})
	defer hurry.Stop()
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
