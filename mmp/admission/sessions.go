package admission

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rotunda/mmp/shell"
)

const (
	// KeepEvery is how often a service tells of each of its sessions at least; one of which nobody has told for longer than forgetAfter is
	// over, as when the service has crashed.
	KeepEvery   = time.Minute
	forgetAfter = 3 * KeepEvery
	// maxKept is more than the Web Admin has.
	maxKept = 1000
)

// kept are the sessions that services keep.
type kept struct {
	mu   sync.Mutex
	list map[string]*keptSession
}

type keptSession struct {
	login *shell.Login
	// end takes the session off the accounts' list.
	end     func()
	evicted bool
	forget  *time.Timer
}

// keep answers whether a session goes on. One that is not known begins, or begins anew after a restart of the shell.
func (s *Server) keep(w http.ResponseWriter, _ *http.Request, q Session) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	if k := s.kept.list[q.ID]; k != nil {
		if k.evicted || k.login.User != q.User {
			http.Error(w, "ended", http.StatusGone)
			return
		}
		k.forget.Reset(forgetAfter)
		answer(w, http.StatusOK, k.login.Added)
		return
	}
	switch {
	case q.ID == "" || !q.Source.IsValid():
		http.Error(w, "question: no name of the session, or no source", http.StatusBadRequest)
		return
	case len(s.kept.list) >= maxKept:
		http.Error(w, "too many sessions", http.StatusServiceUnavailable)
		return
	}
	login, err := s.Accounts.Standing(q.User, q.Account)
	if err != nil {
		http.Error(w, "ended", http.StatusGone)
		return
	}
	login.Source = shell.Source{Addr: netip.AddrPortFrom(q.Source.Addr().Unmap(), q.Source.Port())}
	k := &keptSession{login: login}
	if k.end, err = s.Accounts.Begin(login, shell.ServiceSession, func() { s.kept.evict(k) }); err != nil {
		http.Error(w, "ended", http.StatusGone)
		return
	}
	k.forget = time.AfterFunc(forgetAfter, func() {
		s.kept.mu.Lock()
		defer s.kept.mu.Unlock()
		s.kept.remove(q.ID)
	})
	if s.kept.list == nil {
		s.kept.list = map[string]*keptSession{}
	}
	s.kept.list[q.ID] = k
	answer(w, http.StatusOK, login.Added)
}

func (s *Server) leave(w http.ResponseWriter, _ *http.Request, q Session) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	s.kept.remove(q.ID)
	answer(w, http.StatusOK, struct{}{})
}

// evict ends a session for its account. The entry stays, or the next question would begin it anew.
func (l *kept) evict(k *keptSession) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.evicted = true
	k.end()
}

// remove forgets a session. The caller holds mu.
func (l *kept) remove(id string) {
	if k := l.list[id]; k != nil {
		k.forget.Stop()
		k.end()
		delete(l.list, id)
	}
}

func (l *kept) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.list {
		l.remove(id)
	}
}
