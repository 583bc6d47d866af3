package accounts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/grammar"
	"rotunda/mmp/identity"
	"rotunda/mmp/shell"
)

// authority stands in for the directory and the issuer of cards.
type authority struct {
	// asked counts passwords.
	asked int
	down  bool
	// vouched is whether certificates are good; names are those of all of them.
	vouched bool
	names   []string
}

func (a *authority) CheckPassword(_ context.Context, user, password string) error {
	a.asked++
	switch {
	case a.down:
		return fmt.Errorf("%w: connection refused", identity.ErrUnavailable)
	case password != user+" in the directory":
		return fmt.Errorf("%w: no", identity.ErrWrong)
	}
	return nil
}

func (a *authority) CheckCertificate(context.Context, [][]byte) (identity.Holder, error) {
	h := identity.Holder{Names: a.names, Title: "certificate 1 of CN=x"}
	switch {
	case a.down:
		return h, fmt.Errorf("%w: no responder", identity.ErrUnavailable)
	case !a.vouched:
		return h, fmt.Errorf("%w: revoked", identity.ErrWrong)
	}
	return h, nil
}

// newPeople is a world with carol (admin) and dan (appadmin) of the directory, and the local administrator.
func newPeople(t *testing.T) (*world, *authority, *Policy) {
	t.Helper()
	w := newSetUp(t)
	a, p := &authority{}, &Policy{LDAP: true}
	w.Store.cfg.Identity, w.Store.cfg.Policy = a, func(context.Context) Policy { return *p }
	w.must(w.AddLDAP("carol", grammar.Admin))
	w.must(w.AddLDAP("dan", grammar.AppAdmin))
	return w, a, p
}

const directoryWord = " in the directory"

func TestTheDirectoryIsAskedForItsUsersAlone(t *testing.T) {
	w, a, p := newPeople(t)
	if l := w.admitted("carol", "carol"+directoryWord, desk); l.Role != grammar.Admin || l.MustChange != "" || l.Means != "LDAP" {
		t.Errorf("login %+v", l)
	}
	w.admitted("carol", "carol"+directoryWord, console)
	w.refused("carol", "wrong", desk, "directory does not know")
	asked := a.asked
	w.admitted("admin", goodPassword, desk)
	w.refused("admin", "admin"+directoryWord, desk, "wrong password")
	w.refused("nobody", "nobody"+directoryWord, desk, "unknown user")
	if a.asked != asked {
		t.Error("the directory was asked about others than its users")
	}
	a.down = true
	w.refused("carol", "carol"+directoryWord, desk, "connection refused")
	w.admitted("admin", goodPassword, desk)
	a.down, p.LDAP = false, false
	asked = a.asked
	w.refused("carol", "carol"+directoryWord, desk, "ldap is not enabled")
	if a.asked != asked {
		t.Error("the directory was asked while ldap is off")
	}
}

func TestRulesOfLoggingInHoldForUsersOfADirectory(t *testing.T) {
	w, a, _ := newPeople(t)
	w.must(w.SetRule("max_failed_logins", 2))
	for range 2 {
		w.refused("carol", "wrong", desk, "directory does not know")
	}
	asked := a.asked
	w.refused("carol", "carol"+directoryWord, desk, "locked")
	if a.asked != asked {
		t.Error("the directory was asked for one who is locked out: it would lock the account as well")
	}
	w.must(w.Unlock("carol"))
	a.down = true
	for range 4 {
		w.refused("carol", "carol"+directoryWord, desk, "connection refused")
	}
	a.down = false
	w.admitted("carol", "carol"+directoryWord, desk)
	w.must(w.AllowHost("carol", "198.51.100.0/24"))
	w.refused("carol", "carol"+directoryWord, desk, "allowed hosts")
	w.must(w.RemoveHost("carol", "198.51.100.0/24"))
	api := shell.Source{Addr: desk.Addr, Service: shell.APIService}
	w.refused("carol", "carol"+directoryWord, api, "the API does not take users of the directory")
	w.admitted("carol", "carol"+directoryWord, shell.Source{Addr: desk.Addr, Service: "Web Admin"})
}

func TestNoPasswordOfAUserOfADirectoryIsChangedHere(t *testing.T) {
	w, _, _ := newPeople(t)
	for what, err := range map[string]error{
		"set":    w.SetPassword(t.Context(), "carol", goodPassword),
		"change": w.ChangePassword(t.Context(), "carol", "", goodPassword),
		"reset":  w.ResetPassword(t.Context(), "carol", goodPassword),
		"expire": w.Expire("carol"),
	} {
		if !errors.Is(err, ErrDirectory) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := w.Recover(t.Context(), "carol", goodPassword); err == nil {
		t.Error("recovery gave a user of the directory a password")
	}
	if err := w.Delete("admin"); err == nil {
		t.Error("the last local administrator was deleted, with one of the directory left")
	}
	w.open()
	if i, err := w.Info("carol"); err != nil || !i.LDAP {
		t.Errorf("after a restart: %+v, %v", i, err)
	}
}

func TestStrictCardsLeaveTheConsoleToLocalAdministrators(t *testing.T) {
	w, a, p := newPeople(t)
	w.addUser("eve", grammar.Audit)
	p.Cards, p.Strict = true, true
	for _, user := range []string{"admin", "carol"} {
		w.refused(user, map[string]string{"admin": goodPassword, "carol": "carol" + directoryWord}[user], desk, "cac is strict")
	}
	w.refused("carol", "carol"+directoryWord, console, "cac is strict")
	w.refused("eve", goodPassword, console, "cac is strict")
	w.refused("admin", goodPassword, shell.Source{Addr: desk.Addr, Service: shell.APIService}, "cac is strict")
	w.admitted("admin", goodPassword, console)
	if a.asked != 0 {
		t.Error("the directory was asked")
	}
}

func TestACardIsItsHoldersAccount(t *testing.T) {
	w, a, p := newPeople(t)
	a.names = []string{"nobody", "CAROL", "admin"}
	card := func(from shell.Source) (*shell.Login, error) { return w.CheckCard(t.Context(), [][]byte{{1}}, from) }
	if _, err := card(desk); err == nil {
		t.Error("a card was taken without cac")
	}
	p.Cards = true
	if _, err := card(desk); err == nil || !w.logged("revoked") {
		t.Errorf("a revoked card: %v", err)
	}
	a.vouched = true
	if l, err := card(desk); err != nil || l.User != "carol" || l.MustChange != "" || !strings.HasPrefix(l.Means, "certificate") {
		t.Errorf("a good card: %+v, %v", l, err)
	}
	if _, err := card(shell.Source{Addr: desk.Addr, Service: shell.APIService}); err == nil {
		t.Error("the API took a card")
	}
	w.must(w.AllowHost("carol", "198.51.100.1"))
	if _, err := card(desk); err == nil {
		t.Error("a card came from a host that is not allowed")
	}
	a.names = []string{"stranger"}
	if _, err := card(desk); err == nil || !w.logged("there is no user of its names stranger") {
		t.Errorf("a stranger's card: %v", err)
	}
}

// cardKey is a key with its certificate in PEM.
func cardKey(t *testing.T) (ssh.PublicKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return public, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTheKeyOfACardIsAskedAboutAtEachLogin(t *testing.T) {
	w, a, p := newPeople(t)
	key, file := cardKey(t)
	other, _ := cardKey(t)
	w.files["carol.crt"] = file
	w.files["carol.pub"] = string(ssh.MarshalAuthorizedKey(other))
	check := func(k ssh.PublicKey, user string) error {
		_, err := w.CheckKey(t.Context(), user, k, desk)
		return err
	}
	a.vouched, a.names = true, []string{"x", "Carol"}
	if check(key, "carol") == nil {
		t.Error("the key of a card was taken without cac")
	}
	p.Cards, p.Strict = true, true
	if err := check(key, "carol"); err != nil {
		t.Errorf("the key of a good card: %v", err)
	}
	if check(key, "dan") == nil {
		t.Error("a card opened somebody else's account")
	}
	w.files["admin.crt"] = file
	if check(key, "admin") == nil {
		t.Error("a card opened the account of an administrator, as whose its certificate was put")
	}
	if check(other, "carol") == nil {
		t.Error("a key by carol.pub was taken of a user of the directory")
	}
	a.vouched = false
	if check(key, "carol") == nil {
		t.Error("the key of a revoked card was taken")
	}
	// In both logs, by the words that all logins that fail have.
	if got := strings.Count(strings.Join(w.lines, "\n"), "Failed login from "+desk.String()+": not vouched for: revoked"); got != 2 {
		t.Errorf("a revoked card is told %d times, want once in each of the logs:\n%s", got, strings.Join(w.lines, "\n"))
	}
	a.vouched, a.down = true, true
	if check(key, "carol") == nil {
		t.Error("the key was taken while nobody could be asked")
	}
}
