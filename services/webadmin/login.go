package webadmin

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// loginPage is what the form to sign in shows.
type loginPage struct {
	User, Next, Error, Notice string
	// Card is whose certificate the browser has shown, empty for none; Strict hides the password.
	Card   string
	Strict bool
	// Carried is a form that was sent after its session had ended; it can be sent again after signing in.
	Carried []carried
}

// carriedPrefix is before the names of a form's inputs on the page to sign in.
const carriedPrefix = "c."

// carry are the inputs of a form, without its token and with another prefix.
func carry(values url.Values, from, to string) (list []carried) {
	for name, all := range values {
		rest, ok := strings.CutPrefix(name, from)
		if !ok || rest == "token" {
			continue
		}
		for _, value := range all {
			list = append(list, carried{to + rest, value})
		}
	}
	slices.SortStableFunc(list, func(a, b carried) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// resumePage sends a form once more.
type resumePage struct {
	Path    string
	Carried []carried
}

// maxName bounds a user name and a password.
const maxName = 1024

// home is where somebody begins.
func home(in *session) string {
	if in.has(roleAdmin, roleAppAdmin) {
		return "/status"
	}
	return "/logs/events"
}

// within is the part of an address that stays on this site; anything else becomes "".
func within(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return ""
	}
	return next
}

// askToSignIn sends a visitor without a session to the form, and remembers where to.
func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request, background bool) {
	if background {
		http.Error(w, "signed out", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err == nil && len(r.PostForm) > 0 {
			s.renderLogin(w, r, http.StatusUnauthorized, loginPage{Next: within(r.URL.RequestURI()), Carried: carry(r.PostForm, "", carriedPrefix),
				Notice: "You were signed out meanwhile. What you typed is kept: sign in, and send it once more."})
			return
		}
	}
	query := url.Values{}
	if r.Method == http.MethodGet && r.URL.Path != "/user" {
		query.Set("next", r.URL.RequestURI())
	}
	if _, err := r.Cookie(sessionCookie); err == nil {
		query.Set("ended", "1")
	}
	http.Redirect(w, r, "/login?"+query.Encode(), http.StatusSeeOther)
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if in := s.sessions.of(r, true); in != nil {
		http.Redirect(w, r, home(in), http.StatusSeeOther)
		return
	}
	p := loginPage{Next: within(r.URL.Query().Get("next"))}
	switch {
	case r.URL.Query().Get("ended") != "":
		p.Notice = "You were signed out because the page was not used for a while. Sign in to go on."
	case r.URL.Query().Get("bye") != "":
		p.Notice = "You are signed out."
	}
	s.renderLogin(w, r, http.StatusOK, p)
}

func (s *Server) renderLogin(w http.ResponseWriter, r *http.Request, status int, p loginPage) {
	if policy := s.cards(); policy.Enabled {
		p.Strict = policy.Strict
		if chain := presented(r); chain != nil {
			p.Card = chain[0].Subject.String()
		}
	}
	s.execute(w, status, "login", &frame{Title: "Sign in", Host: s.options.Hostname, Style: s.style, Script: s.script, Icon: s.iconPath(), Data: p})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm+maxForm/2)
	if err := r.ParseForm(); err != nil || len(r.PostForm.Get("user")) > maxName || len(r.PostForm.Get("password")) > maxName {
		s.renderLogin(w, r, http.StatusBadRequest, loginPage{Error: "The form could not be read. Try again."})
		return
	}
	p := loginPage{User: strings.TrimSpace(r.PostForm.Get("user")), Next: within(r.PostForm.Get("next")), Carried: carry(r.PostForm, carriedPrefix, carriedPrefix)}
	if s.cards().Strict {
		s.options.Audit("login by a password refused, source " + peer(r) + ": cac is strict")
		p.Error = "Passwords are not taken here: sign in by your card."
		s.renderLogin(w, r, http.StatusForbidden, p)
		return
	}
	password := r.PostForm.Get("password")
	if p.User == "" || password == "" {
		p.Error = "Enter your user name and your password."
		s.renderLogin(w, r, http.StatusBadRequest, p)
		return
	}
	source := peer(r)
	select {
	case s.logins <- struct{}{}:
		defer func() { <-s.logins }()
	default:
		p.Error = "Too many people sign in at this moment. Try again in a few seconds."
		s.renderLogin(w, r, http.StatusServiceUnavailable, p)
		return
	}
	roles, err := s.options.Accounts.Check(r.Context(), pagesDoor, p.User, password, r.RemoteAddr)
	if err != nil {
		// The name is left out: it may be a password that was typed into the wrong field.
		s.options.Audit("login refused, source " + source)
		p.Error = upper(err.Error()) + "."
		s.renderLogin(w, r, http.StatusUnauthorized, p)
		return
	}
	s.admit(w, r, p, p.User, roles, [sha256.Size]byte{})
}

// admit begins the session of somebody who has shown who they are. card is the certificate that has shown it, nothing for a password.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, p loginPage, user string, roles []string, card [sha256.Size]byte) {
	source := peer(r)
	in := &session{roles: roles}
	if !in.has(pagesRoles...) {
		s.options.Audit(fmt.Sprintf("login of user %q refused, source %s: its role has no pages", user, source))
		p.Error = "This account may not use the pages: they are for the roles admin, appadmin and audit."
		s.renderLogin(w, r, http.StatusForbidden, p)
		return
	}
	in = s.sessions.begin(r.Context(), w, user, roles, source, card)
	s.options.Audit(fmt.Sprintf("login of user %q, source %s", user, source))
	if kept := carry(r.PostForm, carriedPrefix, ""); len(kept) > 0 && p.Next != "" {
		v := &visit{Server: s, w: w, r: r, session: in, who: caller{in.user, source}}
		v.show("resume", "Send what you typed?", resumePage{p.Next, kept})
		return
	}
	next := p.Next
	if next == "" || next == "/" {
		next = home(in)
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	in := s.sessions.of(r, true)
	if in != nil {
		if err := r.ParseForm(); err != nil || !in.genuine(r.PostForm.Get("token")) {
			http.Redirect(w, r, "/user", http.StatusSeeOther)
			return
		}
		s.options.Audit(fmt.Sprintf("logout of user %q, source %s", in.user, in.source))
	}
	s.sessions.end(w, r)
	http.Redirect(w, r, "/login?bye=1", http.StatusSeeOther)
}
