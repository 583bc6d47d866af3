package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// pageSize is how many entries are asked for at once; Active Directory gives at most 1000.
	pageSize = 1000
	// mostEntries bounds one search.
	mostEntries = 1_000_000
)

// search calls f with every entry below base that fits the filter, until f returns an error. Entries come while the directory sends
// them; those of one batch, at most, wait in memory while another is written. Referrals to other servers are not followed: they would send our
// credentials to whom the directory names.
func (x *session) search(ctx context.Context, base, filter string, attributes []string, paged bool, f func(entry) error) error {
	request := ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil)
	var paging *ldap.ControlPaging
	if paged {
		paging = ldap.NewControlPaging(pageSize)
		request.Controls = []ldap.Control{paging}
	}
	entries := 0
	for {
		cookie, err := x.page(ctx, request, func(e entry) error {
			if entries++; entries > mostEntries {
				return fmt.Errorf("more than %d entries fit: use a narrower base or filter", mostEntries)
			}
			return f(e)
		})
		if err != nil || !paged || len(cookie) == 0 {
			return err
		}
		paging.SetCookie(cookie)
	}
}

// page carries out one request and returns the cookie of the next.
func (x *session) page(ctx context.Context, request *ldap.SearchRequest, f func(entry) error) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(entryPatience, func() {
		cancel(fmt.Errorf("the directory sent nothing for %s", entryPatience))
	})
	defer late.Stop()
	var cookie []byte
	answers := x.conn.SearchAsync(ctx, request, batch)
	// The library's Close waits for ever for a search that nobody reads.
	defer func() {
		cancel(nil)
		for answers.Next() {
		}
	}()
	for answers.Next() {
		// The clock stands still while the entry is worked on.
		late.Stop()
		for _, c := range answers.Controls() {
			if p, ok := c.(*ldap.ControlPaging); ok {
				cookie = p.Cookie
			}
		}
		if e := answers.Entry(); e != nil {
			if err := f(entryOf(e)); err != nil {
				return nil, err
			}
		}
		late.Reset(entryPatience)
	}
	if err := answers.Err(); err != nil {
		return nil, explain(err)
	}
	// The library ends a search that it gave up as one that is complete.
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if x.conn.IsClosing() {
		return nil, errors.New("the directory ended the connection before the last entry")
	}
	return cookie, x.conn.GetLastError()
}

// explain adds what to do to the answers that administrators meet.
func explain(err error) error {
	var e *ldap.Error
	if !errors.As(err, &e) {
		return err
	}
	var hint string
	switch e.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		hint = "user name or password is wrong; the user name is a distinguished name such as cn=reader,dc=example,dc=com"
	case ldap.LDAPResultNoSuchObject:
		hint = "the base does not exist, or the account may not see it"
	case ldap.LDAPResultReferral:
		hint = "the directory refers to another server: name that one as the address, or its global catalog"
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		hint = "the directory sends only a part: set usePagedResults, or raise its limit for the account"
	case ldap.LDAPResultTimeLimitExceeded:
		hint = "the directory gave up: index the attributes of the filter there"
	case ldap.LDAPResultUnavailableCriticalExtension:
		hint = "the directory knows no pages: set usePagedResults to false"
	case ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired:
		hint = "the directory wants TLS: set secure"
	case ldap.LDAPResultInsufficientAccessRights:
		hint = "the account may not read there"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", hint, err)
}
