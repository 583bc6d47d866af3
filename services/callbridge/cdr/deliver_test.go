package cdr

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/meeting"
)

// begin makes n records, from one call on.
func (s *scene) begin(from, n int) {
	for i := from; i < from+n; i++ {
		s.call(meeting.CallBegan, meeting.CallInfo{ID: call(i), Type: meeting.SpaceCall, Name: fmt.Sprintf("call %d", i), Started: s.clock.now()})
	}
}

// inOrder checks that a receiver took n records in order, without a hole in its index.
func inOrder(t *testing.T, got []parsed, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("want %d records, got %d", n, len(got))
	}
	for i, r := range got {
		if r.Index != i+1 || r.Correlator != i || r.Missing != 0 {
			t.Fatalf("record %d: want index %d and correlator %d, got %d, %d and %d missing", i, i+1, i, r.Index, r.Correlator, r.Missing)
		}
		if want := fmt.Sprintf("<name>call %d</name>", i); !strings.Contains(r.Inner, want) {
			t.Fatalf("record %d: want %s in it, got %s", i, want, r.Inner)
		}
	}
}

func TestEveryReceiverGetsAllRecordsInOrderWhateverTheOthersDo(t *testing.T) {
	const n = 500
	fine := newCollector(t, nil)
	noContent := newCollector(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusNoContent)
		return true
	})
	// Each third answer is a refusal, and each fifth is cut in the middle of its headers.
	failing := newCollector(t, func(w http.ResponseWriter, _ *http.Request, n int) bool {
		switch {
		case n%3 == 0:
			w.WriteHeader(http.StatusInternalServerError)
			return false
		case n%5 == 0:
			c, b, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = b.WriteString("HTTP/1.1 200 O")
				_ = b.Flush()
				c.Close()
			}
			return false
		}
		return true
	})
	hold := make(chan struct{})
	slow := newCollector(t, func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 0 {
			<-hold
		}
		return true
	})
	s := newScene(t)
	s.start(fine.URL, noContent.URL+"/", failing.URL+"/cdr", slow.URL)
	s.begin(0, n)
	for _, c := range []*collector{fine, noContent, failing} {
		s.await("all records", func() bool { return len(c.took()) >= n })
		inOrder(t, c.took(), n)
	}
	if got := len(slow.took()); got != 0 {
		t.Fatalf("the slow one has not answered: want no records, got %d", got)
	}
	close(hold)
	s.await("all records at the slow one", func() bool { return len(slow.took()) >= n })
	inOrder(t, slow.took(), n)
	for _, r := range fine.took() {
		if r.Session != s.r.Session() {
			t.Fatalf("want session %s, got %s", s.r.Session(), r.Session)
		}
	}
	if got := s.r.Index(); got != n {
		t.Errorf("want %d as the next correlatorIndex, got %d", n, got)
	}
}

func TestAnAcknowledgementCountsThoughItsBodyNeverCame(t *testing.T) {
	c := newCollector(t, func(w http.ResponseWriter, _ *http.Request, n int) bool {
		h, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return false
		}
		_, _ = b.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		_ = b.Flush()
		h.Close()
		return true
	})
	s := newScene(t)
	s.start(c.URL)
	s.begin(0, 1)
	s.await("the first", func() bool { return len(c.took()) == 1 })
	s.begin(1, 1)
	s.await("the second", func() bool { return len(c.took()) >= 2 })
	inOrder(t, c.took(), 2)
}

func TestAConnectionIsKeptAndAClosedOneIsNoFailure(t *testing.T) {
	remotes := map[string]bool{}
	c := newCollector(t, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		remotes[r.RemoteAddr] = true
		return true
	})
	s := newScene(t)
	s.start(c.URL)
	for i := range 5 {
		s.begin(i, 1)
		s.await("a record", func() bool { return len(c.took()) == i+1 })
	}
	if len(remotes) != 1 {
		t.Errorf("want one connection, got %d", len(remotes))
	}
	c.CloseClientConnections()
	s.begin(5, 1)
	s.await("the record after", func() bool { return len(c.took()) == 6 })
	if got := s.alarmed(); len(got) != 0 {
		t.Errorf("a kept connection that was closed is no fault: want no alarm, got %v", got)
	}
}

func TestTheAddressIsUsedAsItStandsAndThePasswordIsNotLogged(t *testing.T) {
	var user, password, uri, kind string
	fail := true
	c := newCollector(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		user, password, _ = r.BasicAuth()
		uri, kind = r.RequestURI, r.Header.Get("Content-Type")
		if fail {
			fail = false
			w.WriteHeader(http.StatusForbidden)
			return false
		}
		return true
	})
	s := newScene(t)
	host := strings.TrimPrefix(c.URL, "http://")
	s.start("http://cdr:geheim%2F7@" + host + "/a%2Fb;x/c%20d?y=1&z=%20&e=a+b#part")
	s.begin(0, 1)
	s.await("the record", func() bool { return len(c.took()) == 1 })
	if want := "/a%2Fb;x/c%20d?y=1&z=%20&e=a+b"; uri != want {
		t.Errorf("want %s, got %s", want, uri)
	}
	if user != "cdr" || password != "geheim/7" {
		t.Errorf("want user cdr with its password, got %q %q", user, password)
	}
	if kind != "text/xml" {
		t.Errorf("want text/xml, got %s", kind)
	}
	s.await("the log", func() bool { return strings.Contains(s.log.String(), "successfully connected to CDR receiver 1") })
	lines := s.log.String()
	for _, secret := range []string{"geheim", "cdr:", "?y=1"} {
		if strings.Contains(lines, secret) {
			t.Errorf("the log has %q:\n%s", secret, lines)
		}
	}
	if want := "CDR receiver 1 (" + host + ") does not take records"; !strings.Contains(lines, want) {
		t.Errorf("want %q in the log, got\n%s", want, lines)
	}
	s.await("an alarm and its end", func() bool { return slices.Equal(s.alarmed(), []string{"raised authenticationFailure", "cleared"}) })
}

func TestARedirectionIsNoAcknowledgementAndNotFollowed(t *testing.T) {
	elsewhere := newCollector(t, nil)
	c := newCollector(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			return false
		}
		return true
	})
	s := newScene(t)
	s.start(c.URL)
	s.begin(0, 1)
	s.await("the record", func() bool { return len(c.took()) == 1 })
	if got := elsewhere.tries(); got != 0 {
		t.Errorf("want nothing sent elsewhere, got %d requests", got)
	}
}

func TestTLSTakesAnyCertificateUnlessTold(t *testing.T) {
	c := &collector{}
	c.Server = httptest.NewTLSServer(c)
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(c.Close)
	s := newScene(t)
	s.start(c.URL)
	s.begin(0, 1)
	s.await("the record", func() bool { return len(c.took()) == 1 })
	if v := c.requests[0].ProtoMajor; v != 1 {
		t.Errorf("want HTTP/1.1, got HTTP/%d", v)
	}

	strict := newScene(t, func(o *Options) { o.TLS = func() *tls.Config { return &tls.Config{} } })
	strict.start(c.URL)
	strict.begin(0, 1)
	strict.await("an alarm", func() bool { return slices.Equal(strict.alarmed(), []string{"raised connectFailure"}) })
	if !strings.Contains(strict.log.String(), "unable to connect to CDR receiver 1 ("+strings.TrimPrefix(c.URL, "https://")+")") {
		t.Errorf("want the line of a receiver that cannot be reached, got\n%s", strict.log)
	}
	if got := len(c.took()); got != 1 {
		t.Errorf("want nothing sent to a receiver that is not trusted, got %d records", got)
	}
}

func TestAReceiverThatIsAwayGetsWhatWaitsAndTheGapIsCounted(t *testing.T) {
	open := make(chan struct{})
	c := newCollector(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		select {
		case <-open:
			return true
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			return false
		}
	})
	other := newCollector(t, nil)
	s := newScene(t)
	s.start(c.URL, other.URL)
	s.await("an alarm", func() bool {
		if len(s.alarmed()) == 0 {
			s.begin(0, 1)
		}
		return len(s.alarmed()) > 0
	})
	n := maxBacklog + 250
	s.begin(1, n-1)
	close(open)
	s.await("what is left", func() bool {
		got := c.took()
		return len(got) > 0 && got[len(got)-1].Correlator == n-1
	})
	got := c.took()
	// The first was under way at times, and stayed then.
	missing := 0
	for i, r := range got {
		missing += r.Missing
		if r.Index != i+1 {
			t.Fatalf("record %d: want recordIndex %d, got %d", i, i+1, r.Index)
		}
		if r.Correlator != i+missing {
			t.Fatalf("record %d: %d are missing so far, so want correlatorIndex %d, got %d", i, missing, i+missing, r.Correlator)
		}
	}
	if missing != 250 || len(got) != maxBacklog {
		t.Errorf("want %d records and 250 missing, got %d and %d", maxBacklog, len(got), missing)
	}
	s.await("all at the other", func() bool { return len(other.took()) == n })
	inOrder(t, other.took(), n)
	s.await("all is acknowledged", func() bool { return s.r.Standings()[1].Waiting == 0 && s.r.Standings()[2].Waiting == 0 })
	if got, want := s.r.Standings(), map[int]Standing{1: {Sent: maxBacklog, Lost: 250}, 2: {Sent: uint64(n)}}; !maps.Equal(got, want) {
		t.Errorf("want the receivers to stand at %+v, got %+v", want, got)
	}
	if want := []string{"raised serviceUnavailable", "cleared"}; !slices.Equal(s.alarmed(), want) {
		t.Errorf("want alarms %v, got %v", want, s.alarmed())
	}
	lines := s.log.String()
	for what, times := range map[string]int{"the oldest records are discarded": 1, "has a gap": 1, "does not take records": 1} {
		if got := strings.Count(lines, what); got != times {
			t.Errorf("want %d lines with %q, got %d", times, what, got)
		}
	}
}

func TestTheBacklogIsBoundedInBytesToo(t *testing.T) {
	b := newBacklog()
	big := &record{body: strings.Repeat("x", 1<<20)}
	for range 40 {
		b.put(big)
	}
	if b.bytes > maxBytes || b.left() != maxBytes/big.size() {
		t.Errorf("want at most %d bytes, got %d in %d records", maxBytes, b.bytes, b.left())
	}
	if want := uint64(40 - b.left()); b.queue[0].missing != want {
		t.Errorf("want %d missing before the first, got %d", want, b.queue[0].missing)
	}
}

func TestRecordsUnderWayStayAndTheGapComesBehindThem(t *testing.T) {
	b := newBacklog()
	for i := range maxBacklog {
		b.put(&record{correlator: uint64(i), head: "<record"})
	}
	var w bytes.Buffer
	n := b.take(&w, 3)
	for i := range 5 {
		b.put(&record{correlator: uint64(maxBacklog + i), head: "<record"})
	}
	for i, want := range []struct{ correlator, missing uint64 }{{0, 0}, {1, 0}, {2, 0}, {8, 5}} {
		if got := b.queue[i]; got.correlator != want.correlator || got.missing != want.missing {
			t.Errorf("place %d: want record %d after %d missing ones, got %d and %d", i, want.correlator, want.missing, got.correlator, got.missing)
		}
	}
	b.done(true)
	if b.index != uint64(n)+1 || b.queue[0].correlator != 8 {
		t.Errorf("want index %d and record 8, got %d and %d", n+1, b.index, b.queue[0].correlator)
	}
}

func TestReceiversAreFollowed(t *testing.T) {
	one, two, three := newCollector(t, nil), newCollector(t, nil), newCollector(t, nil)
	s := newScene(t)
	s.start(one.URL)
	s.begin(0, 3)
	s.await("three", func() bool { return len(one.took()) == 3 })
	s.want(one.URL, two.URL)
	s.await("two receivers", func() bool { return s.count() == 2 })
	s.begin(3, 2)
	s.await("two at the second", func() bool { return len(two.took()) == 2 })
	if r := two.took()[0]; r.Index != 1 || r.Correlator != 3 {
		t.Errorf("a new receiver: want index 1 and correlator 3, got %d and %d", r.Index, r.Correlator)
	}
	// The first gets another address, and the second goes.
	s.await("five at the first", func() bool { return len(one.took()) == 5 })
	// What was sent and is not acknowledged would go to the new address as well.
	s.await("acknowledgements", func() bool { return s.waiting() == 0 })
	s.want(three.URL)
	s.await("the other address", func() bool { return slices.Equal(s.receiving(), []string{three.URL}) })
	s.begin(5, 1)
	s.await("one at the third", func() bool { return len(three.took()) == 1 })
	if r := three.took()[0]; r.Index != 1 || r.Correlator != 5 {
		t.Errorf("another address: want index 1 and correlator 5, got %d and %d", r.Index, r.Correlator)
	}
	s.want("", "")
	s.await("no receiver", func() bool { return s.count() == 0 })
	s.begin(6, 10)
	s.want("", "", "", "", two.URL)
	s.await("one receiver", func() bool { return s.count() == 1 })
	s.begin(16, 1)
	s.await("one more at the second", func() bool { return len(two.took()) == 3 })
	if r := two.took()[2]; r.Index != 1 || r.Correlator != 16 || r.Missing != 0 {
		t.Errorf("a receiver that was added anew: want index 1, correlator 16 and nothing missing, got %+v", r)
	}
	if len(one.took()) != 5 {
		t.Errorf("want nothing more at the first, got %d records", len(one.took()))
	}
}

func TestWhatWaitsGoesToTheNewAddress(t *testing.T) {
	c := newCollector(t, nil)
	wrong := newCollector(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusNotFound)
		return false
	})
	s := newScene(t)
	s.start(wrong.URL)
	s.begin(0, 20)
	s.await("an alarm", func() bool { return len(s.alarmed()) == 1 })
	s.want(c.URL)
	s.await("all", func() bool { return len(c.took()) >= 20 })
	inOrder(t, c.took(), 20)
	s.await("the alarm's end", func() bool { return slices.Equal(s.alarmed(), []string{"raised error", "cleared"}) })
}

func TestTheEndWaitsForWhatIsLeftButNotForLong(t *testing.T) {
	c := newCollector(t, nil)
	s := newScene(t)
	s.r.pace.gather = time.Hour
	s.start(c.URL)
	s.begin(0, 300)
	s.end()
	inOrder(t, c.took(), 300)
	posts := c.tries()
	if posts < 3 || posts > 10 {
		t.Errorf("300 records: want some POSTs of at most %d records, got %d", batchRecords, posts)
	}

	away := newScene(t)
	away.r.pace.first, away.r.pace.most = time.Hour, time.Hour
	away.start("http://127.0.0.1:1/")
	away.begin(0, 2)
	away.await("an alarm", func() bool { return len(away.alarmed()) == 1 })
	began := time.Now()
	away.end()
	if took := time.Since(began); took > lastWords+time.Minute { // and not the hour of the next try
		t.Errorf("want an end in %v, got %v", lastWords, took)
	}
	if !strings.Contains(away.log.String(), "records are lost at the end") {
		t.Errorf("want the log to tell of the loss, got\n%s", away.log)
	}
}

func TestPausesDoubleUpToAMinute(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		for range 100 {
			if got := usualPace.pause(failures); got > want || got < want*3/4-1 {
				t.Fatalf("after %d failures: want %v to %v, got %v", failures, want*3/4, want, got)
			}
		}
	}
}

func TestTheCallBridgeIsNamedInAClusterAlone(t *testing.T) {
	c := newCollector(t, nil)
	s := newScene(t, func(o *Options) { o.CallBridge = func() string { return "b1b1" } })
	s.start(c.URL)
	s.begin(0, 1)
	s.await("the record", func() bool { return len(c.took()) == 1 })
	if !strings.Contains(c.text(), `callBridge="b1b1">`) {
		t.Errorf("want the Call Bridge named, got %s", c.text())
	}
}

func TestAlarmsCountOnceForAllReceivers(t *testing.T) {
	var got []string
	a := alarm{tell: func(on bool, reason string) { got = append(got, fmt.Sprint(on, " ", reason)) }}
	one, two := &receiver{}, &receiver{}
	a.set(one, "dnsFailure")
	a.set(two, "error")
	a.set(one, "")
	a.set(two, "connectFailure")
	a.set(two, "")
	a.set(two, "")
	if want := []string{"true dnsFailure", "false "}; !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

// A receiver hangs with records that it has not acknowledged: they go to its new address, once and in order.
func TestWhatIsBeingSentGoesToTheNewAddress(t *testing.T) {
	asked, free := make(chan struct{}, 1), make(chan struct{})
	slow := newCollector(t, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		asked <- struct{}{}
		select {
		case <-r.Context().Done(): // cut
		case <-free:
		}
		return false
	})
	t.Cleanup(func() { close(free) })
	c := newCollector(t, nil)
	s := newScene(t)
	s.start(slow.URL)
	s.begin(0, 3)
	<-asked
	s.want(c.URL)
	s.await("the other address", func() bool { return slices.Equal(s.receiving(), []string{c.URL}) })
	s.begin(3, 1)
	s.await("all", func() bool { return len(c.took()) >= 4 })
	inOrder(t, c.took(), 4)
	s.await("acknowledgements", func() bool { return s.waiting() == 0 })
	if n := slow.tries(); n != 1 {
		t.Errorf("want no more tries at the old address, got %d", n)
	}
}
