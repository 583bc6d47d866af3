package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"rotunda/init/callers"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

const (
	// maxRunning requests are worked on at a time, and others wait for waitRunning: a request takes well below a millisecond, or is
	// a write that waits for the disk together with all others.
	maxRunning  = 64
	waitRunning = 5 * time.Second
	// maxRequest is how long a request may take once its body is here. A write that the database does not answer ends then.
	maxRequest = 20 * time.Second
	// maxConnections bounds the connections of one listener; further ones wait in the kernel's queue.
	maxConnections = 512
)

// Options are what a Server needs.
type Options struct {
	// Store may be nil: requests that need it are answered databaseNotReady until [Server.Use] gives it.
	Store    *store.Store
	Accounts Accounts
	// Log may be nil. Audit lines go there as messages of [LevelAudit].
	Log *slog.Logger
	// Front is the user of this machine who may say on a unix socket in whose name a request is made: the admin pages'
	// service, which has checked the login itself. Negative for nobody.
	Front int
	// Readers are the users of this machine who may read the paths of [diagnoses] on a unix socket without a login: the management shell, for
	// log bundles.
	Readers []int
	// Live is call control, nil while there is none.
	Live Live
	// System are the parts of the Call Bridge whose state is shown below /system.
	System System
}

// Server is the API. It is an [http.Handler], and [Server.Serve] puts it on a listener with bounds.
type Server struct {
	store   atomic.Pointer[store.Store]
	log     *slog.Logger
	logins  *logins
	front   int
	readers []int
	live    Live
	system  System
	hooks   map[*schema.Object][]Hooks
	mounts  []mount
	// root is the tree below /api/v1, pages the one below /internal that the admin pages alone reach.
	root  *node
	pages *node
	kept  *kept
	slots chan struct{}
	// figures count requests.
	figures Figures
}

// New makes a server with the routes of every table.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Live == nil {
		o.Live = noCalls{}
	}
	s := &Server{
		log: o.Log, logins: newLogins(o.Accounts, o.Log), front: o.Front, readers: o.Readers, live: o.Live, system: o.System,
		hooks: map[*schema.Object][]Hooks{}, root: &node{}, pages: &node{}, kept: newKept(), slots: make(chan struct{}, maxRunning),
	}
	if o.Store != nil {
		s.store.Store(o.Store)
	}
	s.tables()
	s.liveRoutes()
	s.systemRoutes()
	s.queryRoutes()
	return s
}

// Use gives the store once the database answers.
func (s *Server) Use(st *store.Store) { s.store.Store(st) }

// Hooks are what rules add to a table. Those that are nil add nothing. A type may have several; they run in the order in which
// they were given.
type Hooks struct {
	// Prepare runs in the write's transaction when the client's values are in the draft. orders are the fields of Access Order
	// by their schema name.
	Prepare func(tx *store.Tx, d *store.Draft, orders map[string]string) error
	// Stored runs in the same transaction after Put.
	Stored func(tx *store.Tx, d *store.Draft) error
	// Remove may refuse a deletion, or delete more.
	Remove func(tx *store.Tx, r *store.Record) error
	// Show adds elements to an object, or to one row of a list. One with the name of a field takes its place.
	Show func(v store.View, r *store.Record, single bool) []Element
	// Keep, when set, is a further filter of lists made from query parameters; it returns nil to keep all.
	Keep func(v store.View, params Params) (func(*store.Record) bool, error)
}

// Hook adds rules to a type. It is called before the first request.
func (s *Server) Hook(o *schema.Object, h Hooks) { s.hooks[o] = append(s.hooks[o], h) }

// Handler answers one request. Its errors are those of packages failure and store, [NotFound] and [Busy]; any other is 500.
type Handler func(c *Call) (Answer, error)

// Handle adds what is no object of a table, or takes the place of what a table does at that path. {id} stands for an ID;
// below the path of a table the object exists when h is called, except for live ones. It is called before the first request.
func (s *Server) Handle(method, pattern string, h Handler) {
	s.root.at(pattern).handle(method, &route{handler: h})
}

// HandleDocument is Handle for what takes a document of JSON, in Call.Body, where everything else takes forms.
func (s *Server) HandleDocument(method, pattern string, h Handler) {
	s.root.at(pattern).handle(method, &route{handler: h, json: true})
}

// HandleAlone is Handle for what needs no database.
func (s *Server) HandleAlone(method, pattern string, h Handler) { s.handleAlone(method, pattern, h) }

// HandlePage is Handle below /internal, which the admin pages alone reach.
func (s *Server) HandlePage(method, pattern string, h Handler) {
	s.pages.at(pattern).handle(method, &route{handler: h})
}

// Mounted serves a path that is not below /api. source is the far end's address.
type Mounted func(w http.ResponseWriter, r *http.Request, source string)

// Mount gives a path outside /api, and all below it, to h, which checks by itself who may: no login comes before it. Paths are compared
// without regard to case, as those of the API are. It is called before the first request.
func (s *Server) Mount(path string, h Mounted) {
	s.mounts = append(s.mounts, mount{strings.ToLower(path), h})
}

type mount struct {
	path  string
	serve Mounted
}

// mounted finds what serves a path, nil for the API.
func (s *Server) mounted(path string) Mounted {
	for _, m := range s.mounts {
		if n := len(m.path); len(path) >= n && strings.EqualFold(path[:n], m.path) && (len(path) == n || path[n] == '/') {
			return m.serve
		}
	}
	return nil
}

// handleAlone is Handle for what needs no database.
func (s *Server) handleAlone(method, pattern string, h Handler) {
	s.root.at(pattern).handle(method, &route{handler: h, alone: true})
}

// Call is one request.
type Call struct {
	Params Params
	// IDs are those of the path, in order.
	IDs []store.ID
	// User made the request from Source, an address.
	User, Source string
	// place is Source with its port.
	place string
	// Path is that of the request below /api/v1, spelled as the tables spell it.
	Path string
	// Body is that of the request as it came.
	Body []byte

	ctx    context.Context
	store  *store.Store
	server *Server
}

// Context ends when the client goes away or the request has taken too long.
func (c *Call) Context() context.Context { return c.ctx }

// View is what can be read. Handlers without the database do not ask for it.
func (c *Call) View() store.View { return c.store }

// Store is for pages of lists.
func (c *Call) Store() *store.Store { return c.store }

// Write is [store.Store.Write] for as long as the request may take.
func (c *Call) Write(f func(tx *store.Tx) error) error { return c.store.Write(c.ctx, f) }

// LevelAudit is that of what belongs into the audit log as well as into the log (guide 3.1.4).
const LevelAudit = slog.LevelInfo + 1

// Audit logs a change in the form that administrators look for. what begins with a verb and has no secrets.
func (c *Call) Audit(what string) {
	c.server.log.Log(c.ctx, LevelAudit, c.place+`: API user "`+c.User+`" `+what)
}

// Answer is that of a request that succeeded: an XML document, a document of another type, or nothing.
type Answer struct {
	Root *Element
	// Location is the path of what was made or changed, below /api/v1.
	Location string
	// Header are further headers.
	Header http.Header
	// Type and Content are a document that is not XML of ours.
	Type    string
	Content []byte
}

func answer(e Element) (Answer, error) { return Answer{Root: &e}, nil }

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.fail(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if serve := s.mounted(r.URL.Path); serve != nil {
		serve(w, r, source(r, s.front))
		return
	}
	// Logins come first: who has none learns nothing, not even which paths there are.
	who, err := s.who(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w, done := s.figures.count(w)
	defer done()
	if s.system.Tracing.Remaining("api") > 0 {
		w = &traced{ResponseWriter: w}
		defer s.trace(w.(*traced), r, who, time.Now())
	}
	if err := s.serve(w, r, who); err != nil {
		s.fail(w, r, err)
	}
}

// traced remembers the status of an answer.
type traced struct {
	http.ResponseWriter
	status int
}

func (t *traced) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (t *traced) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// trace logs a request while detailed tracing of the API is on. Queries and bodies are left out, since they may have passcodes.
func (s *Server) trace(t *traced, r *http.Request, who caller, began time.Time) {
	s.log.Info("API trace", "source", who.source, "user", who.user, "method", r.Method, "path", r.URL.EscapedPath(), "status", t.status,
		"took", time.Since(began).Round(time.Microsecond))
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, who caller) error {
	c := &Call{User: who.user, Source: who.source, place: who.place, store: s.store.Load(), server: s}
	at, err := s.find(c, r.URL.Path, who.front)
	if err != nil {
		return err
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	found := at.routes[method]
	if found == nil {
		w.Header().Set("Allow", at.allow())
		switch method {
		case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete:
			return failure.InvalidOperation
		}
		send(w, r, http.StatusMethodNotAllowed, "text/xml",
			failures(Element{Name: string(failure.InvalidOperation)}))
		return nil
	}
	if c.store == nil && !found.alone {
		return Busy{failure.DatabaseNotReady, 5 * time.Second}
	}
	forms := []string{r.URL.RawQuery}
	if method != http.MethodGet {
		if c.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			if _, tooLarge := err.(*http.MaxBytesError); tooLarge {
				return err
			}
			return errBody
		}
		// Whatever the content type says: deployed clients send forms as application/json (reference section 1).
		switch json := isJSON(c.Body); {
		case json && !found.json:
			return &failure.Parameter{Name: "*", Fault: failure.Invalid, Why: "the body is JSON: send it as a form, name=value&name=value"}
		case !json:
			forms = append(forms, string(c.Body))
		}
	}
	if c.Params, err = parseParams(forms...); err != nil {
		return err
	}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(r.Context(), maxRequest)
	defer cancel()
	if err := s.enter(c.ctx); err != nil {
		return err
	}
	defer func() { <-s.slots }()
	a, err := found.handler(c)
	if err != nil {
		return err
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	if a.Location != "" {
		// Relative, and without a host: clients cut the ID out of it by position.
		w.Header()["Location"] = []string{"/api/v1/" + a.Location}
	}
	switch {
	case a.Root != nil:
		send(w, r, http.StatusOK, "text/xml", document(*a.Root))
	case a.Type != "":
		send(w, r, http.StatusOK, a.Type, a.Content)
	default:
		send(w, r, http.StatusOK, "", nil)
	}
	return nil
}

// isJSON tells documents from forms. An empty document is as good as no body.
func isJSON(body []byte) bool {
	body = bytes.Trim(body, " \t\r\n")
	return len(body) > 2 && (body[0] == '{' || body[0] == '[')
}

// enter waits for a place among those who are worked for.
func (s *Server) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(waitRunning)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return Busy{failure.CallBridgeUnavailable, 5 * time.Second}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func send(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	} else {
		// An empty body has no type to guess.
		w.Header()["Content-Type"] = nil
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// Serve answers on a listener until the context ends, and then lets requests under way come to their end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if b, ok := c.(*boundConn); ok {
				c = b.Conn
			}
			p := peer{uid: -1, local: c.LocalAddr().Network() == "unix"}
			if uid, ok := callers.UID(c); ok {
				p.uid = int(uid)
			}
			return context.WithValue(ctx, peerKey{}, p)
		},
	}
	if l.Addr().Network() == "unix" {
		// The admin pages have many connections, and nobody else on this machine has a reason to.
		l = callers.Listener(l, maxConnections/2)
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	})
	err := server.Serve(bound(l, maxConnections))
	if stop() {
		server.Close()
		return fmt.Errorf("serve the API: %w", err)
	}
	<-done
	return nil
}
