package sip

import (
	"crypto/md5"
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
