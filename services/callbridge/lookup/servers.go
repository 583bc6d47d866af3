package lookup

import (
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	resolvFile = "/etc/resolv.conf"
	maxServers = 6
	// recheck is how often the file is looked at, at most.
	recheck = 5 * time.Second
)

// file is a resolv.conf that may change.
type file struct {
	path string

	mu      sync.Mutex
	looked  time.Time
	changed time.Time
	size    int64
	list    []netip.AddrPort
}

// servers reads the file again when it changed. One that cannot be read leaves what was known.
func (f *file) servers() []netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.looked.IsZero() && time.Since(f.looked) < recheck {
		return f.list
	}
	f.looked = time.Now()
	s, err := os.Stat(f.path)
	if err != nil || f.list != nil && s.ModTime().Equal(f.changed) && s.Size() == f.size {
		return f.orLocal()
	}
	r, err := os.Open(f.path)
	if err != nil {
		return f.orLocal()
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return f.orLocal()
	}
	f.changed, f.size, f.list = s.ModTime(), s.Size(), parseServers(string(b))
	return f.orLocal()
}

// orLocal is what the C library does without servers: it asks this host.
func (f *file) orLocal() []netip.AddrPort {
	if len(f.list) == 0 {
		f.list = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)}
	}
	return f.list
}

// parseServers reads the nameserver lines of a resolv.conf (resolv.conf(5)); everything else in it is about short names, which SIP has not.
func parseServers(text string) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(list) == maxServers {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a.Unmap(), 53))
		}
	}
	return list
}
