package sshd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/init/plain"
	"rotunda/mmp/shell"
)

// passwordTries is how often a new password may break a rule within one attempt to log in.
const passwordTries = 3

// errLater answers attempts of a source that has failed too often.
var errLater = errors.New("too many failed logins from there, try again later")

// authentication is the login of one connection. Its callbacks run one after the other in the connection's goroutine.
type authentication struct {
	server *Server
	ctx    context.Context
	from   shell.Source
}

// config names what is spoken and who is asked. Algorithms are what OpenSSH 8 and PuTTY 0.75 have, without SHA-1 and
// CBC. aes128-gcm comes first because it is the fastest where the processor knows AES.
func (a *authentication) config() *ssh.ServerConfig {
	return &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: []string{
				ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
				ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
				ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
			},
			Ciphers: []string{
				ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305,
				ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
			},
			MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512},
		},
		PublicKeyAuthAlgorithms: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
			ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		},
		MaxAuthTries:                a.server.Limits.Tries,
		ServerVersion:               "SSH-2.0-Rotunda",
		PasswordCallback:            a.password,
		PublicKeyCallback:           a.publicKey,
		KeyboardInteractiveCallback: a.keyboardInteractive,
		BannerCallback: func(ssh.ConnMetadata) string {
			if a.server.Banner == nil {
				return ""
			}
			text := a.server.Banner()
			if text != "" && !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			return text
		},
	}
}

// loginKey is where a login lies in the permissions.
type loginKey struct{}

func permit(login *shell.Login) *ssh.Permissions {
	return &ssh.Permissions{ExtraData: map[any]any{loginKey{}: login}}
}

func loginOf(p *ssh.Permissions) (*shell.Login, bool) {
	if p == nil {
		return nil, false
	}
	login, ok := p.ExtraData[loginKey{}].(*shell.Login)
	return login, ok && login != nil
}

// check verifies a password unless the source has failed too often; that is looked at first, since computing a
// password hash is what an attacker would like a machine to be busy with.
func (a *authentication) check(user, password string) (*shell.Login, error) {
	if !a.server.guard.mayTry(a.from.Addr, time.Now()) {
		a.server.Shell.Log.Audit("Failed login from %s: too many failed logins from there before", a.from)
		return nil, errLater
	}
	login, err := a.server.Shell.Accounts.CheckPassword(a.ctx, user, password, a.from)
	if err != nil {
		if errors.Is(err, shell.ErrRefused) {
			a.server.guard.failed(a.from.Addr, time.Now())
		}
		return nil, err
	}
	return login, nil
}

// password is RFC 4252 section 8. Its way to ask for a new password is one that no common client implements well, so
// a password that is due is asked for by the shell.
func (a *authentication) password(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	login, err := a.check(meta.User(), string(password))
	if err != nil {
		return nil, err
	}
	return permit(login), nil
}

// publicKey is RFC 4252 section 7. The client may only be asking; [ssh] verifies the signature before it lets
// anybody in.
func (a *authentication) publicKey(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	login, err := a.server.Shell.Accounts.CheckKey(a.ctx, meta.User(), key, a.from)
	if err != nil {
		return nil, err
	}
	return permit(login), nil
}

// keyboardInteractive is RFC 4256: it asks for the password, and for a new one if that is due. OpenSSH prefers it to
// the plain password, so that there a command or a file transfer works right after the first login's questions.
func (a *authentication) keyboardInteractive(meta ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := ask("", "", []string{"Please enter password: "}, []bool{false})
	if err != nil {
		return nil, fmt.Errorf("ask for the password: %w", err)
	}
	if len(answers) != 1 {
		return nil, fmt.Errorf("one question got %d answers", len(answers))
	}
	login, err := a.check(meta.User(), answers[0])
	if err != nil {
		return nil, err
	}
	instruction := login.Due()
	for range passwordTries {
		if login.Due() == "" {
			return permit(login), nil
		}
		answers, err := ask("", instruction, []string{"Please enter new password: ", "Please enter new password again: "},
			[]bool{false, false})
		if err != nil {
			return nil, fmt.Errorf("ask for a new password: %w", err)
		}
		if len(answers) != 2 {
			return nil, fmt.Errorf("two questions got %d answers", len(answers))
		}
		if err := a.server.Shell.SetDuePassword(a.ctx, login, answers[0], answers[1]); err != nil {
			instruction = err.Error()
		}
	}
	if login.Due() != "" {
		return nil, shell.ErrPasswordDue
	}
	return permit(login), nil
}

// printable is an error of the protocol, which may quote what a stranger has sent, for the log.
func printable(err error) string {
	text := plain.Line(err.Error(), '?')
	const limit = 200
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
