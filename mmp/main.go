// Command mmp is the management shell: consoles, SSH and SFTP. It runs as an unprivileged user under PID 1, changes the
// machine only by asking PID 1 over the control socket, and owns accounts, host keys and the files that administrators
// store. When it dies it is started again, and nothing but the sessions is lost.
//
// It also runs alone on a developer's machine, as anybody:
//
//	go run ./mmp -data /tmp/rotunda -listen 127.0.0.1:2222
//	ssh -p 2222 admin@127.0.0.1        (password admin, which has to be changed)
//
// Commands that need PID 1 then say that the system does not answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/syslog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"rotunda/init/callers"
	"rotunda/init/control"
	"rotunda/init/durable"
	"rotunda/init/metrics"
	"rotunda/mmp/accounts"
	"rotunda/mmp/admission"
	"rotunda/mmp/commands"
	"rotunda/mmp/commands/probe"
	"rotunda/mmp/console"
	"rotunda/mmp/files"
	"rotunda/mmp/fips"
	"rotunda/mmp/grammar"
	"rotunda/mmp/identity"
	"rotunda/mmp/pki/revocation"
	"rotunda/mmp/sftpd"
	"rotunda/mmp/shell"
	"rotunda/mmp/sshd"
)

// options are the command line, which PID 1 writes.
type options struct {
	// Folders: accounts and host keys, stored files, files that pass through, logs.
	accounts, files, transfer, logs string
	metrics                         string
	control                         string
	// api is the socket of the Call Bridge's API.
	api    string
	listen string
	// admission is the socket on which services ask about logins, empty for none; services are the users that may.
	admission string
	// identity is the socket of what asks directories and issuers of cards.
	identity string
	services map[uint32]bool
	consoles []string
	idle     time.Duration
	// reference prints the reference page of all commands instead of serving.
	reference bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("mmp", flag.ContinueOnError)
	data := flags.String("data", "", "`folder` for everything, instead of the four that follow")
	flags.StringVar(&o.accounts, "accounts", "/data/current/mmp", "`folder` of accounts and host keys")
	flags.StringVar(&o.files, "files", "/data/current/files", "`folder` of certificates, keys and other files of the administrators")
	flags.StringVar(&o.transfer, "transfer", "/data/transfer", "`folder` of upgrade images and backups")
	flags.StringVar(&o.logs, "logs", "/data/log", "`folder` of the logs")
	flags.StringVar(&o.control, "control", control.SocketPath, "`socket` of PID 1")
	flags.StringVar(&o.api, "api", "/run/rotunda/callbridge/api.sock", "`socket` of the Call Bridge's API, for log bundles")
	flags.StringVar(&o.listen, "listen", ":22", "`address` for SSH, empty for none")
	flags.StringVar(&o.admission, "admission", "", "`socket` on which services ask about logins, empty for none")
	flags.StringVar(&o.identity, "identity", identity.SocketPath, "`socket` of what asks directories and issuers of cards")
	flags.Func("service", "`user` by number that may ask about logins; may be given more than once", func(text string) error {
		uid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("use the number of a user: %w", err)
		}
		if o.services == nil {
			o.services = map[uint32]bool{}
		}
		o.services[uint32(uid)] = true
		return nil
	})
	flags.StringVar(&o.metrics, "metrics", "", "unix `socket` for figures, empty for none")
	flags.DurationVar(&o.idle, "idle", shell.DefaultIdleTimeout, "end a session whose prompt waits for so long; 0 for never")
	flags.BoolVar(&o.reference, "reference", false, "print the reference page of all commands")
	flags.Func("console", "`device` with a login; may be given more than once", func(path string) error {
		o.consoles = append(o.consoles, path)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *data != "" {
		o.accounts, o.files = filepath.Join(*data, "mmp"), filepath.Join(*data, "files")
		o.transfer, o.logs = filepath.Join(*data, "transfer"), filepath.Join(*data, "log")
	}
	if o.idle == 0 {
		o.idle = -1
	}
	return o, nil
}

// verbs are the other programs in this file.
var verbs = map[string]func(args []string) error{
	"identity":      identity.Main,
	fips.Verb:       fips.Main,
	revocation.Verb: revocation.Main,
}

func main() {
	if len(os.Args) > 1 && verbs[os.Args[1]] != nil {
		if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "<27>%s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		// The end of the journal's pipe or of a terminal must not be the end of the shell.
		signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
		if o.reference {
			err = reference(os.Stdout)
		} else {
			err = run(ctx, o, os.Stderr, nil)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "<27>cli: %v\n", err)
		os.Exit(1)
	}
}

// reference prints the page that docs/reference/mmp.md is.
func reference(w io.Writer) error {
	kinds, list := commands.All(commands.Deps{})
	tree, err := grammar.NewTree(kinds, append(shell.Builtins(), list...))
	if err != nil {
		return err
	}
	return tree.Reference(w)
}

// run serves until the context ends. listening, if not nil, is told the address of the SSH server.
func run(ctx context.Context, o options, stderr io.Writer, listening func(net.Addr)) error {
	log := shell.NewLog(stderr)
	line := func(p syslog.Priority, tag, text string) { log.Line(int(p), tag, text) }
	machine := control.NewClient(o.control)

	disk := openDisk(o.accounts, log)
	fileView, err := files.Open(files.Config{Stored: o.files, Transfer: o.transfer, Logs: o.logs, Machine: machine, Log: line,
		API: &http.Transport{DisableKeepAlives: true, DialContext: callers.Dial(o.api)}})
	if err != nil {
		return err
	}
	people := identity.NewClient(o.identity)
	store, err := accounts.Open(accounts.Config{Disk: disk, Log: line, Files: fileView, Resolver: net.DefaultResolver, Identity: people,
		Policy: (&policy{machine: machine, log: log}).of})
	if err != nil {
		return err
	}
	// Failed logins are counted in memory first.
	defer store.Close()
	keys, err := sshd.OpenHostKeys(disk, log)
	if err != nil {
		return err
	}
	kinds, list := commands.All(commands.Deps{
		Machine: machine, Accounts: store, Transfer: os.DirFS(o.transfer), Stored: fileView, Shelf: fileView, HostKeys: keys, Logs: o.logs, Keeper: fileView, Prober: probe.Prober{}, People: people, Notices: fileView,
		Captures: fileView, Bundles: fileView, Revocation: revocation.Process{},
	})
	tree, err := grammar.NewTree(kinds, append(shell.Builtins(), list...))
	if err != nil {
		return err
	}
	counted := new(figures)
	sh := &shell.Shell{
		Tree: tree, Accounts: countingAccounts{store, counted}, Ran: counted.ran, Join: commands.Deps{Machine: machine}.Join, Log: log, Hostname: hostname,
		Notice:      func() string { return notice(fileView, "motd") },
		IdleTimeout: o.idle,
	}
	sftp := &sftpd.Server{Files: fileView, Log: line}
	server := &sshd.Server{
		Shell: sh, Keys: keys, SFTP: sftp.Serve, Limits: sshd.DefaultLimits(),
		Banner: func() string { return notice(fileView, "login_warning") },
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	var reached sync.WaitGroup
	for _, path := range o.consoles {
		c := &console.Console{Path: path, Shell: sh, Welcome: func(ctx context.Context) string {
			return welcome(ctx, machine, notice(fileView, "login_warning"))
		}}
		reached.Add(1)
		wg.Go(func() { c.Run(ctx, reached.Done) })
	}
	if o.listen != "" {
		reached.Add(1)
		wg.Go(func() {
			serveSSH(ctx, server, o.listen, log, func(a net.Addr) {
				if listening != nil {
					listening(a)
				}
				reached.Done()
			})
		})
	}
	if o.admission != "" {
		reached.Add(1)
		wg.Go(func() { serveAdmission(ctx, o, countingAccounts{store, counted}, log, line, reached.Done) })
	}
	wg.Go(func() {
		if err := metrics.Serve(ctx, o.metrics, "mmp", counted.fill(store)); err != nil {
			log.Error("%v", err)
		}
	})
	ready := make(chan struct{})
	go func() {
		reached.Wait()
		close(ready)
	}()
	select {
	case <-ctx.Done():
		return nil
	case <-ready:
	}
	notify(log, "READY=1")
	log.Info("the management shell is ready")
	wg.Go(func() { makeSlowKeys(ctx, keys, log) })
	keepWatchdog(ctx, log, func() {
		// These take every lock that a login needs: a deadlock ends the signs of life.
		store.Sessions()
		keys.Public()
		server.Ping()
	})
	notify(log, "STOPPING=1")
	log.Info("the management shell is stopping")
	return nil
}

// openDisk returns nil if the folder cannot be used: the console then still lets an administrator in.
func openDisk(folder string, log *shell.Log) durable.FS {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		log.Error("the accounts and host keys cannot be stored: %v", err)
		return nil
	}
	disk, err := durable.OpenDisk(folder)
	if err != nil {
		log.Error("the accounts and host keys cannot be stored: %v", err)
		return nil
	}
	return disk
}

// hostname is that of the running system: a new one takes effect with the next start.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "rotunda"
	}
	return name
}

// serveSSH listens, again and again if need be: the consoles must go on without it. listening is called once.
func serveSSH(ctx context.Context, server *sshd.Server, address string, log *shell.Log, listening func(net.Addr)) {
	var once sync.Once
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		listener, err := net.Listen("tcp", address)
		if err == nil {
			once.Do(func() { listening(listener.Addr()) })
			err = server.Serve(ctx, listener)
			_ = listener.Close()
		}
		if err == nil {
			return
		}
		log.Error("SSH: %v; the next try is in %v", err, pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// serveAdmission answers services, again and again if need be. listening is called once, also when there is no socket: the shell
// itself must go on.
func serveAdmission(ctx context.Context, o options, store admission.Accounts, log *shell.Log, line func(syslog.Priority, string, string), listening func()) {
	once := sync.OnceFunc(listening)
	defer once()
	server := &admission.Server{Accounts: store, Services: o.services, Log: line}
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		listener, err := callers.Listen(o.admission)
		if err == nil {
			once()
			err = server.Serve(ctx, listener)
		}
		once()
		if err == nil {
			return
		}
		log.Error("logins of services: %v; the next try is in %v", err, pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// slowKeysAfter a start without them they are made, though no client asked: so that ssh server_key list can tell their
// fingerprints. By then nobody waits for anything else of the first start.
const slowKeysAfter = 10 * time.Minute

// makeSlowKeys runs at the lowest priority, since it takes seconds of the processor.
func makeSlowKeys(ctx context.Context, keys *sshd.HostKeys, log *shell.Log) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("making host keys crashed: %v", p)
		}
	}()
	select {
	case <-ctx.Done():
		return
	case <-time.After(slowKeysAfter):
	}
	lowPriority()
	if err := keys.Complete(ctx); err != nil {
		log.Error("%v", err)
	}
}
