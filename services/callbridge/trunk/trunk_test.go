package trunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// proxies are asked in the tests' own time (testing/synctest): an hour takes no time.
type proxies struct {
	mu     sync.Mutex
	down   map[Target]error
	asked  map[Target][]time.Time
	silent map[Target]bool
	now    int
	most   int
}

func (p *proxies) ping(ctx context.Context, t Target) error {
	p.mu.Lock()
	p.asked[t] = append(p.asked[t], time.Now())
	p.now++
	p.most = max(p.most, p.now)
	silent, err := p.silent[t], p.down[t]
	p.mu.Unlock()
	if silent {
		<-ctx.Done()
		err = ctx.Err()
	}
	time.Sleep(100 * time.Millisecond) // of the test's time: the answer's way
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	return err
}

func (p *proxies) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *proxies) count(t Target) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked[t])
}

var (
	one = Target{Host: "one.example", Transport: "tls"}
	two = Target{Host: "192.0.2.2", Port: 5060, Transport: "tcp"}
)

// watch runs f with a watch in a time of its own.
func watch(t *testing.T, f func(p *proxies, w *Watch, log *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &proxies{down: map[Target]error{}, asked: map[Target][]time.Time{}, silent: map[Target]bool{}}
		var log bytes.Buffer
		w := New(Options{Ping: p.ping, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx) }()
		f(p, w, &log)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWithoutTrunksNothingIsAsked(t *testing.T) {
	watch(t, func(p *proxies, w *Watch, _ *bytes.Buffer) {
		pass(time.Hour)
		w.Set([]Target{one})
		pass(10 * time.Minute)
		w.Set(nil)
		before := p.count(one)
		pass(time.Hour)
		if n := p.count(one); n != before || before == 0 {
			t.Errorf("asked %d times, %d of them after its rule was gone", n, n-before)
		}
		if !w.Up(one) || len(w.States()) != 0 {
			t.Error("one that is not watched is not up")
		}
	})
}

func TestATrunkGoesDownAndComesBack(t *testing.T) {
	watch(t, func(p *proxies, w *Watch, log *bytes.Buffer) {
		w.Set([]Target{one, two})
		pass(10*time.Minute + 5*time.Second)
		if n := p.count(one); n < 9 || n > 13 {
			t.Errorf("asked %d times in ten minutes, want about 10", n)
		}
		if log.Len() != 0 || !w.Up(one) || !w.Up(two) {
			t.Errorf("up %v and %v, log %q, want both up and nothing told", w.Up(one), w.Up(two), log)
		}
		p.set(func() { p.down[one] = errors.New("connection refused") })
		pass(70 * time.Second)
		if w.Up(one) || !w.Up(two) {
			t.Errorf("up %v and %v, want the first down", w.Up(one), w.Up(two))
		}
		before := p.count(one)
		pass(100 * time.Second)
		if n := p.count(one) - before; n < 8 || n > 12 {
			t.Errorf("asked %d times in 100 s while it is down, want about 10", n)
		}
		s := w.States()
		if len(s) != 2 || s[0].Target != two || s[1].Up || s[1].Err == nil || time.Since(s[1].Since) < 100*time.Second || s[1].Asked.IsZero() {
			t.Errorf("states %+v", s)
		}
		p.set(func() { p.down = map[Target]error{} })
		pass(12 * time.Second)
		if !w.Up(one) {
			t.Error("still down 12 s after it came back")
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `trunk="one.example (tls)" error="connection refused"`) || !strings.Contains(lines[1], "trunk is up again") {
			t.Errorf("log %q, want one line for each change", lines)
		}
	})
}

func TestOneThatDoesNotAnswerIsDownAndHoldsUpNobody(t *testing.T) {
	watch(t, func(p *proxies, w *Watch, _ *bytes.Buffer) {
		p.set(func() { p.silent[one] = true })
		w.Set([]Target{one, two})
		pass(5 * time.Second)
		if p.count(two) != 1 || !w.Up(one) {
			t.Errorf("the other was asked %d times; up %v, want once, and up as long as nothing is known", p.count(two), w.Up(one))
		}
		pass(10 * time.Second)
		if w.Up(one) || !w.Up(two) {
			t.Errorf("up %v and %v, want the silent one down", w.Up(one), w.Up(two))
		}
	})
}

func TestACallThatFailedBringsTheQuestionForward(t *testing.T) {
	watch(t, func(p *proxies, w *Watch, _ *bytes.Buffer) {
		w.Set([]Target{one})
		pass(20 * time.Second)
		p.set(func() { p.down[one] = errors.New("no route") })
		w.Doubt(one)
		pass(time.Second)
		if w.Up(one) || p.count(one) != 2 {
			t.Errorf("up %v after %d questions, want down after the second", w.Up(one), p.count(one))
		}
		for range 1000 {
			w.Doubt(one)
		}
		pass(5 * time.Second)
		if n := p.count(one); n != 2 {
			t.Errorf("asked %d times, want no more for many failures", n)
		}
		w.Doubt(two) // nobody watches it
	})
}

func TestWhatStaysIsKept(t *testing.T) {
	watch(t, func(p *proxies, w *Watch, _ *bytes.Buffer) {
		p.set(func() { p.down[one] = errors.New("no") })
		w.Set([]Target{one})
		pass(5 * time.Second)
		w.Set([]Target{two, one, one})
		if w.Up(one) {
			t.Error("what was known is forgotten")
		}
		if n := len(w.States()); n != 2 {
			t.Errorf("%d are watched, want 2", n)
		}
	})
}

func TestNumbersAreBounded(t *testing.T) {
	watch(t, func(p *proxies, w *Watch, log *bytes.Buffer) {
		var list []Target
		for i := range 1000 {
			list = append(list, Target{Host: fmt.Sprintf("h%d.example", i), Transport: "tcp"})
			p.set(func() { p.silent[list[i]] = true })
		}
		w.Set(list)
		if n := len(w.States()); n != maxTargets {
			t.Errorf("%d are watched, want %d", n, maxTargets)
		}
		pass(20 * time.Minute)
		p.set(func() {
			if p.most != maxAsking {
				t.Errorf("%d were asked at once, want %d", p.most, maxAsking)
			}
			for _, at := range list[:maxTargets] {
				if len(p.asked[at]) < 4 {
					t.Errorf("%v was asked %d times in 20 minutes", at, len(p.asked[at]))
				}
			}
		})
		if !strings.Contains(log.String(), "not all trunks are watched") {
			t.Error("nobody is told that some are left out")
		}
	})
}
