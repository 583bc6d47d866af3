package accounts

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/identity"
	"rotunda/mmp/shell"
)

// Identity asks those who know people better: a directory, and the issuer of cards. [identity.Client] is the real one.
type Identity interface {
	// CheckPassword asks the directory; the error wraps [identity.ErrWrong] or [identity.ErrUnavailable].
	CheckPassword(ctx context.Context, user, password string) error
	// CheckCertificate asks whose a certificate is, in DER with those that issued it behind it; errors likewise.
	CheckCertificate(ctx context.Context, chain [][]byte) (identity.Holder, error)
}

// Policy is what logins are taken (guide 4.8 and 15.1).
type Policy struct {
	// LDAP: users of the directory may log in. Cards: holders of cards may. Strict: nobody may by a password, but a local
	// administrator at the serial console.
	LDAP, Cards, Strict bool
}

func (s *Store) policy(ctx context.Context) Policy {
	if s.cfg.Policy == nil || s.cfg.Identity == nil {
		return Policy{}
	}
	return s.cfg.Policy(ctx)
}

// ofDirectory says whether a user's password is the directory's.
func (s *Store) ofDirectory(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.doc.find(user)
	return a != nil && a.LDAP
}

// checkLDAP is [Store.CheckPassword] for a user of the directory. The directory is asked while a hash is computed in vain, so that the
// time of a refusal does not tell such a user from a name that nobody has, as long as the directory is not slower than that.
func (s *Store) checkLDAP(ctx context.Context, policy Policy, user, password string, from shell.Source) (*shell.Login, error) {
	hashed := make(chan error, 1)
	go func() {
		_, err := s.hasher.verify(ctx, s.hasher.decoy, password[:min(len(password), maxPassword)], from.Console != "")
		hashed <- err
	}()
	s.mu.Lock()
	a := s.doc.find(user)
	reason := "unknown user or wrong password"
	if a != nil {
		reason = s.locked(a, from)
	}
	s.mu.Unlock()
	var err error
	switch {
	case reason != "":
	case from.Service == shell.APIService:
		reason = "the API does not take users of the directory"
	case !policy.LDAP:
		reason = "a user of the directory, and ldap is not enabled"
	default:
		err = s.cfg.Identity.CheckPassword(ctx, user, password)
	}
	if e := <-hashed; e != nil {
		return nil, fmt.Errorf("%w: %w", shell.ErrRefused, e)
	}
	if err != nil {
		reason = err.Error()
		if errors.Is(err, identity.ErrWrong) {
			s.mu.Lock()
			if s.doc.find(user) != nil {
				s.countFailure(user, from)
			}
			s.mu.Unlock()
			// What was searched for has the name in it, which may be a password typed too early.
			reason = "the directory does not know the user or the password"
		} else {
			reason = strings.ReplaceAll(reason, user, "…")
		}
	}
	if reason != "" {
		return nil, s.refuse(from, reason)
	}
	if !s.ofDirectory(user) {
		return nil, s.refuse(from, "the account was changed meanwhile")
	}
	login, err := s.admit(ctx, user, from)
	if err != nil {
		return nil, err
	}
	login.Means = "LDAP"
	return login, nil
}

// CheckCard says whose a certificate is, in DER with those that issued it behind it, once the far end has proven to have its key. It
// asks neither the directory nor for a password: cards come first (guide 4.8).
func (s *Store) CheckCard(ctx context.Context, chain [][]byte, from shell.Source) (*shell.Login, error) {
	if !s.policy(ctx).Cards {
		return nil, s.refuse(from, "a certificate was presented, and cac is not enabled")
	}
	if from.Service == shell.APIService {
		return nil, s.refuse(from, "the API does not take cards")
	}
	holder, err := s.cfg.Identity.CheckCertificate(ctx, chain)
	if err != nil {
		return nil, s.refuse(from, err.Error())
	}
	for _, name := range holder.Names {
		if user := s.called(name); user != "" {
			return s.admitCard(ctx, user, holder.Title, from)
		}
	}
	return nil, s.refuse(from, holder.Title+": there is no user of its names "+strings.Join(holder.Names, ", "))
}

// called is the account of that name in any case, "" for none: directories and cards write names as they like, and two accounts never
// differ in case alone.
func (s *Store) called(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.doc.Accounts {
		if strings.EqualFold(a.Name, name) {
			return a.Name
		}
	}
	return ""
}

// admitCard is [Store.admit] for a card: its holder has used no password, so none has to be changed.
func (s *Store) admitCard(ctx context.Context, user, title string, from shell.Source) (*shell.Login, error) {
	login, err := s.admit(ctx, user, from)
	if err != nil {
		return nil, err
	}
	login.MustChange, login.Means = "", title
	return login, nil
}

// cardSuffixes make the names of files with the certificate of a user's card, and perhaps of those that issued it.
var cardSuffixes = []string{".crt", ".cer", ".pem"}

const (
	// maxCardFile and maxCards bound such a file.
	maxCardFile = 256 << 10
	maxCards    = 16
)

// checkCardKey says whether a key is that of a card: of a certificate in "<user>.crt" that the issuer of cards vouches for at this
// moment. SSH shows the key alone (the algorithms of RFC 6187, which show the certificate, are not in the library), so the certificate
// is put by SFTP once. ok is false where it is not, and a key may be one by "<user>.pub" then.
func (s *Store) checkCardKey(ctx context.Context, user string, key ssh.PublicKey, from shell.Source) (login *shell.Login, ok bool) {
	var list []*x509.Certificate
	for _, suffix := range cardSuffixes {
		f, err := s.cfg.Files.OpenStored(user + suffix)
		if err != nil {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(f, maxCardFile))
		f.Close()
		if err == nil {
			list = append(list, identity.Certificates(data, maxCards)...)
		}
	}
	if len(list) == 0 || !s.policy(ctx).Cards {
		return nil, false
	}
	want := key.Marshal()
	for i, c := range list {
		public, err := ssh.NewPublicKey(c.PublicKey)
		if err != nil || !bytes.Equal(public.Marshal(), want) {
			continue
		}
		chain := [][]byte{c.Raw}
		for j, other := range list {
			if j != i && len(chain) < maxCardChain {
				chain = append(chain, other.Raw)
			}
		}
		holder, err := s.cfg.Identity.CheckCertificate(ctx, chain)
		if err != nil {
			// The far end has only named the key so far; the audit log tells of it all the same, as of every other login that fails.
			_ = s.refuse(from, err.Error())
			continue
		}
		// Whoever keeps certificates may put such a file, and must not become somebody else by it.
		if !slices.ContainsFunc(holder.Names, func(name string) bool { return strings.EqualFold(name, user) }) {
			_ = s.refuse(from, holder.Title+" is in the file of a user that it does not name")
			continue
		}
		login, err := s.admitCard(ctx, user, holder.Title, from)
		return login, err == nil
	}
	return nil, false
}

// maxCardChain is what [Identity.CheckCertificate] takes.
const maxCardChain = 8
