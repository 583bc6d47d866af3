package webadmin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rotunda/mmp/admission"
)

const (
	// sessionCookie has the prefix by which browsers insist on Secure, on this host and on the whole path.
	sessionCookie = "__Host-session"
	// idleLimit ends a session that nobody uses, absoluteLimit every session.
	idleLimit     = 30 * time.Minute
	absoluteLimit = 12 * time.Hour
	// maxSessions in all, and of one account; the one that was used longest ago makes room.
	maxSessions        = 500
	maxAccountSessions = 16
)

// session is one browser that has signed in.
type session struct {
	user   string
	roles  []string
	source string // address and port of the login
	token  string // against forged requests
	id     string // for the shell
	made   time.Time
	// card is the hash of the certificate that the session belongs to: it ends for a browser that no longer shows it, as when the card
	// was pulled. Nothing for a session by a password.
	card [sha256.Size]byte

	mu     sync.Mutex
	used   time.Time
	notice string
	// account is what the shell said of it.
	account time.Time
}

// has says whether the account has one of the roles.
func (s *session) has(roles ...string) bool {
	return slices.ContainsFunc(s.roles, func(r string) bool { return slices.Contains(roles, r) })
}

// tell leaves a notice for the next page.
func (s *session) tell(notice string) {
	s.mu.Lock()
	s.notice = notice
	s.mu.Unlock()
}

// told takes the notice.
func (s *session) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	notice := s.notice
	s.notice = ""
	return notice
}

// sessions are all of them, by a hash of their cookie: what reads this memory cannot sign in by it.
type sessions struct {
	now func() time.Time
	// keeper may be nil.
	keeper Keeper
	// ended is called for a session that a limit or an administrator ended.
	ended func(s *session, why string)

	mu   sync.Mutex
	list map[[sha256.Size]byte]*session
}

// Keeper lists sessions as those of an account, and ends them for it: [admission.Client], the shell.
type Keeper interface {
	Keep(ctx context.Context, s admission.Session) (account time.Time, err error)
	Leave(ctx context.Context, id string) error
}

func newSessions(now func() time.Time, keeper Keeper, ended func(*session, string)) *sessions {
	return &sessions{now: now, keeper: keeper, ended: ended, list: map[[sha256.Size]byte]*session{}}
}

func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// begin makes a session and sets its cookie.
func (t *sessions) begin(ctx context.Context, w http.ResponseWriter, user string, roles []string, source string, card [sha256.Size]byte) *session {
	now := t.now()
	s := &session{user: user, roles: roles, source: source, token: secret(), id: secret(), made: now, used: now, card: card}
	key := secret()
	t.mu.Lock()
	t.expire(now)
	t.makeRoom(maxAccountSessions, func(o *session) bool { return o.user == user })
	t.makeRoom(maxSessions, func(*session) bool { return true })
	t.list[sha256.Sum256([]byte(key))] = s
	t.mu.Unlock()
	// Whoever was deleted since the password was checked hears of it with the next page.
	_ = t.keep(ctx, s)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: key, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return s
}

// makeRoom ends the sessions used longest ago until fewer than most of a kind are left. The caller holds mu.
func (t *sessions) makeRoom(most int, kind func(*session) bool) {
	for {
		var oldest [sha256.Size]byte
		var found *session
		n := 0
		for key, s := range t.list {
			if !kind(s) {
				continue
			}
			n++
			if found == nil || s.lastUse().Before(found.lastUse()) {
				oldest, found = key, s
			}
		}
		if n < most {
			return
		}
		delete(t.list, oldest)
		t.ended(found, "too many sessions")
	}
}

func (s *session) lastUse() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// of returns the session of a request, nil when there is none or it has ended. Progress that a page looks at by itself is no use.
func (t *sessions) of(r *http.Request, background bool) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	now := t.now()
	t.mu.Lock()
	t.expire(now)
	s := t.list[sha256.Sum256([]byte(cookie.Value))]
	t.mu.Unlock()
	if s == nil || s.card != [sha256.Size]byte{} && s.card != cardOf(r) || !t.keep(r.Context(), s) {
		return nil
	}
	if !background {
		s.mu.Lock()
		s.used = now
		s.mu.Unlock()
	}
	return s
}

// keepTimeout is how long a page waits for the shell, which answers in a millisecond.
const keepTimeout = 5 * time.Second

// keep tells the shell of a session and says whether it goes on. A shell that does not answer has deleted nobody meanwhile.
func (t *sessions) keep(ctx context.Context, s *session) bool {
	if t.keeper == nil {
		return true
	}
	from, err := netip.ParseAddrPort(s.source)
	if err != nil {
		return true // a test without a network
	}
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	s.mu.Lock()
	account := s.account
	s.mu.Unlock()
	account, err = t.keeper.Keep(ctx, admission.Session{ID: s.id, User: s.user, Account: account, Source: from})
	if errors.Is(err, admission.ErrEnded) {
		t.drop(s)
		return false
	}
	if err == nil {
		s.mu.Lock()
		s.account = account
		s.mu.Unlock()
	}
	return true
}

// drop ends a session whose account wants it to end.
func (t *sessions) drop(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, o := range t.list {
		if o == s {
			delete(t.list, key)
			t.ended(s, "an administrator ended it, or deleted its account")
		}
	}
}

// expire ends what has reached a limit. The caller holds mu.
func (t *sessions) expire(now time.Time) {
	for key, s := range t.list {
		why := ""
		switch {
		case now.Sub(s.made) >= absoluteLimit:
			why = "its time was over"
		case now.Sub(s.lastUse()) >= idleLimit:
			why = "nobody used it"
		default:
			continue
		}
		delete(t.list, key)
		t.ended(s, why)
	}
}

// end signs one out.
func (t *sessions) end(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		key := sha256.Sum256([]byte(cookie.Value))
		t.mu.Lock()
		s := t.list[key]
		delete(t.list, key)
		t.mu.Unlock()
		if s != nil && t.keeper != nil {
			ctx, cancel := context.WithTimeout(r.Context(), keepTimeout)
			defer cancel()
			// One that it does not hear of, it forgets.
			_ = t.keeper.Leave(ctx, s.id)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// sweep ends sessions whose browsers are gone, so that the audit log says so in time.
func (t *sessions) sweep() {
	t.mu.Lock()
	t.expire(t.now())
	t.mu.Unlock()
}

// keepAll tells the shell of all sessions, used or not.
func (t *sessions) keepAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.list))
	t.mu.Unlock()
	for _, s := range all {
		t.keep(ctx, s)
	}
}

// endAll ends what is left when the Web Admin stops.
func (t *sessions) endAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, s := range t.list {
		delete(t.list, key)
		t.ended(s, "the Web Admin was stopped")
	}
}

// genuine says whether a form carries the session's token.
func (s *session) genuine(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}
