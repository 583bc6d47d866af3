package callbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/init/config"
	"rotunda/init/durable"
	"rotunda/mmp/admission"
	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/directory"
	"rotunda/services/callbridge/store"
)

// bridge is the Call Bridge of this machine.
type bridge struct {
	log     *slog.Logger
	machine store.ID
	version string
	started time.Time
	api     *api.Server
	alarms  *alarms
	// branding are the alarms of prompts and pictures.
	branding brandingAlarms
	traces   *traces
	rules    *rules
	// importer has a store once the database answers.
	importer *directory.Importer
	licences *licences
	calls    *calls
	certificates
	// changed is told when the settings were read anew.
	changed chan struct{}

	mu       sync.Mutex
	settings config.CallBridgeService
}

func newBridge(o options, machine store.ID, log *slog.Logger) (*bridge, error) {
	b := &bridge{log: log, machine: machine, version: version(), started: time.Now(), alarms: newAlarms(), traces: newTraces(),
		changed: make(chan struct{}, 1)}
	var accounts api.Accounts = &mmpAccounts{admission.NewClient(o.admission)}
	if name, password, ok := strings.Cut(o.developer, ":"); ok {
		accounts = developer{name, password}
	}
	var err error
	if b.licences, err = b.openLicences(o.folder); err != nil {
		return nil, err
	}
	if b.calls, err = b.newCalls(o); err != nil {
		return nil, err
	}
	b.api = api.New(api.Options{Accounts: accounts, Log: log, Front: o.front, Readers: o.readers, Live: b.calls.live, System: b.system()})
	b.rules = b.hook()
	b.calls.events.Route(b.api)
	b.alarms.raise(databaseError)
	return b, nil
}

// readSettings reads what PID 1 wrote; a developer's machine has none.
func (b *bridge) readSettings(file string) error {
	s, err := config.ReadService[config.CallBridgeService](file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b.licences.SetFile(s.Licence)
	if err := b.certificates.read(s); err != nil {
		said := "the certificate of the Call Bridge cannot be used, so SIP has no TLS"
		if b.serverTLS() != nil {
			said = "the certificate of the Call Bridge stays as it was"
		}
		b.log.Error(said, "error", err)
	}
	b.mu.Lock()
	b.settings = s
	b.mu.Unlock()
	b.calls.legs.Remark()
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return nil
}

// current are the settings as they are now.
func (b *bridge) current() config.CallBridgeService {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settings
}

// version reads that of the image from os-release(5).
func version() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "unknown"
	}
	for line := range bytes.Lines(text) {
		if value, ok := strings.CutPrefix(string(line), "ROTUNDA_VERSION="); ok {
			return strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return "unknown"
}

// machineID returns the ID of this machine, drawn at its first start. The file appears under its name when it is whole.
func machineID(folder string) (store.ID, error) {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return store.ID{}, fmt.Errorf("make the folder of the Call Bridge: %w", err)
	}
	file := filepath.Join(folder, machineFile)
	text, err := os.ReadFile(file)
	if err == nil {
		if id, ok := store.ParseID(strings.TrimSpace(string(text))); ok {
			return id, nil
		}
		return store.ID{}, fmt.Errorf("%s holds no ID: restore it from a backup, or remove it and configure what belongs to this machine anew", file)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return store.ID{}, fmt.Errorf("read the ID of this machine: %w", err)
	}
	disk, err := durable.OpenDisk(folder)
	if err != nil {
		return store.ID{}, fmt.Errorf("open the folder of the Call Bridge: %w", err)
	}
	defer disk.Close()
	id := uuid.New()
	if err := durable.WriteFile(disk, machineFile, []byte(id.String()+"\n"), 0o600, nil); err != nil {
		return store.ID{}, fmt.Errorf("write the ID of this machine: %w", err)
	}
	return id, nil
}

// machineFile holds the ID of this machine.
const machineFile = "machine"

const (
	// lookEvery is how often the database is asked whether it is there, lookFor how long it has for an answer: an election in a
	// cluster takes a second or two.
	lookEvery = 5 * time.Second
	lookFor   = 5 * time.Second
)

// watchDatabase keeps the alarm of a database that does not answer. Reads go on meanwhile, from the copy.
func (b *bridge) watchDatabase(ctx context.Context, client clientv3.KV, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		look, cancel := context.WithTimeout(ctx, lookFor)
		_, err := client.Get(look, "\x00")
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !away:
			b.alarms.raise(databaseError)
			b.log.Error("the database does not answer: nothing can be changed", "error", err)
		case err == nil && away:
			b.alarms.clear(databaseError)
			b.log.Info("the database answers again")
		}
		away = err != nil
	}
}

// slowAfter is how long the database may take before the log says that it is waited for.
const slowAfter = 5 * time.Second

// openStore waits until the database answers. The alarm of [newBridge] ends then.
func (b *bridge) openStore(ctx context.Context, client *clientv3.Client) (*store.Store, error) {
	slow := time.AfterFunc(slowAfter, func() { b.log.Warn("the Call Bridge waits for the database") })
	defer slow.Stop()
	began, said := time.Now(), ""
	for {
		s, err := store.Open(ctx, store.Options{Client: client, Machine: b.machine, Log: b.log})
		if err == nil {
			b.alarms.clear(databaseError)
			b.log.Info("the database's objects are loaded", "took", time.Since(began).Round(time.Millisecond))
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if text := err.Error(); text != said {
			b.log.Warn("the database's objects cannot be loaded yet", "error", err)
			said = text
		}
		pause := time.NewTimer(time.Second)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		}
	}
}
