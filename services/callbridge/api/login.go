package api

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode"

	"rotunda/services/callbridge/failure"
)

// Accounts are those of the management shell.
type Accounts interface {
	// Check returns the roles of an account. source is an address, with its port where that is known. [ErrRefused] says that name or
	// password is wrong, or that the account may not be used; any other error that it cannot be said now.
	Check(ctx context.Context, user, password, source string) (roles []string, err error)
}

// What [Accounts] and logins end with.
var (
	ErrRefused = errors.New("wrong user name or password")
	errRole    = errors.New("the account's role may not use the API")
	errSlow    = errors.New("too many wrong logins")
)

// Roles may use the API.
var Roles = []string{"admin", "appadmin", "api"}

const (
	// goodFor is how long a login that was right is remembered. Passwords are hashed slowly on purpose, about 100 ms of a core;
	// a script sends its own with every request. Remembered is an HMAC under a key that this process drew and never tells, so
	// the table by itself says nothing about passwords, and neither does what a restart leaves, which is nothing. The price is
	// that a password that was changed, or an account that was locked or removed, goes on for that long.
	goodFor = 30 * time.Second
	// maxGood logins are remembered. One has 32 bytes of a sum and a few words beside it.
	maxGood = 1024
	// A source may be wrong burst times at once, and then once in refill, for one name; for all names together it has
	// eight times as much, since many may come through one proxy. A remembered login does not pass a source that has used its
	// tries up: otherwise remembering would let it try passwords at the speed of the sum instead of that of the hash.
	burst  = 10
	refill = 6 * time.Second
	// maxSources are watched. When there are more, those that are nearly forgiven are forgotten first.
	maxSources = 8192
	// maxChecks are under way at a time: wrong logins must not take the processors away from meetings.
	maxChecks = 4
	waitCheck = 10 * time.Second
	// maxUnder checks are under way or wait; clients that go away leave theirs behind until it ends.
	maxUnder = 256
	// maxName bounds a user name and a password.
	maxName = 256
)

// caller is who made a request, and from where.
type caller struct {
	user, source string
	// place is source with its port, for the logs.
	place string
	// front is the admin pages' service itself, and not a client whose request it passes on.
	front bool
}

// peer is what a connection says about its far end.
type peer struct {
	// uid of the far end, -1 where the kernel does not say.
	uid   int
	local bool
}

type peerKey struct{}

// logins checks them.
type logins struct {
	accounts Accounts
	log      *slog.Logger
	now      func() time.Time
	key      []byte
	checks   chan struct{}

	mu    sync.Mutex
	good  map[[32]byte]time.Time // until when
	tries map[string]*tries
	under map[[32]byte]*check
}

// check is one that is under way, for all who wait for the same one.
type check struct {
	done chan struct{}
	err  error
}

// tries are wrong logins as a bucket that runs empty in time: full is when it is empty.
type tries struct {
	full time.Time
}

func newLogins(a Accounts, log *slog.Logger) *logins {
	l := &logins{accounts: a, log: log, now: time.Now, key: make([]byte, 32), checks: make(chan struct{}, maxChecks),
		good: map[[32]byte]time.Time{}, tries: map[string]*tries{}, under: map[[32]byte]*check{}}
	rand.Read(l.key)
	return l
}

// source is the far end's address.
func source(r *http.Request, front int) string { return host(place(r, front)) }

// place is the far end's address, with its port where that is known.
func place(r *http.Request, front int) string {
	p, _ := r.Context().Value(peerKey{}).(peer)
	remote := "local"
	switch {
	case !p.local:
		remote = r.RemoteAddr
	case p.isFront(front):
		// The front tells the client's for its own requests and for those that it passes on.
		remote = r.Header.Get("Rotunda-Source")
	}
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()).String()
	}
	if a, err := netip.ParseAddr(remote); err == nil {
		return a.Unmap().WithZone("").String()
	}
	if p.local {
		return "local"
	}
	return remote
}

func (p peer) isFront(front int) bool { return p.local && p.uid >= 0 && p.uid == front }

// of says who makes a request.
func (l *logins) of(r *http.Request, front int) (caller, error) {
	p, _ := r.Context().Value(peerKey{}).(peer)
	place := place(r, front)
	source := host(place)
	if user := r.Header.Get("Rotunda-User"); user != "" && p.isFront(front) {
		if !plain(user) {
			return caller{}, ErrRefused
		}
		return caller{user, source, place, true}, nil
	}
	user, password, ok := r.BasicAuth()
	if !ok || user == "" || !plain(user) || len(password) > maxName {
		return caller{}, ErrRefused
	}
	return caller{user, source, place, false}, l.check(r.Context(), user, password, place)
}

// host is the address of a remote one, without port.
func host(remote string) string {
	if h, _, err := net.SplitHostPort(remote); err == nil {
		return h
	}
	return remote
}

// plain says whether a name may stand in a log line.
func plain(name string) bool {
	if len(name) > maxName {
		return false
	}
	for _, c := range name {
		if !unicode.IsPrint(c) || c == '"' {
			return false
		}
	}
	return true
}

// check says whether a login is right and may use the API.
func (l *logins) check(ctx context.Context, user, password, place string) error {
	source := host(place)
	sum := l.sum(user, password, source)
	network := sourceNetwork(source)
	one, all := network+" "+user, network
	l.mu.Lock()
	now := l.now()
	if wait := max(l.wait(one, burst, now), l.wait(all, 8*burst, now)); wait > 0 {
		l.mu.Unlock()
		return &slowDown{wait}
	}
	if until, ok := l.good[sum]; ok && now.Before(until) {
		l.mu.Unlock()
		return nil
	}
	running := l.under[sum]
	if running == nil && len(l.under) >= maxUnder {
		l.mu.Unlock()
		return Busy{failure.CallBridgeUnavailable, 5 * time.Second}
	}
	if running == nil {
		running = &check{done: make(chan struct{})}
		l.under[sum] = running
		// A try counts from its start, or many at once would all be free; one that was not wrong is given back.
		l.charge(one, now)
		l.charge(all, now)
		l.mu.Unlock()
		// It goes on when its client goes away, since others may wait for the same one; its time is bounded by itself.
		go func() {
			running.err = l.ask(user, password, place)
			l.finish(sum, running, one, all)
		}()
	} else {
		l.mu.Unlock()
	}
	select {
	case <-running.done:
		return running.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish notes how a check ended.
func (l *logins) finish(sum [32]byte, c *check, one, all string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if c.err == nil {
		l.remember(sum, now)
	}
	if !errors.Is(c.err, ErrRefused) {
		l.giveBack(one)
		l.giveBack(all)
	}
	delete(l.under, sum)
	close(c.done)
}

func (l *logins) ask(user, password, place string) error {
	ctx, cancel := context.WithTimeout(context.Background(), waitCheck)
	defer cancel()
	select {
	case l.checks <- struct{}{}:
		defer func() { <-l.checks }()
	case <-ctx.Done():
		return Busy{failure.CallBridgeUnavailable, 5 * time.Second}
	}
	have, err := l.accounts.Check(ctx, user, password, place)
	if errors.Is(err, ErrRefused) {
		// The name that came may be a password in the wrong place; the management shell's line has the reason.
		l.log.Warn(place + ": API login refused")
		return ErrRefused
	}
	if err != nil {
		l.log.Error("API: a login cannot be checked", "error", err)
		return Busy{failure.CallBridgeUnavailable, 5 * time.Second}
	}
	for _, role := range have {
		if slices.Contains(Roles, role) {
			return nil
		}
	}
	l.log.Warn(place + `: API login of user "` + user + `" refused: its role may not use the API`)
	return errRole
}

// sum stands for a login in the tables. Lengths keep "ab"+"c" and "a"+"bc" apart.
func (l *logins) sum(parts ...string) (sum [32]byte) {
	h := hmac.New(sha256.New, l.key)
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	h.Sum(sum[:0])
	return sum
}

func (l *logins) remember(sum [32]byte, now time.Time) {
	if len(l.good) >= maxGood {
		for s, until := range l.good {
			if !now.Before(until) {
				delete(l.good, s)
			}
		}
		for s := range l.good {
			if len(l.good) < maxGood {
				break
			}
			delete(l.good, s)
		}
	}
	l.good[sum] = now.Add(goodFor)
}

// wait is how long a source must wait before its next try.
func (l *logins) wait(key string, burst int, now time.Time) time.Duration {
	t := l.tries[key]
	if t == nil {
		return 0
	}
	return t.full.Sub(now) - time.Duration(burst-1)*refill
}

// charge counts one try.
func (l *logins) charge(key string, now time.Time) {
	t := l.tries[key]
	if t == nil {
		if len(l.tries) >= maxSources {
			l.forget(now)
		}
		t = &tries{}
		l.tries[key] = t
	}
	if t.full.Before(now) {
		t.full = now
	}
	t.full = t.full.Add(refill)
}

func (l *logins) giveBack(key string) {
	if t := l.tries[key]; t != nil {
		t.full = t.full.Add(-refill)
	}
}

// forget makes room: those that have no try left to forgive, and then those with few, go.
func (l *logins) forget(now time.Time) {
	for few := time.Duration(0); len(l.tries) > maxSources*3/4; few = 2*few + refill {
		for k, t := range l.tries {
			if t.full.Sub(now) <= few {
				delete(l.tries, k)
			}
		}
	}
}

// sourceNetwork is what one far end can choose addresses from: an IPv6 host has a /64.
func sourceNetwork(source string) string {
	a, err := netip.ParseAddr(source)
	if err != nil || a.Unmap().Is4() {
		return source
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.String()
}

// slowDown is a login that is not looked at.
type slowDown struct{ wait time.Duration }

func (s *slowDown) Error() string { return errSlow.Error() }

// refuse answers a login that did not succeed.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var slow *slowDown
	switch {
	case errors.As(err, &slow):
		w.Header().Set("Retry-After", strconv.Itoa(int((slow.wait+time.Second-1)/time.Second)))
		send(w, r, http.StatusTooManyRequests, "text/xml", failures(Element{Name: "tooManyLogins"}))
	case errors.Is(err, errRole):
		send(w, r, http.StatusForbidden, "text/xml", failures(Element{Name: "accessDenied"}))
	case errors.Is(err, ErrRefused):
		w.Header().Set("WWW-Authenticate", `Basic realm="api", charset="UTF-8"`)
		send(w, r, http.StatusUnauthorized, "text/xml", failures(Element{Name: "authenticationRequired"}))
	default:
		s.fail(w, r, err)
	}
}
