package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"rotunda/init/config"
	"rotunda/mmp/pki/revocation"
)

const (
	// dialPatience is for a connection with its TLS handshake, answerPatience for each answer, all of it together loginPatience.
	dialPatience   = 10 * time.Second
	answerPatience = 10 * time.Second
	loginPatience  = 30 * time.Second
	// mostPacket bounds an answer: one entry without attributes.
	mostPacket = 256 << 10
	// maxName and maxPassword bound what is sent to a directory.
	maxName     = 256
	maxPassword = 1024
)

func init() {
	// The library's own bound is 2 GiB. Nothing else in this program reads BER.
	ber.MaxPacketLengthBytes = mostPacket
}

// directory is an LDAP server by its settings.
type directory struct {
	ldap config.LDAP
	tls  config.TLSKindService
}

func (d directory) address() string {
	return net.JoinHostPort(d.ldap.Host, strconv.Itoa(d.ldap.ServerPort()))
}

// filterFor is what the entry of a person matches. The name is escaped by RFC 4515 section 3, so that it is never more than a value.
func (d directory) filterFor(user string) (string, error) {
	named := "(" + d.ldap.LoginAttribute() + "=" + ldap.EscapeFilter(user) + ")"
	if d.ldap.Filter == "" {
		return named, nil
	}
	further, err := NormalFilter(d.ldap.Filter)
	if err != nil {
		return "", err
	}
	return "(&" + named + further + ")", nil
}

// IsDN says whether a text is the name of an entry, by RFC 4514, and that of one below the root.
func IsDN(text string) bool {
	dn, err := ldap.ParseDN(text)
	return err == nil && len(dn.RDNs) > 0
}

// NormalFilter puts the outer parentheses around a filter that was written without, and judges it.
func NormalFilter(text string) (string, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "(") {
		text = "(" + text + ")"
	}
	p, err := ldap.CompileFilter(text)
	if err != nil {
		return "", fmt.Errorf("the filter %.64q is not one of RFC 4515, such as (memberOf=cn=operators,dc=example,dc=com): %s", text, reason(err))
	}
	// What the library understood is what counts: text behind a filter that is complete is not always an error to it.
	back, err := ldap.DecompileFilter(p)
	if err != nil {
		return "", fmt.Errorf("the filter %.64q is not one of RFC 4515: %s", text, reason(err))
	}
	return back, nil
}

// reason takes the library's own words off an error.
func reason(err error) string {
	var e *ldap.Error
	if errors.As(err, &e) && e.Err != nil {
		return strings.TrimPrefix(e.Err.Error(), "ldap: ")
	}
	return err.Error()
}

// check says whether a password is that of a person. The error wraps [ErrWrong] or [ErrUnavailable].
func (d directory) check(ctx context.Context, user, password string) error {
	_, err := d.login(ctx, user, password, true, func(string, error) {})
	return err
}

// test is [directory.check] step by step.
func (d directory) test(ctx context.Context, user, password string) (steps []Step) {
	_, _ = d.login(ctx, user, password, password != "", func(done string, err error) {
		s := Step{Done: done}
		if err != nil {
			s.Error = err.Error()
		}
		steps = append(steps, s)
	})
	return steps
}

// login finds the entry of a person and, if with is set, tries the password on it. told gets each step.
func (d directory) login(ctx context.Context, user, password string, with bool, told func(done string, err error)) (dn string, err error) {
	fail := func(kind error, done string, err error) error {
		told(done, err)
		return fmt.Errorf("%w: %s: %w", kind, done, err)
	}
	if missing := d.ldap.Missing(); missing != "" {
		return "", fail(ErrUnavailable, "read the settings", errors.New(missing))
	}
	// A name without a password is an anonymous bind to most directories, and would look like success (RFC 4513 section 5.1.2).
	if with && password == "" || user == "" || len(user) > maxName || len(password) > maxPassword {
		return "", fail(ErrWrong, "read the name and the password", errors.New("one of them is empty or too long"))
	}
	filter, err := d.filterFor(user)
	if err != nil {
		return "", fail(ErrUnavailable, "read the filter", err)
	}
	ctx, cancel := context.WithTimeout(ctx, loginPatience)
	defer cancel()
	how := map[string]string{config.LDAPS: "TLS", config.LDAPStartTLS: "StartTLS", config.LDAPPlain: "plain TCP"}[d.ldap.Secured()]
	done := "connect to " + d.address() + " by " + how
	conn, err := d.connect(ctx)
	if err != nil {
		return "", fail(ErrUnavailable, done, err)
	}
	// The library knows no context: cutting the connection ends what waits on it.
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	defer unwatch()
	defer conn.Close()
	conn.SetTimeout(answerPatience)
	told(done, nil)

	done = "log in anonymously"
	if d.ldap.BindDN == "" {
		err = conn.UnauthenticatedBind("")
	} else {
		done = "log in as " + d.ldap.BindDN
		err = conn.Bind(d.ldap.BindDN, d.ldap.BindPassword)
	}
	if err != nil {
		return "", fail(ErrUnavailable, done, explain(err))
	}
	told(done, nil)

	done = "search below " + d.ldap.Base + " for " + filter
	found, err := conn.Search(&ldap.SearchRequest{
		BaseDN: d.ldap.Base, Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases, SizeLimit: 2,
		TimeLimit: int(answerPatience / time.Second), Filter: filter, Attributes: []string{"1.1"},
	})
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
		return "", fail(ErrUnavailable, done, explain(err))
	}
	switch {
	case len(found.Entries) == 0:
		return "", fail(ErrWrong, done, errors.New("there is no such person"))
	case len(found.Entries) > 1:
		return "", fail(ErrWrong, done, errors.New("more than one entry has this name"))
	}
	dn = found.Entries[0].DN
	told(done+": "+dn, nil)
	if !with {
		return dn, nil
	}
	done = "log in as " + dn
	if err := conn.Bind(dn, password); err != nil {
		// What the directory says of the person; anything else is about the directory.
		kind := ErrUnavailable
		for _, code := range []uint16{ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultUnwillingToPerform,
			ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultNoSuchObject, ldap.LDAPResultConstraintViolation} {
			if ldap.IsErrorWithCode(err, code) {
				kind = ErrWrong
			}
		}
		return "", fail(kind, done, explain(err))
	}
	told(done, nil)
	return dn, nil
}

// explain says what administrators know by other words. Active Directory puts the reason into "data 52e".
func explain(err error) error {
	var e *ldap.Error
	if !errors.As(err, &e) {
		return err
	}
	text := reason(err)
	for _, known := range []struct{ data, means string }{
		{"data 525", "there is no such user"}, {"data 52e", "the password is wrong"}, {"data 530", "outside the hours of the account"},
		{"data 531", "not from this machine"}, {"data 532", "the password has expired"}, {"data 533", "the account is disabled"},
		{"data 701", "the account has expired"}, {"data 773", "the password has to be changed first"}, {"data 775", "the account is locked"},
	} {
		if strings.Contains(text, known.data+",") {
			return errors.New(known.means)
		}
	}
	switch e.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		return errors.New("the name or the password is wrong")
	case ldap.LDAPResultNoSuchObject:
		return errors.New("the base does not exist")
	case ldap.LDAPResultInsufficientAccessRights:
		return errors.New("the directory does not allow it")
	case ldap.LDAPResultConfidentialityRequired:
		return errors.New("the directory wants TLS: use ldap starttls or ldap ldaps")
	case ldap.LDAPResultInvalidDNSyntax:
		return errors.New("the distinguished name is not one, such as cn=reader,dc=example,dc=com")
	}
	if e.ResultCode == ldap.ErrorNetwork {
		return fmt.Errorf("the connection broke: %s", text)
	}
	return fmt.Errorf("%s (%s)", ldap.LDAPResultCodeMap[e.ResultCode], text)
}

// connect connects; credentials are sent in clear by nobody who has not chosen so.
func (d directory) connect(ctx context.Context) (*ldap.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address())
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if d.ldap.Secured() != config.LDAPPlain {
		if secure, err = d.secure(); err != nil {
			raw.Close()
			return nil, err
		}
	}
	if d.ldap.Secured() == config.LDAPS {
		c := tls.Client(raw, secure)
		if err := c.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		raw = c
	}
	conn := ldap.NewConn(raw, d.ldap.Secured() == config.LDAPS)
	conn.Start()
	if d.ldap.Secured() == config.LDAPStartTLS {
		unwatch := context.AfterFunc(ctx, func() { raw.Close() })
		err := conn.StartTLS(secure)
		unwatch()
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("StartTLS: %s", reason(err))
		}
	}
	return conn, nil
}

// secure is TLS by the settings of `tls ldap`.
func (d directory) secure() (*tls.Config, error) {
	c := &tls.Config{ServerName: d.ldap.Host, MinVersion: d.tls.Version(), CipherSuites: d.tls.Suites()}
	if d.tls.Verify == config.VerifyOff {
		c.InsecureSkipVerify = true // chosen by `tls ldap verify disable`
		return c, nil
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM([]byte(d.tls.Trust)) {
		return nil, errors.New("certificates are to be verified, and there is no trust bundle: use tls ldap trust <bundle>")
	}
	if d.tls.Verify == config.VerifyOCSP {
		c.VerifyConnection = revocation.Asker{}.Connection
	}
	return c, nil
}
