package sip

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// digestOf reads credentials.
func digestOf(value string) map[string]string {
	m := map[string]string{}
	v, _ := strings.CutPrefix(value, "Digest ")
	for v != "" {
		var e string
		e, v = cutElement(v)
		name, val, _, _ := cutParam(e)
		m[name] = val
	}
	return m
}

// fits says whether credentials are those of bridge with the password secret, by MD5 with qop=auth.
func fits(t *testing.T, request, header, realm, nonce, nc string) {
	t.Helper()
	hash := func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
	m, f := parse([]byte(request))
	if f != nil {
		t.Fatal(f)
	}
	for _, v := range m.values(header) {
		d := digestOf(v)
		if d["realm"] != realm {
			continue
		}
		want := hash(hash("bridge:"+realm+":secret") + ":" + nonce + ":" + nc + ":" + d["cnonce"] + ":auth:" + hash(m.method+":"+m.uri))
		if d["nonce"] != nonce || d["nc"] != nc || d["response"] != want || d["uri"] != m.uri {
			t.Errorf("%s of %s for %s is %v, wanted nonce %s, nc %s, response %s", header, m.method, realm, d, nonce, nc, want)
		}
		return
	}
	t.Errorf("%s has no %s for %s:\n%s", m.method, header, realm, request)
}

func asks(header, realm, nonce string) string {
	return header + ": Digest realm=\"" + realm + "\", nonce=\"" + nonce + "\", algorithm=MD5, qop=\"auth\"\n"
}

func withPassword(d *Dial) { d.User, d.Password = "bridge", "secret" }

func TestAProxyAndTheFarEndAskForCredentials(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target(), withPassword)
	i := r.get("INVITE")
	r.send(respond(i, "407 Proxy Authentication Required", "p", asks("Proxy-Authenticate", "proxy", "p1"), ""))
	r.get("ACK")
	i = r.get("INVITE")
	fits(t, i, "Proxy-Authorization", "proxy", "p1", "00000001")
	r.send(respond(i, "401 Unauthorized", "f", asks("WWW-Authenticate", "far", "f1"), ""))
	r.get("ACK")
	// Both: the proxy looks at its own again.
	i = r.get("INVITE")
	fits(t, i, "Proxy-Authorization", "proxy", "p1", "00000002")
	fits(t, i, "Authorization", "far", "f1", "00000001")
	r.send(respond(i, "200 OK", "f", "Contact: <sip:f@HERE>\n", "answer"))
	p.wants("answered answer", "confirmed")
	ack := r.get("ACK")
	for _, h := range []string{"Authorization", "Proxy-Authorization"} {
		if field(ack, h) != field(i, h) {
			t.Errorf("the ACK has %s %q, the INVITE %q", h, field(ack, h), field(i, h))
		}
	}
	// What follows in the dialog has them from the beginning.
	p.call.Info("text/plain", []byte("x"))
	info := r.get("INFO")
	fits(t, info, "Proxy-Authorization", "proxy", "p1", "00000003")
	fits(t, info, "Authorization", "far", "f1", "00000002")
	// The nonce is old by now, which some say without stale.
	r.send(respond(info, "407 Proxy Authentication Required", "", asks("Proxy-Authenticate", "proxy", "p2"), ""))
	info = r.get("INFO")
	fits(t, info, "Proxy-Authorization", "proxy", "p2", "00000001")
	fits(t, info, "Authorization", "far", "f1", "00000003")
	r.send(respond(info, "200 OK", "", "", ""))
	p.call.Hangup("")
	bye := r.get("BYE")
	fits(t, bye, "Proxy-Authorization", "proxy", "p2", "00000002")
	fits(t, bye, "Authorization", "far", "f1", "00000004")
	r.send(respond(bye, "200 OK", "", "", ""))
}

func TestTwoChallengesInOneAnswer(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target(), withPassword)
	i := r.get("INVITE")
	// A proxy that has forked passes on all of them (RFC 3261 16.7).
	r.send(respond(i, "401 Unauthorized", "t", asks("WWW-Authenticate", "one", "n1")+asks("WWW-Authenticate", "two", "n2")+asks("Proxy-Authenticate", "one", "n3"), ""))
	r.get("ACK")
	i = r.get("INVITE")
	fits(t, i, "Authorization", "one", "n1", "00000001")
	fits(t, i, "Authorization", "two", "n2", "00000001")
	fits(t, i, "Proxy-Authorization", "one", "n3", "00000001")
	// A shorter session interval is asked for: credentials stay.
	r.send(respond(i, "422 Session Interval Too Small", "t", "Min-SE: 7200\n", ""))
	r.get("ACK")
	i = r.get("INVITE")
	fits(t, i, "Authorization", "two", "n2", "00000002")
	if v := field(i, "Session-Expires"); v != "7200" {
		t.Errorf("Session-Expires: %s", v)
	}
	// Who asks again does not take them.
	r.send(respond(i, "401 Unauthorized", "t", asks("WWW-Authenticate", "two", "n4"), ""))
	if end := p.over(); end.Code != 401 {
		t.Errorf("told %+v", end)
	}
}

func TestAFarEndThatAlwaysAsks(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target(), withPassword)
	for n := range maxTries + 1 {
		i := r.get("INVITE")
		r.send(respond(i, "401 Unauthorized", "t", strings.TrimSuffix(asks("WWW-Authenticate", "r", "n"+itoa(uint32(n))), "\n")+", stale=true\n", ""))
		r.get("ACK")
	}
	if end := p.over(); end.Code != 401 {
		t.Errorf("told %+v", end)
	}
	if n := len(e.wire.branches("INVITE")); n != maxTries+1 {
		t.Errorf("%d INVITEs were sent", n)
	}
}

// TestDigestsOfTheRFC has the examples of RFC 7616 3.9; that of SHA-512-256 as its erratum 4897 has it.
func TestDigestsOfTheRFC(t *testing.T) {
	t.Parallel()
	const first = `Digest realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", ` +
		`opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=`
	const second = `Digest realm="api@example.org", qop="auth", nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", ` +
		`opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true, algorithm=`
	for _, c := range []struct{ challenge, user, password, uri, cnonce, response string }{
		{first + "MD5", "Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec"},
		{first + "SHA-256", "Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{second + "SHA-512-256", "J\u00e4s\u00f8n Doe", "Secret, or not?", "/doe.json", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
			"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
	} {
		ch, ok := parseChallenge(c.challenge)
		if !ok {
			t.Errorf("%s cannot be answered", c.challenge)
			continue
		}
		if got := digestOf(ch.answer(c.user, c.password, "GET", c.uri, c.cnonce, 1)); got["response"] != c.response || got["algorithm"] != ch.algorithm {
			t.Errorf("%s is answered %v, wanted %s", c.challenge, got, c.response)
		}
	}
}

func TestChallengesThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{
		`Digest realm="r", nonce="n"`:                                     true,
		`Digest realm="r", nonce="n", algorithm=md5`:                      true,
		`Digest realm="r", nonce="n", algorithm=SHA-512-256`:              true,
		`Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth"`: true,
		// Without qop there is no cnonce to make the key from.
		`Digest realm="r", nonce="n", algorithm=MD5-sess`:              false,
		`Digest realm="r", nonce="n", algorithm=-sess, qop="auth"`:     false,
		`Digest realm="r", nonce="n", algorithm=SHA-512, qop="auth"`:   false,
		`Digest realm="r", nonce="n", algorithm=MD5, qop="auth-int"`:   false,
		`Digest realm="r", nonce="n", algorithm=AKAv1-MD5, qop="auth"`: false,
	} {
		if _, got := parseChallenge(v); got != want {
			t.Errorf("%s: %t, wanted %t", v, got, want)
		}
	}
}

func TestTheStrongestDigestIsTaken(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"MD5", "SHA-256", "SHA-512-256"}, {"SHA-512-256", "SHA-256", "MD5"}, {"SHA-256", "SHA-512-256", "MD5-sess"}, {"AKAv1-MD5", "SHA-512-256", "X"}} {
		r := &message{}
		for _, a := range order {
			r.headers = append(r.headers, Header{"WWW-Authenticate", `Digest realm="r", nonce="` + a + `", qop="auth", algorithm=` + a})
		}
		a := credentials{user: "bridge", password: "secret"}
		if !a.challenged(r, &tries{}) {
			t.Errorf("%v is not answered", order)
			continue
		}
		l := a.headers("INVITE", "sip:far")
		if len(l) != 1 {
			t.Errorf("%v is answered with %d headers", order, len(l))
			continue
		}
		if d := digestOf(l[0].Value); d["algorithm"] != "SHA-512-256" || d["nonce"] != "SHA-512-256" || len(d["response"]) != 64 {
			t.Errorf("%v is answered %v", order, d)
		}
	}
}

// TestKeysOfASession: the key is made from the first cnonce of a nonce, so that stays (RFC 7616 3.4.2).
func TestKeysOfASession(t *testing.T) {
	t.Parallel()
	sha := func(s string) string { b := sha256.Sum256([]byte(s)); return hex.EncodeToString(b[:]) }
	a := credentials{user: "bridge", password: "secret"}
	var seen []string
	ask := func(nonce string) {
		r := &message{headers: []Header{{"WWW-Authenticate", `Digest realm="r", nonce="` + nonce + `", qop="auth", stale=true, algorithm=SHA-256-sess`}}}
		if !a.challenged(r, &tries{}) {
			t.Fatalf("%s is not answered", nonce)
		}
	}
	wants := func(nonce, nc string) {
		t.Helper()
		d := digestOf(a.headers("INFO", "sip:far")[0].Value)
		key := sha(sha("bridge:r:secret") + ":" + nonce + ":" + d["cnonce"])
		if want := sha(key + ":" + nonce + ":" + nc + ":" + d["cnonce"] + ":auth:" + sha("INFO:sip:far")); d["response"] != want || d["nc"] != nc || d["nonce"] != nonce {
			t.Errorf("%v, wanted nonce %s, nc %s, response %s", d, nonce, nc, want)
		}
		if d["algorithm"] != "SHA-256-sess" {
			t.Errorf("the algorithm is spelled %q", d["algorithm"])
		}
		seen = append(seen, d["cnonce"])
	}
	ask("n1")
	wants("n1", "00000001")
	wants("n1", "00000002")
	ask("n2")
	wants("n2", "00000001")
	if seen[0] != seen[1] || seen[1] == seen[2] {
		t.Errorf("cnonces are %q: the first two belong to one nonce, the third to another", seen)
	}
}
