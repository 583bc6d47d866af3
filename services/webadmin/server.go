package webadmin

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"rotunda/init/config"
)

// Accounts says whether a name and a password are those of an account of the management shell. source is the far end's address and
// port. The text of an error is shown to whoever tries.
type Accounts interface {
	Check(ctx context.Context, by Door, user, password, source string) (roles []string, err error)
}

// Door is what somebody comes in by: its name for the log, whom it is for, and whether they are scripts, which log in with every request.
type Door struct {
	name    string
	roles   []string
	scripts bool
}

// Options make a [Server].
type Options struct {
	Accounts Accounts
	// Cards says whose certificates are; CardPolicy whether that counts now. Without both, passwords are all there is.
	Cards      Cards
	CardPolicy func() config.Cards
	// Keeper is told of sessions; nil keeps them until their limits.
	Keeper Keeper
	// Socket is the Call Bridge's.
	Socket string
	// Logs is the folder of the machine's log.
	Logs string
	// Hostname is shown on every page.
	Hostname string
	Log      *slog.Logger
	// Audit takes what belongs into the audit log: who signed in and out.
	Audit func(text string)
	// Now is the clock of sessions; nil for the machine's.
	Now func() time.Time
	// Gatherer is the loopback address of the figures of the whole machine.
	Gatherer string
}

// Roles of accounts (guide 4.1). Pages are for pagesRoles; auditors see the logs alone.
const (
	roleAdmin    = "admin"
	roleAppAdmin = "appadmin"
	roleAudit    = "audit"
)

var (
	pagesRoles = []string{roleAdmin, roleAppAdmin, roleAudit}
	pagesDoor  = Door{"Web Admin", pagesRoles, false}
)

const (
	// maxForm bounds what a form may send.
	maxForm = 256 << 10
	// maxLogins are checked at once: a check costs the shell a password hash.
	maxLogins = 8
)

// Server serves pages and API.
type Server struct {
	options  Options
	figures  figures
	bridge   *bridge
	api      http.Handler
	sessions *sessions
	logins   chan struct{}
	views    map[string]*template.Template
	assets   map[string]asset
	style    string // path of the style sheet with its hash
	script   string
	pages    *http.ServeMux
	forgery  *http.CrossOriginProtection

	own      sync.Mutex
	ownSyncs []string // imports that were started by a page
}

//go:embed pages
var files embed.FS

type asset struct {
	kind string
	body []byte
}

// New makes the server of the pages and the API.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	transport := newTransport(o.Socket)
	s := &Server{options: o, bridge: newBridge(transport), logins: make(chan struct{}, maxLogins), assets: map[string]asset{},
		pages: http.NewServeMux(), forgery: http.NewCrossOriginProtection()}
	if o.Accounts != nil {
		s.options.Accounts = countingAccounts{o.Accounts, &s.figures}
	}
	s.api = newProxy(transport, o.Log)
	s.sessions = newSessions(o.Now, o.Keeper, func(ended *session, why string) {
		o.Audit(fmt.Sprintf("session of user %q from %s ended: %s", ended.user, ended.source, why))
	})
	s.style = s.embed("style.css", "text/css; charset=utf-8")
	s.script = s.embed("script.js", "text/javascript; charset=utf-8")
	s.embed("icon.svg", "image/svg+xml")
	s.views = s.parse()
	s.routes()
	return s
}

// embed makes an asset known under a path that changes with its content, so that browsers may keep it for ever.
func (s *Server) embed(name, kind string) string {
	body, err := fs.ReadFile(files, "pages/"+name)
	if err != nil {
		panic(err) // it is in this program
	}
	sum := sha256.Sum256(body)
	path := "/assets/" + hex.EncodeToString(sum[:6]) + "/" + name
	s.assets[path] = asset{kind, body}
	return path
}

func (s *Server) iconPath() string {
	for path := range s.assets {
		if strings.HasSuffix(path, ".svg") {
			return path
		}
	}
	return ""
}

// Handler serves the HTTPS port.
func (s *Server) Handler() http.Handler {
	return s.figures.counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.forgery.Check(r); err != nil {
			// A page elsewhere must not use the session, nor a password that the browser remembers for the API.
			http.Error(w, "this request comes from another site", http.StatusForbidden)
			return
		}
		if passes(r.URL.Path) {
			s.api.ServeHTTP(w, r)
			return
		}
		protect(w.Header())
		if a, ok := s.assets[r.URL.Path]; ok {
			w.Header().Set("Content-Type", a.kind)
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			_, _ = w.Write(a.body)
			return
		}
		s.pages.ServeHTTP(w, r)
	}))
}

// Loopback serves the API and events alone, for the other services of this machine.
func (s *Server) Loopback() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.forgery.Check(r) != nil || !passes(r.URL.Path) {
			http.Error(w, "only the API is served here", http.StatusNotFound)
			return
		}
		s.api.ServeHTTP(w, r)
	})
}

// passed are the paths of the Call Bridge: the API, and the WebSocket of events (guide 18.2), which a token opens and no cookie.
var passed = []string{"/api", "/events"}

// passes: clients write the path in any case.
func passes(path string) bool {
	for _, p := range passed {
		if n := len(p); len(path) >= n && strings.EqualFold(path[:n], p) && (len(path) == n || path[n] == '/') {
			return true
		}
	}
	return false
}

// protect sets what tells browsers to be strict. Nothing is loaded from elsewhere and no script stands in a page.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types fragment")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// peer is the far end's address with its port.
func peer(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()).String()
}

// routes are the pages.
func (s *Server) routes() {
	s.pages.HandleFunc("GET /login", s.login)
	s.pages.HandleFunc("POST /login", s.signIn)
	s.pages.HandleFunc("POST /login/card", s.signInByCard)
	s.pages.HandleFunc("POST /logout", s.signOut)
	s.pages.HandleFunc("GET /metrics", s.metrics)
	s.pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if in := s.sessions.of(r, false); in != nil {
			http.Redirect(w, r, home(in), http.StatusSeeOther)
			return
		}
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	})
	both := []string{roleAdmin, roleAppAdmin}
	logs := pagesRoles
	s.page("GET /status", both, (*visit).statusGeneral)
	s.page("GET /status/calls", both, (*visit).statusCalls)
	s.page("GET /status/users", both, (*visit).statusUsers)
	s.page("GET /status/database", both, (*visit).statusDatabase)
	s.page("/status/licences", both, (*visit).licences)
	s.page("GET /configuration/trace", both, (*visit).traceCall)
	s.page("/configuration/general", both, (*visit).general)
	s.page("/configuration/directory", both, (*visit).directory)
	s.page("POST /configuration/directory/sync", both, (*visit).syncNow)
	s.page("GET /configuration/directory/progress/{id}", both, (*visit).syncProgress)
	s.page("/configuration/calls", both, (*visit).callSettings)
	s.page("/configuration/outbound", both, (*visit).outbound)
	s.page("/configuration/incoming", both, (*visit).incoming)
	s.page("/configuration/cdr", both, (*visit).cdr)
	s.page("/configuration/spaces", both, (*visit).spaces)
	s.page("GET /configuration/api", both, (*visit).explorerIndex)
	s.page("/configuration/api/{path...}", both, (*visit).explorer)
	s.page("GET /logs/events", logs, (*visit).events)
	s.page("GET /logs/download", logs, (*visit).download)
	s.page("/logs/tracing", both, (*visit).tracing)
	s.page("GET /user", logs, (*visit).user)
	s.page("/", logs, func(v *visit) {
		v.problem(http.StatusNotFound, "There is no such page", "The address may have been typed wrongly, or the object is gone.")
	})
}

// page adds one for those who have signed in with a role.
func (s *Server) page(pattern string, roles []string, f func(*visit)) {
	s.pages.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		background := r.Header.Get("Rotunda-Background") != ""
		in := s.sessions.of(r, background)
		if in == nil {
			s.askToSignIn(w, r, background)
			return
		}
		v := &visit{Server: s, w: w, r: r, session: in, who: caller{in.user, peer(r)}}
		if !in.has(roles...) {
			v.problem(http.StatusForbidden, "Not for your role", "Your account may not open this page.")
			return
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if err := r.ParseForm(); err != nil {
				v.problem(http.StatusBadRequest, "The form could not be read", "It is too large, or something cut it short.")
				return
			}
			if !in.genuine(r.PostForm.Get("token")) {
				v.problem(http.StatusForbidden, "This form is out of date", "It was made before you signed in. Go back, reload the page and send it again.")
				return
			}
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			v.problem(http.StatusMethodNotAllowed, "Not possible", "A page can be read and its forms can be sent.")
			return
		}
		f(v)
	})
}
