package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	rand2 "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)

// testChain is a root, an authority below it and a certificate of a server.
type testChain struct {
	root, between, leaf           *x509.Certificate
	rootKey, betweenKey, key      crypto.Signer
	rootTemplate, betweenTemplate *x509.Certificate
}

func named(name string, edit ...func(*x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), BasicConstraintsValid: true}
	for _, e := range edit {
		e(c)
	}
	return c
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
}

func sign(t testing.TB, template, issuer *x509.Certificate, key, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newChain(t testing.TB, edit ...func(*x509.Certificate)) testChain {
	t.Helper()
	c := testChain{rootKey: mustKey(t, "ecdsa256"), betweenKey: mustKey(t, "ecdsa256"), key: mustKey(t, "ecdsa256")}
	c.rootTemplate, c.betweenTemplate = named("Root", authority), named("Between", authority)
	c.root = sign(t, c.rootTemplate, c.rootTemplate, c.rootKey, c.rootKey)
	c.between = sign(t, c.betweenTemplate, c.root, c.betweenKey, c.rootKey)
	leaf := named("www.example.com", func(l *x509.Certificate) { l.DNSNames = []string{"www.example.com"} })
	for _, e := range edit {
		e(leaf)
	}
	c.leaf = sign(t, leaf, c.between, c.key, c.betweenKey)
	return c
}

func titles(list []*x509.Certificate) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = Title(c)
	}
	return strings.Join(names, " < ")
}

func TestChainsAreSortedFromAnyOrder(t *testing.T) {
	c, other := newChain(t), newChain(t)
	list := []*x509.Certificate{c.leaf, c.between, c.root, other.root, c.between}
	for range 50 {
		rand2.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		chain, extra := Sort(list, c.key.Public())
		if !slices.EqualFunc(chain, []*x509.Certificate{c.leaf, c.between, c.root}, (*x509.Certificate).Equal) || len(extra) != 1 {
			t.Fatalf("wanted the chain and one that is not of it, got %s and %s", titles(chain), titles(extra))
		}
	}
	older := sign(t, named("Between", authority, func(c *x509.Certificate) { c.NotAfter = now }), c.root, c.betweenKey, c.rootKey)
	stranger := sign(t, named("Between", authority, func(b *x509.Certificate) { b.SubjectKeyId = c.between.SubjectKeyId; b.NotAfter = now.AddDate(9, 0, 0) }), other.root, other.betweenKey, other.rootKey)
	if chain, _ := Sort([]*x509.Certificate{older, stranger, c.between, c.leaf}, nil); len(chain) != 2 || !chain[1].Equal(c.between) {
		t.Errorf("three of a name: wanted the one that has signed and is good for longest, got %s", titles(chain))
	}
	chain, _ := Sort([]*x509.Certificate{c.root, c.between, c.leaf}, nil)
	if titles(chain) != "CN=www.example.com < CN=Between < CN=Root" {
		t.Errorf("without a key: got %s", titles(chain))
	}
	if chain, extra := Sort([]*x509.Certificate{c.root}, c.key.Public()); chain != nil || len(extra) != 1 {
		t.Errorf("another's key: wanted no chain, got %s", titles(chain))
	}
	if chain, _ := Sort(nil, nil); chain != nil {
		t.Errorf("wanted nothing of nothing, got %s", titles(chain))
	}
}

func TestVerifySaysWhichLinkIsWrong(t *testing.T) {
	c, other := newChain(t), newChain(t)
	list := func(l ...*x509.Certificate) []*x509.Certificate { return l }
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	client := newChain(t, usage(x509.ExtKeyUsageClientAuth))
	expired := newChain(t, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	early := newChain(t, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })
	oldBetween := sign(t, named("Between", authority, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), c.root, c.betweenKey, c.rootKey)
	noAuthority := sign(t, named("Between"), c.root, c.betweenKey, c.rootKey)
	alone := sign(t, named("self.example.com"), named("self.example.com"), c.key, c.key)
	shallow := sign(t, named("Shallow", authority, func(c *x509.Certificate) { c.MaxPathLenZero = true }), c.root, c.rootKey, c.rootKey)
	below := sign(t, named("Below", authority), shallow, c.betweenKey, c.rootKey)
	deep := sign(t, named("deep.example.com"), below, c.key, c.betweenKey)
	limited := sign(t, named("Limited", authority, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
	}), c.root, c.betweenKey, c.rootKey)
	outside := sign(t, named("www.example.com", func(c *x509.Certificate) { c.DNSNames = []string{"www.example.com"} }), limited, c.key, c.betweenKey)
	for name, test := range map[string]struct {
		q    Question
		path string
		want string
	}{
		"all there":                {Question{Certificates: list(c.leaf), Bundle: list(c.root, c.between)}, "CN=www.example.com < CN=Between < CN=Root", ""},
		"the chain with it":        {Question{Certificates: list(c.between, c.leaf), Bundle: list(c.root)}, "CN=www.example.com < CN=Between < CN=Root", ""},
		"the root by itself":       {Question{Certificates: list(c.leaf), Bundle: list(c.between), Roots: list(c.root)}, "CN=www.example.com < CN=Between < CN=Root", ""},
		"for the host":             {Question{Certificates: list(c.leaf), Bundle: list(c.root, c.between), Host: "www.example.com", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "CN=www.example.com < CN=Between < CN=Root", ""},
		"self-signed, and trusted": {Question{Certificates: list(alone), Bundle: list(alone)}, "CN=self.example.com", ""},
		"an old one beside a new":  {Question{Certificates: list(c.leaf), Bundle: list(oldBetween, c.root, c.between)}, "CN=www.example.com < CN=Between < CN=Root", ""},

		"no link":              {Question{Certificates: list(c.leaf), Bundle: list(c.root)}, "CN=www.example.com", "a certificate is missing: CN=Between, which issued CN=www.example.com"},
		"no root":              {Question{Certificates: list(c.leaf), Bundle: list(c.between)}, "CN=www.example.com < CN=Between", "a certificate is missing: CN=Root, which issued CN=Between"},
		"another's link":       {Question{Certificates: list(c.leaf), Bundle: list(other.between, other.root)}, "CN=www.example.com", "a certificate is missing: CN=Between"},
		"another's root":       {Question{Certificates: list(c.leaf), Bundle: list(c.between, c.root), Roots: list(other.root)}, "CN=www.example.com < CN=Between < CN=Root", "the chain ends at CN=Root, which is not among those that are trusted"},
		"self-signed, unknown": {Question{Certificates: list(alone), Bundle: list(c.root)}, "CN=self.example.com", "CN=self.example.com is self-signed, and not in the bundle itself"},
		"expired":              {Question{Certificates: list(expired.leaf), Bundle: list(expired.root, expired.between)}, "CN=www.example.com < CN=Between < CN=Root", "CN=www.example.com has expired on Nov 22 17:59:00 2026 GMT"},
		"too early":            {Question{Certificates: list(early.leaf), Bundle: list(early.root, early.between)}, "CN=www.example.com < CN=Between < CN=Root", "CN=www.example.com is not valid before Nov 22 18:01:00 2026 GMT"},
		"an expired link":      {Question{Certificates: list(c.leaf), Bundle: list(c.root, oldBetween)}, "CN=www.example.com < CN=Between < CN=Root", "CN=Between has expired on "},
		"no authority":         {Question{Certificates: list(c.leaf), Bundle: list(c.root, noAuthority)}, "CN=www.example.com", "CN=Between may not issue certificates, and CN=www.example.com says that it is from it"},
		"too deep":             {Question{Certificates: list(deep), Bundle: list(c.root, shallow, below)}, "CN=deep.example.com < CN=Below < CN=Shallow < CN=Root", "CN=Shallow allows 0 authorities below it, and there are 1"},
		"for clients alone": {Question{Certificates: list(client.leaf), Bundle: list(client.root, client.between), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
			"CN=www.example.com < CN=Between < CN=Root", "CN=www.example.com is not for servers, by its extended key usage (client authentication)"},
		"another host": {Question{Certificates: list(c.leaf), Bundle: list(c.root, c.between), Host: "192.0.2.1"},
			"CN=www.example.com < CN=Between < CN=Root", "CN=www.example.com is not for 192.0.2.1; its names: DNS:www.example.com"},
		"a name that its authority may not give": {Question{Certificates: list(outside), Bundle: list(c.root, limited)}, "CN=www.example.com < CN=Limited < CN=Root", "is not permitted by any constraint"},
		"nothing":                                {Question{}, "", "there is no certificate"},
	} {
		test.q.Now = now
		f := Verify(test.q)
		judgedByOpenSSL(t, name, test.q, len(f.Wrong) == 0)
		if titles(f.Path) != test.path {
			t.Errorf("%s: wanted the path %s, got %s", name, test.path, titles(f.Path))
		}
		switch {
		case test.want == "" && len(f.Wrong) > 0:
			t.Errorf("%s: wanted it good, got %q", name, f.Wrong)
		case test.want != "" && (len(f.Wrong) == 0 || !strings.Contains(f.Wrong[0], test.want)):
			t.Errorf("%s: wanted %q, got %q", name, test.want, f.Wrong)
		}
	}
}

// Authorities that sign each other make a number of paths that doubles with each.
func TestCrossSignedAuthoritiesAreNotFollowedForEver(t *testing.T) {
	const n = 12
	keys := make([]crypto.Signer, n)
	templates := make([]*x509.Certificate, n)
	for i := range n {
		keys[i], templates[i] = mustKey(t, "ecdsa256"), named("CA"+string(rune('a'+i)), authority)
	}
	var all []*x509.Certificate
	for i := range n {
		for j := range n {
			if i != j {
				all = append(all, sign(t, templates[i], templates[j], keys[i], keys[j]))
			}
		}
	}
	key := mustKey(t, "ecdsa256")
	leaf := sign(t, named("www.example.com"), templates[0], key, keys[0])
	f := Verify(Question{Certificates: []*x509.Certificate{leaf}, Bundle: all, Now: now})
	if len(f.Wrong) == 0 || len(f.Path) > maxPath {
		t.Errorf("wanted it refused, got %q with %d certificates", f.Wrong, len(f.Path))
	}
}
