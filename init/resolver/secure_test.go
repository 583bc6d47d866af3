package resolver

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rotunda/init/config"
)

// signedWorld is BIND with zones below signed.example, and the trust anchor of that zone.
type signedWorld struct {
	t      *testing.T
	dir    string
	port   uint16
	anchor string
}

// soa begins every zone.
const soa = "$TTL 300\n@ IN SOA ns.signed.example. admin.signed.example. 1 3600 600 86400 300\n@ IN NS ns.signed.example.\n"

func newSignedWorld(t *testing.T) *signedWorld {
	t.Helper()
	for _, program := range []string{"named", "dnssec-keygen", "dnssec-signzone"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: image/install-packages test installs it", program)
		}
	}
	w := &signedWorld{t: t, dir: t.TempDir()}
	const names = "www IN A 192.0.2.1\n*.wild IN A 192.0.2.2\nhost.empty IN A 192.0.2.3\n"
	w.zone("plain.signed.example", names)
	w.zone("other.example", names+"back IN CNAME www.signed.example.\n")
	w.zone("plain.optout.signed.example", names)
	// The ways to say what is not there: NSEC3, NSEC3 that leaves out zones that are not signed, and below NSEC.
	w.zone("hashed.signed.example", names)
	w.sign("hashed.signed.example", "-3", "beef")
	w.zone("optout.signed.example", names+"plain IN NS ns.signed.example.\n")
	w.sign("optout.signed.example", "-3", "-", "-A")
	w.zone("late.signed.example", names)
	w.sign("late.signed.example", "-P", "-s", "20200101000000", "-e", "20200201000000")
	w.zone("many.signed.example", names)
	w.sign("many.signed.example", "-3", "-", "-H", "150")
	w.zone("bad.signed.example", names)
	w.sign("bad.signed.example")
	w.edit("bad.signed.example", "192.0.2.1", "192.0.2.66")
	w.zone("signed.example", names+"ns IN A 127.0.0.1\nalias IN CNAME www.hashed\nout IN CNAME www.other.example.\nmoved IN DNAME hashed.signed.example.\n"+
		"plain IN NS ns\nhashed IN NS ns\noptout IN NS ns\nlate IN NS ns\nmany IN NS ns\nbad IN NS ns\n"+
		w.read("dsset-hashed.signed.example.")+w.read("dsset-optout.signed.example.")+w.read("dsset-late.signed.example.")+
		w.read("dsset-many.signed.example.")+w.read("dsset-bad.signed.example."))
	w.sign("signed.example")
	for _, line := range strings.Split(w.read("dsset-signed.example."), "\n") {
		if strings.Contains(line, "IN DS") {
			w.anchor = strings.Join(strings.Fields(line), " ")
		}
	}
	w.serve()
	return w
}

func (w *signedWorld) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *signedWorld) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *signedWorld) zone(name, records string) { w.write(name, soa+records) }

func (w *signedWorld) edit(zone, old, new string) {
	w.write(zone, strings.Replace(w.read(zone), old, new, 1))
}

func (w *signedWorld) run(program string, args ...string) {
	w.t.Helper()
	command := exec.Command(program, args...)
	command.Dir = w.dir
	if out, err := command.CombinedOutput(); err != nil {
		w.t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
}

func (w *signedWorld) sign(zone string, args ...string) {
	w.t.Helper()
	w.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone)
	w.run("dnssec-keygen", "-q", "-a", "RSASHA256", "-b", "1024", zone)
	w.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", zone)
	w.run("dnssec-keygen", "-q", "-a", "RSASHA256", "-b", "1024", "-f", "KSK", zone)
	w.run("dnssec-signzone", append(append([]string{"-q", "-S", "-o", zone, "-f", zone}, args...), zone)...)
}

func (w *signedWorld) serve() {
	w.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.port = free.Addr().(*net.TCPAddr).AddrPort().Port()
	free.Close()
	text := fmt.Sprintf("options { directory %q; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes; pid-file none; session-keyfile none; dnssec-validation no; };\ncontrols { };\n", w.dir, w.port)
	for _, zone := range []string{"signed.example", "plain.signed.example", "other.example", "hashed.signed.example", "optout.signed.example",
		"plain.optout.signed.example", "late.signed.example", "many.signed.example", "bad.signed.example"} {
		text += fmt.Sprintf("zone %q { type primary; file %q; };\n", zone, zone)
	}
	w.write("named.conf", text)
	command := exec.Command("named", "-g", "-n", "1", "-c", filepath.Join(w.dir, "named.conf"))
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if w.t.Failed() {
			w.t.Log(said.String())
		}
	})
	q := new(dns.Msg)
	q.SetQuestion("www.signed.example.", dns.TypeA)
	client := dns.Client{Timeout: time.Second}
	for deadline := time.Now().Add(time.Minute); ; {
		if m, _, err := client.Exchange(q, fmt.Sprintf("127.0.0.1:%d", w.port)); err == nil && len(m.Answer) > 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("named did not answer within a minute")
		}
	}
}

// resolver asks the servers with a trust anchor.
func (w *signedWorld) resolver(anchor string) *Resolver {
	w.t.Helper()
	r := New(func(line string) { w.t.Log(line) })
	r.up.port = w.port
	r.clock = func() func() time.Time { return time.Now }
	configured(w.t, r, config.DNS{Anchors: []string{anchor}, Zones: []config.ForwardZone{{Domain: ".", Servers: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}})
	return r
}

// judged is the code of an answer, its addresses, and "secure" when it is said to be.
func judged(t *testing.T, r *Resolver, question string) string {
	t.Helper()
	name, kind, _ := strings.Cut(question, " ")
	q := new(dns.Msg)
	q.SetQuestion(name+".", dns.StringToType[kind])
	m := r.Resolve(t.Context(), q)
	text := dns.RcodeToString[m.Rcode]
	for _, r := range m.Answer {
		switch r := r.(type) {
		case *dns.A:
			text += " " + r.A.String()
		case *dns.RRSIG:
			t.Errorf("%s: a signature that nobody asked for", question)
		}
	}
	if m.AuthenticatedData {
		text += " secure"
	}
	return text
}

func TestAnswersBelowATrustAnchorAreJudged(t *testing.T) {
	t.Parallel()
	w := newSignedWorld(t)
	r := w.resolver(w.anchor)
	for question, answer := range map[string]string{
		"www.signed.example A":              "NOERROR 192.0.2.1 secure",
		"WWW.Signed.Example A":              "NOERROR 192.0.2.1 secure",
		"signed.example DNSKEY":             "NOERROR secure",
		"hashed.signed.example DS":          "NOERROR secure",
		"x.wild.signed.example A":           "NOERROR 192.0.2.2 secure",
		"x.wild.signed.example MX":          "NOERROR secure",
		"www.signed.example MX":             "NOERROR secure",
		"empty.signed.example A":            "NOERROR secure",
		"none.signed.example A":             "NXDOMAIN secure",
		"a.b.none.signed.example A":         "NXDOMAIN secure",
		"alias.signed.example A":            "NOERROR 192.0.2.1 secure",
		"www.moved.signed.example A":        "NOERROR 192.0.2.1 secure",
		"none.moved.signed.example A":       "NXDOMAIN secure",
		"www.hashed.signed.example A":       "NOERROR 192.0.2.1 secure",
		"www.hashed.signed.example MX":      "NOERROR secure",
		"x.wild.hashed.signed.example A":    "NOERROR 192.0.2.2 secure",
		"x.wild.hashed.signed.example MX":   "NOERROR secure",
		"empty.hashed.signed.example A":     "NOERROR secure",
		"none.hashed.signed.example A":      "NXDOMAIN secure",
		"a.b.none.hashed.signed.example A":  "NXDOMAIN secure",
		"www.optout.signed.example A":       "NOERROR 192.0.2.1 secure",
		"none.optout.signed.example A":      "NXDOMAIN",
		"www.plain.optout.signed.example A": "NOERROR 192.0.2.1",
		"www.plain.signed.example A":        "NOERROR 192.0.2.1",
		"none.plain.signed.example A":       "NXDOMAIN",
		"plain.signed.example DS":           "NOERROR secure",
		"out.signed.example A":              "NOERROR 192.0.2.1",
		"www.many.signed.example A":         "NOERROR 192.0.2.1 secure",
		"none.many.signed.example A":        "NXDOMAIN",
		"www.bad.signed.example A":          "SERVFAIL",
		"host.empty.bad.signed.example A":   "NOERROR 192.0.2.3 secure",
		"www.late.signed.example A":         "SERVFAIL",
		"none.late.signed.example A":        "SERVFAIL",
		"www.other.example A":               "NOERROR 192.0.2.1",
		"back.other.example A":              "NOERROR 192.0.2.1",
	} {
		want(t, question, judged(t, r, question), answer)
	}
}

func TestPeriodsOfSignaturesWaitForTheClock(t *testing.T) {
	t.Parallel()
	w := newSignedWorld(t)
	r := w.resolver(w.anchor)
	r.clock = func() func() time.Time { return nil }
	want(t, "a name whose signatures are old, before the clock is set", judged(t, r, "www.late.signed.example A"), "NOERROR 192.0.2.1 secure")
	r.clock = func() func() time.Time { return time.Now }
	r.cache.clear()
	want(t, "and after", judged(t, r, "www.late.signed.example A"), "SERVFAIL")
	r.clock = func() func() time.Time {
		return func() time.Time { return time.Date(2020, 1, 15, 0, 0, 0, 0, time.UTC) }
	}
	r.cache.clear()
	want(t, "a signature of the future", judged(t, r, "www.signed.example A"), "SERVFAIL")
}

func TestWrongAnchorsRefuseEverything(t *testing.T) {
	t.Parallel()
	w := newSignedWorld(t)
	fields := strings.Fields(w.anchor)
	digest := strings.Repeat("00", len(strings.Join(fields[6:], ""))/2)
	r := w.resolver(strings.Join(append(fields[:6:6], digest), " "))
	want(t, "another key", judged(t, r, "www.signed.example A"), "SERVFAIL")
	want(t, "what is not below it", judged(t, r, "www.other.example A"), "NOERROR 192.0.2.1")
	fields[4] = "250"
	want(t, "an algorithm that is not known", judged(t, w.resolver(strings.Join(fields, " ")), "www.signed.example A"), "SERVFAIL")
	fields = strings.Fields(w.anchor)
	fields[0] = "example."
	want(t, "a zone above that has no keys", judged(t, w.resolver(strings.Join(fields, " ")), "www.signed.example A"), "SERVFAIL")
}

// TestWhoeverChecksByItselfIsGivenEverything: CD, the bit with which a question says that it judges by itself.
func TestWhoeverChecksByItselfIsGivenEverything(t *testing.T) {
	t.Parallel()
	w := newSignedWorld(t)
	r := w.resolver(w.anchor)
	q := new(dns.Msg)
	q.SetQuestion("www.bad.signed.example.", dns.TypeA)
	q.SetEdns0(1232, true)
	q.CheckingDisabled = true
	m := r.Resolve(t.Context(), q)
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) < 2 || m.AuthenticatedData {
		t.Errorf("with CD: want a record and its signature, not marked as secure, got %v", m)
	}
}

// TestAServerThatLeavesSignaturesOutIsNotBelieved: one that was taken over, or one that knows no DNSSEC.
func TestAServerThatLeavesSignaturesOutIsNotBelieved(t *testing.T) {
	t.Parallel()
	r, servers := world(t, 1)
	servers[0].set(say("www.signed.example. IN A 192.0.2.66"))
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", servers[0])},
		Anchors: []string{"signed.example. IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C"}})
	want(t, "a name below the anchor", resolve(t, r, "www.signed.example.", dns.TypeA), "SERVFAIL")
	want(t, "one that is not there", resolve(t, r, "none.signed.example.", dns.TypeA), "SERVFAIL")
	want(t, "a name beside it", resolve(t, r, "www.example.", dns.TypeA), "NXDOMAIN")
}

// FuzzProof gives whatever a server may say to the judge: as answer, as keys and as what is not there.
func FuzzProof(f *testing.F) {
	pack := func(records ...string) []byte {
		m := new(dns.Msg)
		m.SetQuestion("www.signed.example.", dns.TypeA)
		m.Response = true
		for i, s := range records {
			r, err := dns.NewRR(s)
			if err != nil {
				f.Fatal(err)
			}
			if i == 0 {
				m.Answer = append(m.Answer, r)
			} else {
				m.Ns = append(m.Ns, r)
			}
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(pack("www.signed.example. IN A 192.0.2.1", "signed.example. IN NSEC a.signed.example. NS SOA RRSIG NSEC"))
	f.Add(pack("www.signed.example. IN CNAME www.signed.example."))
	f.Add(pack("signed.example. IN DNAME signed.example.", "CK0POJMG874LJREF7EFN8430QVIT8BSM.signed.example. IN NSEC3 1 1 0 - CK0Q2D6NI4I7EQH8NA30NS61O48UL8G5 NS SOA"))
	f.Add(pack("signed.example. IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
		"signed.example. IN RRSIG DNSKEY 13 2 300 20300101000000 20200101000000 12345 signed.example. AAAA"))
	trusted, err := newAnchors([]string{"signed.example. IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C",
		"signed.example. IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		m := new(dns.Msg)
		if m.Unpack(packed) != nil {
			return
		}
		asked := 0
		p := proof{anchors: trusted, now: time.Now, look: func(name string, kind uint16) *dns.Msg {
			asked++
			return m
		}}
		err := p.secure(dns.Question{Name: "www.signed.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, m)
		if err == nil {
			t.Errorf("what no key has signed was believed: %v", m)
		}
		if asked > maxAsked || p.checks > maxChecks+1 {
			t.Errorf("%d questions and %d signatures", asked, p.checks)
		}
		// The proofs alone, as if they were signed.
		d := &denials{zone: "signed.example."}
		for _, r := range append(m.Answer, m.Ns...) {
			switch r := r.(type) {
			case *dns.NSEC:
				d.plain = append(d.plain, r)
			case *dns.NSEC3:
				if r.Iterations <= maxIterations {
					d.hash = append(d.hash, r)
				}
			}
		}
		_, _ = d.noName("a.www.signed.example."), d.noType("www.signed.example.", dns.TypeA)
		_, _ = d.noDS("www.signed.example.")
		_ = d.wildcard("a.b.www.signed.example.", 2)
	})
}
