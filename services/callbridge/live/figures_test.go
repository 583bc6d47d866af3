package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/media/control"
)

func always() bool { return true }

func TestFiguresAreAskedInBulkAndKeptForASecond(t *testing.T) {
	now := time.Unix(1000, 0)
	var asked [][]string
	f := newFigures(func(_ context.Context, legs ...string) (map[string]control.LegStats, error) {
		asked = append(asked, legs)
		found := map[string]control.LegStats{}
		for _, id := range legs {
			if id != "unknown" {
				found[id] = control.LegStats{ID: id}
			}
		}
		return found, nil
	}, always, func() time.Time { return now })
	if got := f.of(t.Context(), "a", "b", "unknown", ""); len(got) != 2 {
		t.Errorf("want a and b, got %v", got)
	}
	f.of(t.Context(), "a")
	f.of(t.Context(), "unknown")
	f.of(t.Context(), "b", "c")
	now = now.Add(fresh)
	f.of(t.Context(), "a")
	want := [][]string{{"a", "b", "unknown"}, {"c"}, {"a"}}
	if !slices.EqualFunc(asked, want, slices.Equal) {
		t.Errorf("want the questions %v, got %v", want, asked)
	}
}

func TestPollersWaitForOneQuestion(t *testing.T) {
	var mu sync.Mutex
	asked, atOnce := 0, 0
	begun, goOn := make(chan struct{}), make(chan struct{})
	f := newFigures(func(_ context.Context, legs ...string) (map[string]control.LegStats, error) {
		mu.Lock()
		asked++
		atOnce++
		if atOnce > 1 {
			t.Error("two questions at once")
		}
		mu.Unlock()
		if asked == 1 {
			close(begun)
		}
		<-goOn
		mu.Lock()
		atOnce--
		mu.Unlock()
		return map[string]control.LegStats{"a": {ID: "a"}}, nil
	}, always, time.Now)
	var group sync.WaitGroup
	group.Go(func() { f.of(t.Context(), "a") })
	<-begun
	for range 20 {
		group.Go(func() {
			if got := f.of(t.Context(), "a"); len(got) != 1 {
				t.Errorf("want the figures of a, got %v", got)
			}
		})
	}
	close(goOn)
	group.Wait()
	if asked != 1 {
		t.Errorf("want one question for all, got %d", asked)
	}
}

func TestAnEngineThatDoesNotAnswerLeavesFiguresOut(t *testing.T) {
	f := newFigures(func(context.Context, ...string) (map[string]control.LegStats, error) {
		return nil, errors.New("away")
	}, always, time.Now)
	if got := f.of(t.Context(), "a"); len(got) != 0 {
		t.Errorf("want nothing, got %v", got)
	}
	if len(f.kept) != 0 {
		t.Error("what nobody has said is not kept")
	}
}

func TestNobodyWaitsForAnEngineThatIsAway(t *testing.T) {
	here := true
	asked := 0
	now := time.Unix(1000, 0)
	f := newFigures(func(_ context.Context, legs ...string) (map[string]control.LegStats, error) {
		asked++
		return map[string]control.LegStats{"a": {ID: "a"}}, nil
	}, func() bool { return here }, func() time.Time { return now })
	f.of(t.Context(), "a")
	here = false
	if got := f.of(t.Context(), "a", "b"); len(got) != 1 || asked != 1 {
		t.Errorf("want what is known of a and no question, got %v after %d questions", got, asked)
	}
	now = now.Add(fresh)
	if got := f.of(t.Context(), "a"); len(got) != 0 || asked != 1 {
		t.Errorf("want nothing and no question, got %v after %d questions", got, asked)
	}
	l := &Live{o: Options{Connected: func() bool { return here }, Modules: func(context.Context) ([]control.Module, error) {
		asked++
		return []control.Module{{Workers: []control.WorkerStatus{{Capacity: 100, Used: 50}}}}, nil
	}}}
	if got := l.Load(t.Context()); got != 0 || asked != 1 {
		t.Errorf("want no load and no question, got %d after %d questions", got, asked)
	}
	here = true
	if got := l.Load(t.Context()); got != 500 || asked != 2 {
		t.Errorf("want the load that the engine tells, got %d after %d questions", got, asked)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory(time.Now)
	var first, last meeting.ID
	for i := range maxEnded + 10 {
		c := meeting.CallInfo{ID: meeting.ID{byte(i >> 8), byte(i), 1}, Space: meeting.ID{9}}
		h.note(meeting.Change{Kind: meeting.CallBegan, Call: &c})
		for n := range maxLines + 10 {
			after := c
			after.Name = fmt.Sprint(n)
			h.note(meeting.Change{Kind: meeting.CallChanged, CallBefore: &c, Call: &after})
		}
		h.note(meeting.Change{Kind: meeting.CallOver, CallBefore: &c, Call: &c})
		if i == 0 {
			first = c.ID
		}
		last = c.ID
	}
	if _, _, ok := h.of(first); ok || len(h.calls) != maxEnded {
		t.Errorf("want %d meetings without the first, got %d", maxEnded, len(h.calls))
	}
	_, lines, ok := h.of(last)
	if !ok || len(lines) != maxLines {
		t.Errorf("want %d lines, got %d", maxLines, len(lines))
	}
	if found, ok := h.last(meeting.ID{9}); !ok || found != last {
		t.Errorf("want the last meeting of the space, got %v", found)
	}
}

func TestLoadIsTheGreaterOneOfAdmissionAndWork(t *testing.T) {
	for _, c := range []struct {
		modules []control.Module
		want    int
	}{
		{nil, 0},
		{[]control.Module{{Workers: []control.WorkerStatus{{}}}}, 0},
		{[]control.Module{{Workers: []control.WorkerStatus{{Capacity: 100, Used: 10, Busy: 0.5}}}, {Workers: []control.WorkerStatus{{Capacity: 300, Used: 90, Busy: 0}}}}, 250},
		{[]control.Module{{Workers: []control.WorkerStatus{{Capacity: 100, Used: 50, Busy: 0.1}}}}, 500},
		{[]control.Module{{Workers: []control.WorkerStatus{{Capacity: 100, Used: 150}}}}, 1000},
	} {
		if got := loadOf(c.modules); got != c.want {
			t.Errorf("%+v: want %d, got %d", c.modules, c.want, got)
		}
	}
}
