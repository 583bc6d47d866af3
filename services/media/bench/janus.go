package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"rotunda/services/media/bench/wire"
)

// janusModules is where Debian has them.
const janusModules = "/usr/lib/x86_64-linux-gnu/janus"

// janus is the Janus server with one plugin, spoken to over its Unix socket, and the load that it carries.
type janus struct {
	*process
	load    *wire.Load
	conn    *net.UnixConn
	session uint64

	mu      sync.Mutex
	last    int
	waiting map[string]chan janusAnswer
}

// janusAnswer is what is read of any answer.
type janusAnswer struct {
	Janus       string
	Transaction string
	Data        struct{ ID uint64 }
	Error       struct{ Reason string }
	Plugindata  struct{ Data json.RawMessage }
	JSEP        struct{ SDP string }
}

// janusStarts is how often to try: one start of 1.1.2 in twenty, and more on a busy machine, ends at once, for the thread of its Unix socket may look
// whether it is to run before it is told so.
const janusStarts = 20

// startJanus returns when it answers. Settings are further lines of the plugin's configuration.
func (b *bench) startJanus(ctx context.Context, plugin, settings string) (j *janus, err error) {
	for range janusStarts {
		if j, err = b.tryJanus(ctx, plugin, settings); err == nil || ctx.Err() != nil {
			break
		}
	}
	return j, err
}

func (b *bench) tryJanus(ctx context.Context, plugin, settings string) (*janus, error) {
	dir, err := os.MkdirTemp(b.dir, "janus-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	address := filepath.Join(dir, "api")
	files := map[string]string{
		"janus.jcfg": fmt.Sprintf(`general: { configs_folder = %q; plugins_folder = %q; transports_folder = %q; loggers_folder = "/nowhere"; events_folder = "/nowhere"
				interface = "127.0.0.1"; debug_level = 2; session_timeout = 0 }
			nat: { ice_lite = true }
			media: { ipv6 = false; rtp_port_range = "20000-29999" }`,
			dir, filepath.Join(dir, "plugins"), filepath.Join(dir, "transports")),
		"janus.transport.pfunix.jcfg":      fmt.Sprintf(`general: { enabled = true; json = "compact"; path = %q; type = "SOCK_SEQPACKET" }`, address),
		"janus.plugin." + plugin + ".jcfg": "general: { " + settings + " }",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configure janus: %w", err)
		}
	}
	// Folders with one module each: the other plugins would start threads of their own.
	for folder, module := range map[string]string{"plugins": "libjanus_" + plugin + ".so", "transports": "libjanus_pfunix.so"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, fmt.Errorf("configure janus: %w", err)
		}
		if err := os.Symlink(filepath.Join(janusModules, folder, module), filepath.Join(dir, folder, module)); err != nil {
			return nil, fmt.Errorf("configure janus: %w", err)
		}
	}
	j := &janus{waiting: map[string]chan janusAnswer{}}
	if j.process, err = launch(subjectCore(), "janus", "-F", dir); err != nil {
		return nil, err
	}
	if j.load, err = wire.Start(here); err == nil {
		err = j.connect(ctx, address)
	}
	if err != nil {
		j.close()
		return nil, err
	}
	return j, nil
}

// connect waits for the socket and makes a session.
func (j *janus) connect(ctx context.Context, address string) error {
	for {
		var err error
		if j.conn, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: address, Net: "unixpacket"}); err == nil {
			break
		}
		if gone := j.running(); gone != nil {
			return gone
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	go j.read()
	answer, err := j.ask(ctx, map[string]any{"janus": "create"})
	j.session = answer.Data.ID
	return err
}

func (j *janus) close() {
	if j.conn != nil {
		_ = j.conn.Close()
	}
	if j.load != nil {
		j.load.Close()
	}
	// It would take seconds to say goodbye to everybody.
	j.stop(syscall.SIGKILL)
}

func (j *janus) read() {
	b := make([]byte, 1<<18)
	for {
		n, err := j.conn.Read(b)
		if err != nil {
			return
		}
		var a janusAnswer
		if json.Unmarshal(b[:n], &a) != nil || a.Janus == "ack" {
			continue
		}
		j.mu.Lock()
		to := j.waiting[a.Transaction]
		delete(j.waiting, a.Transaction)
		j.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
}

// ask sends a request and waits for its answer; the acknowledgement that comes before is passed over.
func (j *janus) ask(ctx context.Context, request map[string]any) (janusAnswer, error) {
	to := make(chan janusAnswer, 1)
	j.mu.Lock()
	j.last++
	transaction := strconv.Itoa(j.last)
	j.waiting[transaction] = to
	j.mu.Unlock()
	request["transaction"] = transaction
	if j.session != 0 {
		request["session_id"] = j.session
	}
	text, err := json.Marshal(request)
	if err != nil {
		return janusAnswer{}, fmt.Errorf("ask janus: %w", err)
	}
	if _, err := j.conn.Write(text); err != nil {
		return janusAnswer{}, fmt.Errorf("ask janus: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case a := <-to:
		if a.Janus == "error" {
			return a, fmt.Errorf("janus: %s", a.Error.Reason)
		}
		return a, nil
	case <-j.ended:
		return janusAnswer{}, j.running()
	case <-within.Done():
		return janusAnswer{}, fmt.Errorf("no answer of janus to %s: %w", text, within.Err())
	}
}

// attach makes a handle of a plugin.
func (j *janus) attach(ctx context.Context, plugin string) (uint64, error) {
	a, err := j.ask(ctx, map[string]any{"janus": "attach", "plugin": "janus.plugin." + plugin})
	return a.Data.ID, err
}

// tell sends a message to the plugin, with a session description if there is one, and returns its event.
func (j *janus) tell(ctx context.Context, handle uint64, body map[string]any, kind, sdp string) (janusAnswer, error) {
	request := map[string]any{"janus": "message", "handle_id": handle, "body": body}
	if sdp != "" {
		request["jsep"] = map[string]any{"type": kind, "sdp": sdp}
	}
	a, err := j.ask(ctx, request)
	if err != nil {
		return a, err
	}
	var failure struct{ Error string }
	if json.Unmarshal(a.Plugindata.Data, &failure) == nil && failure.Error != "" {
		return a, fmt.Errorf("janus: %v: %s", body["request"], failure.Error)
	}
	return a, nil
}
