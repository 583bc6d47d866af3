package sip

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"rotunda/services/callbridge/leg/kamailio"
	"rotunda/services/freeport"
)

// TestSipgoCallsAndIsCalled has the dialogs of another library at the far end.
func TestSipgoCallsAndIsCalled(t *testing.T) {
	t.Parallel()
	gosip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	e := newEnd(t, unhurried)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	ua, err := sipgo.NewUA(sipgo.WithUserAgent("sipgo"))
	if err != nil {
		t.Fatal(err)
	}
	defer ua.Close()
	server, err := sipgo.NewServer(ua)
	if err != nil {
		t.Fatal(err)
	}
	port := freeport.For(t)
	address := "127.0.0.1:" + strconv.Itoa(port)
	contact := gosip.ContactHeader{Address: gosip.Uri{Scheme: "sip", User: "sipgo", Host: "127.0.0.1", Port: port}}
	client, err := sipgo.NewClient(ua, sipgo.WithClientHostname("127.0.0.1"), sipgo.WithClientPort(port))
	if err != nil {
		t.Fatal(err)
	}
	answers := sipgo.NewDialogServerCache(client, contact)
	calls := sipgo.NewDialogClientCache(client, contact)
	server.OnInvite(func(req *gosip.Request, tx gosip.ServerTransaction) {
		d, err := answers.ReadInvite(req, tx)
		if err != nil {
			t.Error(err)
			return
		}
		d.Respond(180, "Ringing", nil)
		d.RespondSDP([]byte("answer"))
		<-d.Context().Done()
	})
	server.OnAck(func(req *gosip.Request, tx gosip.ServerTransaction) { answers.ReadAck(req, tx) })
	ended := make(chan bool, 2)
	server.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) {
		if answers.ReadBye(req, tx) != nil {
			calls.ReadBye(req, tx)
		}
		ended <- true
	})
	ready := make(chan struct{})
	//lint:ignore SA1029 the key is the library's
	go server.ListenAndServe(context.WithValue(ctx, sipgo.ListenReadyCtxKey, sipgo.ListenReadyCtxValue(ready)), "udp", address)
	<-ready

	p := e.call(Target{Transport: UDP, Address: mustAddr(address)})
	p.wants("ringing 180", "answered answer", "confirmed")
	p.call.Hangup("")
	<-ended

	to := gosip.Uri{Scheme: "sip", User: "space", Host: "127.0.0.1", Port: int(e.at(UDP).Address.Port())}
	accepted := make(chan *party, 1)
	go func() {
		p := e.next()
		p.call.Ring()
		p.call.Accept([]byte("our answer"))
		accepted <- p
	}()
	d, err := calls.Invite(ctx, to, []byte("their offer"), gosip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		t.Fatal(err)
	}
	if string(d.InviteResponse.Body()) != "our answer" {
		t.Errorf("the answer is %q", d.InviteResponse.Body())
	}
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	q := <-accepted
	q.wants("confirmed")
	if err := d.Bye(ctx); err != nil {
		t.Fatal(err)
	}
	if end := q.over(); !end.Remote {
		t.Errorf("told %+v", end)
	}
}

// TestBaresipCalls has baresip, without a registrar, call us.
func TestBaresipCalls(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("baresip")
	if err != nil {
		t.Skip("baresip is not installed")
	}
	for _, by := range []Transport{UDP, TCP} {
		e := newEnd(t, unhurried)
		dir := t.TempDir()
		modules := ""
		for _, m := range []string{"/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"} {
			if _, err := os.Stat(m); err == nil {
				modules = m
			}
		}
		if modules == "" {
			t.Skip("baresip's modules are not where they are looked for")
		}
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("config", "module_path "+modules+"\nsip_listen 127.0.0.1:0\naudio_source aufile,/dev/null\naudio_player aufile,/dev/null\nmodule account.so\nmodule g711.so\nmodule_app menu.so\nmodule_app account.so\n")
		write("accounts", "<sip:tester@127.0.0.1;transport="+string(by)+">;regint=0\n")
		write("contacts", "")
		to := e.at(by).Address.String()
		cmd := exec.Command(program, "-f", dir, "-e", "/dial sip:space@"+to+";transport="+string(by), "-t", "20")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		t.Cleanup(func() { cmd.Process.Kill() })
		var p *party
		select {
		case p = <-e.incoming:
		case err := <-done:
			t.Fatalf("baresip ends: %v\n%s", err, out.String())
		case <-time.After(2 * patience):
			cmd.Process.Kill()
			<-done
			t.Fatalf("baresip does not call:\n%s", out.String())
		}
		if p.call.Transport() != by || !strings.Contains(string(p.call.Offer()), "m=audio") {
			t.Errorf("by %s, offer %q", p.call.Transport(), p.call.Offer())
		}
		answer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n"
		p.call.Ring()
		p.call.Accept([]byte(answer))
		p.wants("confirmed")
		p.call.Reoffer([]byte(strings.Replace(answer, "1 1 IN", "1 2 IN", 1)))
		select {
		case got := <-p.told:
			if !strings.HasPrefix(got, "answered v=0") {
				t.Errorf("told %q", got)
			}
		case <-time.After(patience):
			t.Error("baresip does not answer a re-INVITE")
		}
		p.call.Hangup("enough")
		e.wire.await(t, 1, true, "SIP/2.0 200", " BYE")
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-done:
		case <-time.After(patience):
			cmd.Process.Kill()
		}
	}
}

// TestThroughKamailio has a proxy between two agents that records its route: UDP on one side, TCP on the other.
func TestThroughKamailio(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, unhurried), newEnd(t, unhurried)
	here := "127.0.0." + strconv.Itoa(100+os.Getpid()%100) + ":" + strconv.Itoa(20000+os.Getpid()%10000)
	kamailio.Start(t, kamailio.Options{Listen: []string{"udp:" + here, "tcp:" + here}, Far: b.at(TCP).Address.String()})
	bound(t, here)
	for _, hangup := range []string{"caller", "callee"} {
		p := a.call(Target{Transport: UDP, Address: mustAddr(here)})
		var q *party
		select {
		case q = <-b.incoming:
		case <-time.After(3 * patience):
			t.Fatalf("no call came in; the caller saw\n%s", a.wire.text())
		}
		q.call.Ring()
		p.wants("ringing 180")
		q.call.Accept([]byte("answer"))
		p.wants("answered answer", "confirmed")
		q.wants("confirmed")
		p.call.Reoffer([]byte("two"))
		q.wants("offered two")
		q.call.AnswerOffer([]byte("two too"))
		p.wants("answered two too")
		q.call.Reoffer([]byte("three"))
		p.wants("offered three")
		p.call.AnswerOffer([]byte("three too"))
		q.wants("answered three too")
		p.call.Info("text/plain", []byte("x"))
		q.wants("info text/plain x")
		if hangup == "caller" {
			p.call.Hangup("")
			q.over()
		} else {
			q.call.Hangup("")
			p.over()
		}
	}
	// Given up through the proxy.
	p := a.call(Target{Transport: UDP, Address: mustAddr(here)})
	q := b.next()
	q.call.Ring()
	p.wants("ringing 180")
	p.call.Hangup("never mind")
	if end := q.over(); !end.Canceled {
		t.Errorf("told %+v", end)
	}
	a.wire.await(t, 1, true, "SIP/2.0 487")
	if n := a.wire.count(true, "SIP/2.0 4"); n != a.wire.count(true, "SIP/2.0 487") {
		t.Errorf("requests failed:\n%s", a.wire.text())
	}
	if n := b.wire.count(true, "SIP/2.0 4"); n != 0 {
		t.Errorf("requests failed:\n%s", b.wire.text())
	}
}
