package cdr

import "net/url"

// withoutPassword takes name and password out of a stream's address: records go to many eyes. One that cannot be read is left out.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}
