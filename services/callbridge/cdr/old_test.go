package cdr

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReceiversOfOldTimesWillDo has one that speaks HTTP/1.0 and closes each connection, with line ends of its own.
func TestReceiversOfOldTimesWillDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []parsed
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			q, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				body, _ := io.ReadAll(q.Body)
				mu.Lock()
				got = append(got, parse(string(body))...)
				mu.Unlock()
				_, _ = io.WriteString(c, "HTTP/1.0 204 OK\n\n")
			}
			c.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	s := newScene(t)
	s.start("http://" + l.Addr().String())
	for i := range 3 {
		s.begin(i, 1)
		s.await("a record", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) == i+1
		})
	}
	s.end()
	inOrder(t, got, 3)
	if alarms := s.alarmed(); len(alarms) != 0 {
		t.Errorf("want no alarm, got %v", alarms)
	}
}

func TestAReceiverThatSaysNothingIsTriedAgain(t *testing.T) {
	hang := make(chan struct{})
	c := newCollector(t, func(_ http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			<-hang
			return false
		}
		return true
	})
	t.Cleanup(func() { close(hang) })
	s := newScene(t)
	s.r.pace.answer = 100 * time.Millisecond
	s.start(c.URL)
	s.begin(0, 3)
	s.await("the records", func() bool { return len(c.took()) == 3 })
	inOrder(t, c.took(), 3)
	s.await("the alarm's end", func() bool { return slices.Equal(s.alarmed(), []string{"raised connectFailure", "cleared"}) })
	if !strings.Contains(s.log.String(), "unable to connect to CDR receiver 1") {
		t.Errorf("want the log to tell, got\n%s", s.log)
	}
}

// BenchmarkDelivery is how many records a second one receiver takes.
func BenchmarkDelivery(b *testing.B) {
	var mu sync.Mutex
	taken := 0
	c := newCollector(b, nil)
	c.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		taken += strings.Count(string(body), "</record>")
		mu.Unlock()
	})
	s := &scene{bridge: &bridge{}, clock: newClock()}
	s.r = New(Options{Control: s.bridge})
	ctx := b.Context()
	go func() { _ = s.r.run(ctx, func() []Place { return []Place{{number(0xfe, 1), c.URL}} }, nil) }()
	await(b, "a receiver", func() bool { return s.count() == 1 })
	sent := 0
	for b.Loop() {
		s.begin(sent, 5000)
		sent += 5000
		await(b, "all", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return taken == sent
		})
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "records/s")
}
