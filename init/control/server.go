package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"rotunda/init/callers"
	"rotunda/init/config"
)

const (
	// maxBody bounds a request.
	maxBody = 1 << 20
	// connectionsEach bounds the open connections of one user, who must not keep the shell out.
	connectionsEach = 64
)

// Server answers on the socket. Writers lists the users who may change things; everybody who can open the socket may
// read the operations that [operations] marks so.
type Server struct {
	Machine Machine
	Writers map[uint32]bool
	// Log takes refusals and crashes.
	Log func(text string)
}

// operation is one thing that can be asked. The request body is its argument, the answer its result, both JSON.
type operation struct {
	method, path string
	// read operations are open to every user of the machine.
	read bool
	run  func(ctx context.Context, m Machine, arg json.RawMessage) (any, error)
}

// The arguments that are not a message of their own.
type (
	setConfig struct {
		Generation int              `json:"generation"`
		Document   *config.Document `json:"document"`
	}
	tryConfig struct {
		setConfig
		From string `json:"from"`
	}
	named struct {
		Name string `json:"name"`
	}
	numbered struct {
		Number int `json:"number"`
	}
	timed struct {
		Time time.Time `json:"time"`
	}
)

// operations is the whole interface, once. [Client] names the same paths.
var operations = []operation{
	// The document holds credentials of services; each service gets its own part as a file.
	{"GET", "/config", false, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) {
		c, err := m.Config(ctx)
		if known, ok := ctx.Value(knownKey{}).(string); ok && err == nil && c.FailSafe == "" && known == strconv.Itoa(c.Generation) {
			c.Document = nil
		}
		return c, err
	}},
	{"PUT", "/config", false, with(func(ctx context.Context, m Machine, a setConfig) (any, error) {
		if a.Document == nil {
			return nil, Refuse(http.StatusBadRequest, "no document")
		}
		return m.SetConfig(ctx, a.Generation, a.Document)
	})},
	{"PUT", "/config/trial", false, with(func(ctx context.Context, m Machine, a tryConfig) (any, error) {
		if a.Document == nil || a.From == "" {
			return nil, Refuse(http.StatusBadRequest, "no document, or nobody who changes it")
		}
		return m.TryConfig(ctx, a.Generation, a.Document, a.From)
	})},
	{"POST", "/config/confirm", false, with(func(ctx context.Context, m Machine, a Confirmation) (any, error) { return nil, m.ConfirmConfig(ctx, a) })},
	{"GET", "/interfaces", true, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) { return m.Interfaces(ctx) }},
	{"GET", "/release", true, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) { return m.Release(ctx) }},
	{"GET", "/health", true, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) { return m.Health(ctx) }},
	{"GET", "/filesystems", true, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) { return m.Filesystems(ctx) }},
	{"GET", "/clock", true, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) {
		t, err := m.Clock(ctx)
		return timed{t}, err
	}},
	{"PUT", "/clock", false, with(func(ctx context.Context, m Machine, a timed) (any, error) { return nil, m.SetClock(ctx, a.Time) })},
	// Each look at the versions starts a process, so it is not for everybody.
	{"GET", "/versions", false, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) { return m.Versions(ctx) }},
	{"POST", "/versions/delete", false, with(func(ctx context.Context, m Machine, a numbered) (any, error) {
		return nil, m.DeleteVersion(ctx, a.Number)
	})},
	{"POST", "/upgrade/check", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return m.CheckUpgrade(ctx, a.Name) })},
	{"POST", "/upgrade", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return m.Upgrade(ctx, a.Name) })},
	{"POST", "/backup", false, with(func(ctx context.Context, m Machine, a named) (any, error) {
		file, err := m.Snapshot(ctx, a.Name)
		return named{file}, err
	})},
	{"POST", "/backup/check", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return m.CheckBackup(ctx, a.Name) })},
	{"POST", "/backup/rollback", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return nil, m.Rollback(ctx, a.Name) })},
	{"POST", "/reset", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return nil, m.FactoryReset(ctx, a.Name) })},
	{"POST", "/capture", false, with(func(ctx context.Context, m Machine, a CaptureOrder) (any, error) {
		return m.Capture(ctx, a, func() { begun(ctx) })
	})},
	{"POST", "/capture/stop", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return nil, m.StopCapture(ctx, a.Name) })},
	// The kernel's log has addresses of its memory.
	{"GET", "/traces", false, func(ctx context.Context, m Machine, _ json.RawMessage) (any, error) { return m.Traces(ctx) }},
	{"POST", "/restart", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return nil, m.Restart(ctx, a.Name) })},
	{"POST", "/power", false, with(func(ctx context.Context, m Machine, a named) (any, error) { return nil, m.Power(ctx, a.Name) })},
}

// with decodes the argument.
func with[A any](run func(context.Context, Machine, A) (any, error)) func(context.Context, Machine, json.RawMessage) (any, error) {
	return func(ctx context.Context, m Machine, raw json.RawMessage) (any, error) {
		var a A
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, Refuse(http.StatusBadRequest, "read request: %v", err)
		}
		return run(ctx, m, a)
	}
}

// Serve listens at path until ctx ends. Every user may connect; the kernel tells who it is.
func (s *Server) Serve(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	l, err := callers.Listen(path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := callers.Serve(ctx, l, connectionsEach, &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

type (
	answerKey struct{}
	knownKey  struct{}
)

// knownGeneration is a word of the query: who has that generation of the configuration already is told its number alone.
const knownGeneration = "known"

// hasBegun is the interim answer of what takes as long as it is wanted (RFC 2518 section 10.1; RFC 9110 section 15.2 lets any number of
// them come before the answer).
const hasBegun = http.StatusProcessing

// begun tells whoever asks that what they asked for has begun. It is called by the goroutine that answers.
func begun(ctx context.Context) {
	if w, ok := ctx.Value(answerKey{}).(http.ResponseWriter); ok {
		w.WriteHeader(hasBegun)
	}
}

// Handler is the interface without the socket.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, op := range operations {
		mux.HandleFunc(op.method+" "+op.path, func(w http.ResponseWriter, r *http.Request) { s.answer(op, w, r) })
	}
	return mux
}

func (s *Server) answer(op operation, w http.ResponseWriter, r *http.Request) {
	defer func() {
		// A crash in one request must not end PID 1.
		if p := recover(); p != nil {
			s.Log(fmt.Sprintf("%s %s crashed: %v\n%s", op.method, op.path, p, debug.Stack()))
			reply(w, nil, fmt.Errorf("%s crashed: %v", op.path, p))
		}
	}()
	uid, known := callers.User(r.Context())
	if !op.read && (!known || !s.Writers[uid]) {
		s.Log(fmt.Sprintf("user %d may not %s %s", uid, op.method, op.path))
		reply(w, nil, Refuse(http.StatusForbidden, "permission denied"))
		return
	}
	var arg json.RawMessage
	if op.method != http.MethodGet {
		// What it says is looked at once, by the operation.
		var err error
		if arg, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			reply(w, nil, Refuse(http.StatusBadRequest, "read request: %v", err))
			return
		}
	}
	ctx := context.WithValue(r.Context(), answerKey{}, w)
	if r.URL.RawQuery != "" {
		ctx = context.WithValue(ctx, knownKey{}, r.URL.Query().Get(knownGeneration))
	}
	result, err := op.run(ctx, s.Machine, arg)
	if h, ok := result.(Health); ok && !s.Writers[uid] {
		// A trace may have anything that was in memory.
		h.LastCrash, h.LastCrashAt = "", time.Time{}
		result = h
	}
	reply(w, result, err)
}

func reply(w http.ResponseWriter, result any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(status(err))
		result = struct {
			Error string `json:"error"`
		}{err.Error()}
	}
	// The peer may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(result)
}
