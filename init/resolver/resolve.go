package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
	"golang.org/x/sys/unix"

	"rotunda/init/config"
)

// maxAliases is how many a name may have one after the other.
const maxAliases = 8

// Resolver answers questions by the settings that it was given last.
type Resolver struct {
	log   func(string)
	cache *cache
	up    *upstream
	// clock returns what judges the periods of signatures, nil while it is not known what time it is.
	clock func() func() time.Time
	// asking joins those who ask the same at one time.
	asking  singleflight.Group
	counted counted

	mu      sync.Mutex
	zones   zones
	records overrides
	anchors anchors
	said    string
}

// New makes a resolver that knows no server yet. log takes a line for the log.
func New(log func(string)) *Resolver {
	return &Resolver{log: log, cache: newCache(time.Now), up: newUpstream(time.Now), clock: setClock, zones: zones{}, records: overrides{}}
}

// Configure changes the settings. What was cached by others is forgotten.
func (r *Resolver) Configure(s config.DNSService) error {
	records, err := newOverrides(s.Records)
	if err != nil {
		return err
	}
	anchors, err := newAnchors(s.Anchors)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.zones, r.records, r.anchors = newZones(s), records, anchors
	r.mu.Unlock()
	r.cache.clear()
	return nil
}

// Resolve answers one question. The answer has the question's identifier and flags; it is never nil.
func (r *Resolver) Resolve(ctx context.Context, question *dns.Msg) *dns.Msg {
	r.counted.questions.Add(1)
	m := new(dns.Msg)
	m.SetReply(question)
	m.RecursionAvailable = true
	switch {
	case question.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		return m
	case len(question.Question) != 1 || question.Question[0].Qclass != dns.ClassINET:
		m.Rcode = dns.RcodeRefused
		return m
	}
	q := question.Question[0]
	if q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		m.Rcode = dns.RcodeRefused
		return m
	}
	secure := false
	if o := question.IsEdns0(); o != nil {
		secure = o.Do()
	}
	r.mu.Lock()
	records := r.records
	r.mu.Unlock()
	// Aliases of custom records are followed here, all others by the server that is asked.
	for name := q.Name; len(m.Answer) < maxAliases; {
		list, known := records.answer(dns.Question{Name: name, Qtype: q.Qtype, Qclass: q.Qclass})
		if !known {
			rest := r.outside(ctx, dns.Question{Name: name, Qtype: q.Qtype, Qclass: q.Qclass}, secure, question.CheckingDisabled)
			m.Rcode, m.AuthenticatedData = rest.Rcode, rest.AuthenticatedData && len(m.Answer) == 0
			m.Answer = append(m.Answer, rest.Answer...)
			m.Ns = rest.Ns
			return m
		}
		m.Answer = append(m.Answer, copies(list, name)...)
		if len(list) != 1 || list[0].Header().Rrtype != dns.TypeCNAME || q.Qtype == dns.TypeCNAME {
			if len(m.Answer) == 0 && strings.HasSuffix(strings.ToLower(name), "invalid.") {
				m.Rcode = dns.RcodeNameError
			}
			return m
		}
		name = list[0].(*dns.CNAME).Target
	}
	m.Rcode = dns.RcodeServerFailure
	return m
}

// outside asks the cache, and then the servers.
func (r *Resolver) outside(ctx context.Context, q dns.Question, secure, unchecked bool) *dns.Msg {
	k := key{strings.ToLower(q.Name), q.Qtype, secure, unchecked}
	if m := r.cache.get(k, false); m != nil {
		r.counted.cached.Add(1)
		return m
	}
	text := k.name + " " + dns.TypeToString[k.kind]
	if secure {
		text += " secure"
	}
	if unchecked {
		text += " unchecked"
	}
	// The first who asks goes; that it gives up must not be the others' failure, so it goes for all of them with a time of its own.
	answer := r.asking.DoChan(text, func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		return r.fetch(own, k, q), nil
	})
	select {
	case a := <-answer:
		return a.Val.(*dns.Msg).Copy()
	case <-ctx.Done():
		return failure(q)
	}
}

// setClock is the clock once it was set. Until then periods are not judged: the name of the server that sets it may be signed, too.
func setClock() func() time.Time {
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err != nil || state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return nil
	}
	return time.Now
}

// fetch asks the servers and keeps what they say.
func (r *Resolver) fetch(ctx context.Context, k key, q dns.Question) *dns.Msg {
	r.mu.Lock()
	zone, servers := r.zones.of(k.name)
	trusted := r.anchors
	r.mu.Unlock()
	_, _, signed := trusted.of(k.name)
	signed = signed && !k.unchecked
	ask := new(dns.Msg)
	ask.SetQuestion(q.Name, q.Qtype)
	// What is judged here may come from a server that judges otherwise.
	ask.CheckingDisabled = k.unchecked || signed
	ask.SetEdns0(payload, k.dnsec || signed)
	r.counted.asked.Add(1)
	m, err := r.up.ask(ctx, servers, ask)
	if err == nil && signed && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError) {
		err = r.judge(ctx, trusted, q, m)
		if !k.dnsec {
			unsign(m, q.Qtype)
		}
	}
	if err != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		r.counted.failed.Add(1)
		r.trouble(zone, err, m)
		if old := r.cache.get(k, true); old != nil {
			return old
		}
		if m == nil || err != nil {
			m = failure(q)
		}
		r.cache.put(k, m)
		return m
	}
	r.fine(zone)
	// What the server adds beside the answer was not asked for.
	m.Extra = nil
	r.cache.put(k, m)
	return m
}

// judge says whether an answer is what the trust anchors want, and marks it when it is.
func (r *Resolver) judge(ctx context.Context, trusted anchors, q dns.Question, m *dns.Msg) error {
	p := proof{anchors: trusted, now: r.clock(), look: func(name string, kind uint16) *dns.Msg {
		return r.outside(ctx, dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}, true, true)
	}}
	err := p.secure(q, m)
	m.AuthenticatedData = err == nil
	if err == nil || errors.Is(err, errInsecure) {
		return nil
	}
	anchor, _, _ := trusted.of(q.Name)
	return fmt.Errorf("%s %s is not signed as the trust anchor of %s wants: %w", q.Name, dns.TypeToString[q.Qtype], anchor, err)
}

// unsign removes what whoever asked without DO does not expect (RFC 4035 section 3.2.1).
func unsign(m *dns.Msg, asked uint16) {
	is := func(r dns.RR) bool {
		switch t := r.Header().Rrtype; t {
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			return t != asked
		}
		return false
	}
	m.Answer, m.Ns = slices.DeleteFunc(m.Answer, is), slices.DeleteFunc(m.Ns, is)
}

func failure(q dns.Question) *dns.Msg {
	m := new(dns.Msg)
	m.Question = []dns.Question{q}
	m.Response = true
	m.Rcode = dns.RcodeServerFailure
	return m
}

// trouble logs that a zone's servers fail, once until it is another trouble.
func (r *Resolver) trouble(zone string, err error, m *dns.Msg) {
	why := ""
	switch {
	case err != nil:
		why = strings.ReplaceAll(err.Error(), "\n", "; ")
	default:
		why = "all of them say " + dns.RcodeToString[m.Rcode]
	}
	text := "no DNS server of zone " + zone + " helps: " + why
	r.mu.Lock()
	again := r.said == text
	r.said = text
	r.mu.Unlock()
	if !again {
		r.log(text)
	}
}

func (r *Resolver) fine(zone string) {
	r.mu.Lock()
	was := r.said
	r.said = ""
	r.mu.Unlock()
	if was != "" {
		r.log("the DNS servers of " + zone + " answer again")
	}
}
