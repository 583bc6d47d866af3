package webadmin

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"net/netip"

	"rotunda/init/config"
	"rotunda/mmp/admission"
)

// Cards says whose account a smart card opens (guide 15.1). chain has its certificate in DER and what the browser sent along; source is
// the far end's address and port. The text of an error is shown to whoever tries.
type Cards interface {
	CheckCard(ctx context.Context, chain [][]byte, source string) (user string, roles []string, err error)
}

// maxShown is how many certificates are passed on.
const maxShown = 8

// cards is what counts now.
func (s *Server) cards() config.Cards {
	if s.options.Cards == nil || s.options.CardPolicy == nil {
		return config.Cards{}
	}
	return s.options.CardPolicy()
}

// presented are the certificates of the far end, whose key the handshake has proven; nil for none.
func presented(r *http.Request) []*x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates
}

// cardOf names the certificate of a request.
func cardOf(r *http.Request) (card [sha256.Size]byte) {
	if chain := presented(r); chain != nil {
		card = sha256.Sum256(chain[0].Raw)
	}
	return card
}

// signInByCard begins a session by the certificate of the connection. The button is there so that nobody is signed in who only passes by.
func (s *Server) signInByCard(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm+maxForm/2)
	if err := r.ParseForm(); err != nil {
		s.renderLogin(w, r, http.StatusBadRequest, loginPage{Error: "The form could not be read. Try again."})
		return
	}
	p := loginPage{Next: within(r.PostForm.Get("next")), Carried: carry(r.PostForm, carriedPrefix, carriedPrefix)}
	chain := presented(r)
	switch {
	case !s.cards().Enabled:
		p.Error = "Cards are not taken here."
		s.renderLogin(w, r, http.StatusForbidden, p)
		return
	case chain == nil:
		p.Error = "Your browser has shown no certificate. Insert your card, close the browser and come back."
		s.renderLogin(w, r, http.StatusUnauthorized, p)
		return
	}
	select {
	case s.logins <- struct{}{}:
		defer func() { <-s.logins }()
	default:
		p.Error = "Too many people sign in at this moment. Try again in a few seconds."
		s.renderLogin(w, r, http.StatusServiceUnavailable, p)
		return
	}
	var ders [][]byte
	for _, c := range chain[:min(len(chain), maxShown)] {
		ders = append(ders, c.Raw)
	}
	user, roles, err := s.options.Cards.CheckCard(r.Context(), ders, r.RemoteAddr)
	if err != nil {
		s.options.Audit("login by a certificate refused, source " + peer(r))
		p.Error = upper(err.Error()) + "."
		s.renderLogin(w, r, http.StatusUnauthorized, p)
		return
	}
	s.admit(w, r, p, user, roles, cardOf(r))
}

// CheckCard implements [Cards].
func (s shell) CheckCard(ctx context.Context, chain [][]byte, source string) (string, []string, error) {
	from, err := netip.ParseAddrPort(source)
	if err != nil {
		return "", nil, admission.ErrCertificate
	}
	account, err := s.client.Check(ctx, admission.Question{Certificates: chain, Source: from, Service: pagesDoor.name, Roles: pagesDoor.roles})
	if err != nil {
		return "", nil, known(err)
	}
	return account.User, []string{account.Role}, nil
}

// known is an error without what it wraps, which has paths in it.
func known(err error) error {
	for _, one := range []error{admission.ErrRefused, admission.ErrPassword, admission.ErrCertificate} {
		if err == one {
			return one
		}
	}
	return admission.ErrUnavailable
}
