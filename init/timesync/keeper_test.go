package timesync

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// world is a clock that goes wrong, kept by the kernel's loop (as kernel/time/ntp.c has it), and the true time beside it.
type world struct {
	truth   time.Time
	behind  float64 // seconds that the clock is behind
	drift   float64 // what it goes wrong by itself, seconds a second
	phase   float64 // what is still to be made up for
	learnt  float64 // frequency that the loop has learnt
	tc      int64
	last    time.Time
	steps   int
	refuses bool
}

func (w *world) Now() time.Time { return w.truth.Add(-seconds(w.behind)) }

// Running is told by the truth: what drifts away from it between two looks is no jump.
func (w *world) Running() time.Duration { return w.truth.Sub(epoch()) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (w *world) Step(by time.Duration) error {
	if w.refuses {
		return errors.New("not permitted")
	}
	w.behind -= by.Seconds()
	w.steps++
	return nil
}

func (w *world) Steer(behind, _, every time.Duration) error {
	w.phase = math.Max(math.Min(behind.Seconds(), 0.5), -0.5)
	w.tc = constant(every)
	if !w.last.IsZero() {
		passed := math.Min(w.truth.Sub(w.last).Seconds(), 1024)
		w.learnt += w.phase * passed / math.Exp2(float64(2*(2+2+w.tc)))
		w.learnt = math.Max(math.Min(w.learnt, 500e-6), -500e-6)
	}
	w.last = w.truth
	return nil
}

// second lets one pass.
func (w *world) second() {
	w.truth = w.truth.Add(time.Second)
	part := w.phase / math.Exp2(float64(2+w.tc))
	w.phase -= part
	w.behind += w.drift - w.learnt - part
}

// server answers with an offset of its own and a way that takes its time.
type server struct {
	wrong   time.Duration
	silent  bool
	extra   time.Duration // on the way back, once in a while
	stratum uint8
}

// keep keeps the clock for a time and returns the largest error after settled.
func keep(t *testing.T, w *world, servers map[string]*server, names []string, length, settled time.Duration, each func(at time.Duration)) (worst time.Duration, k *Keeper, said *strings.Builder) {
	t.Helper()
	said = &strings.Builder{}
	k = NewKeeper(w, func(line string) { fmt.Fprintln(said, line) })
	k.SetServers(names)
	random := rand.New(rand.NewPCG(1, 2))
	start := w.truth
	again := w.Now()
	for w.truth.Sub(start) < length {
		at := w.truth.Sub(start)
		if each != nil {
			each(at)
		}
		if looked := w.truth.Sub(start) % lookEvery; !w.Now().Before(again) || looked == 0 {
			var due []string
			due, again = k.Due()
			for _, name := range due {
				s := servers[name]
				if s.silent {
					k.Heard(name, Sample{}, errors.New("no answer"))
					continue
				}
				there := time.Millisecond + time.Duration(random.ExpFloat64()*float64(2*time.Millisecond))
				back := time.Millisecond + time.Duration(random.ExpFloat64()*float64(2*time.Millisecond))
				if random.IntN(10) == 0 {
					back += s.extra
				}
				// As (T2−T1 + T3−T4)/2 comes out.
				k.Heard(name, Sample{Offset: seconds(w.behind) + s.wrong + (there-back)/2, Delay: there + back, RootDelay: 10 * time.Millisecond,
					RootDispersion: 5 * time.Millisecond, Stratum: max(s.stratum, 2), At: w.Now()}, nil)
			}
			if _, next := k.Due(); next.Before(again) {
				again = next
			}
		}
		w.second()
		if w.truth.Sub(start) > settled {
			worst = max(worst, seconds(w.behind).Abs())
		}
	}
	return worst, k, said
}

func epoch() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }

func TestTheClockIsSetOnceAndThenSteered(t *testing.T) {
	for drift, most := range map[float64]time.Duration{0: 5 * time.Millisecond, 30e-6: 5 * time.Millisecond, -100e-6: 5 * time.Millisecond, 200e-6: 8 * time.Millisecond} {
		for _, behind := range []float64{0.003, 40, -86400 * 365} {
			w := &world{truth: epoch(), behind: behind, drift: drift}
			worst, k, _ := keep(t, w, map[string]*server{"ntp1": {extra: 80 * time.Millisecond}}, []string{"ntp1"}, 2*time.Hour, time.Minute, nil)
			if worst > most || w.steps != 1 {
				t.Errorf("behind by %g s with a drift of %g: want %v at most after a minute and one step, got %v and %d", behind, drift, most, worst, w.steps)
			}
			if k.poll < 128*time.Second {
				t.Errorf("drift %g: after two calm hours the server is still asked every %v", drift, k.poll)
			}
		}
	}
}

func TestAServerThatLiesIsOutvoted(t *testing.T) {
	w := &world{truth: epoch(), behind: 3}
	servers := map[string]*server{"a": {}, "b": {}, "liar": {wrong: time.Hour, stratum: 1}}
	worst, k, _ := keep(t, w, servers, []string{"liar", "a", "b"}, time.Hour, time.Minute, nil)
	if worst > 5*time.Millisecond {
		t.Errorf("want 5 ms at most, got %v", worst)
	}
	for _, n := range k.chosen {
		if k.sources[n].name == "liar" {
			t.Error("the liar is among the chosen")
		}
	}
	states := map[string]string{}
	for _, s := range k.Status().Servers {
		states[s.Name] = s.State
	}
	if states["liar"] != "rejected" || states["a"] != "used" && states["b"] != "used" {
		t.Errorf("got the states %v", states)
	}
}

func TestServersThatContradictEachOtherChangeNothing(t *testing.T) {
	w := &world{truth: epoch(), behind: 3}
	_, _, said := keep(t, w, map[string]*server{"a": {}, "b": {wrong: time.Hour}}, []string{"a", "b"}, 10*time.Minute, 0, nil)
	if w.steps != 0 || !strings.Contains(said.String(), "contradict each other") {
		t.Errorf("want no step and a line that says why, got %d and %q", w.steps, said)
	}
}

func TestASpikeIsPassedOverAndAChangeThatStaysIsFollowedWithoutAJump(t *testing.T) {
	w := &world{truth: epoch(), behind: 1}
	s := &server{}
	previous := time.Time{}
	spike := false
	worst, _, said := keep(t, w, map[string]*server{"a": s}, []string{"a"}, time.Hour, time.Minute, func(at time.Duration) {
		if now := w.Now(); w.steps > 0 && !previous.IsZero() && at > 30*time.Second {
			if went := now.Sub(previous); went < 900*time.Millisecond || went > 1100*time.Millisecond {
				t.Fatalf("at %v the clock went %v in a second", at, went)
			}
		}
		previous = w.Now()
		// One answer is wrong by ten seconds.
		if spike = at > 20*time.Minute && at < 20*time.Minute+17*time.Second; spike {
			s.wrong = 10 * time.Second
		} else {
			s.wrong = 0
		}
	})
	if worst > 10*time.Millisecond {
		t.Errorf("a spike moved the clock by %v; it said %q", worst, said)
	}
	// The server is another one now, two seconds away: the clock follows, and does not jump.
	s.wrong = 0
	steps := w.steps
	previous = time.Time{}
	_, _, said = keep(t, w, map[string]*server{"a": s}, []string{"a"}, 2*time.Hour, 0, func(at time.Duration) {
		if at > 5*time.Minute {
			s.wrong = 2 * time.Second
		}
		if now := w.Now(); !previous.IsZero() && at > time.Minute {
			if went := now.Sub(previous); went < 900*time.Millisecond || went > 1100*time.Millisecond {
				t.Fatalf("at %v the clock went %v in a second", at, went)
			}
		}
		previous = w.Now()
	})
	if error := (seconds(w.behind) + s.wrong).Abs(); w.steps != steps+1 || error > 20*time.Millisecond {
		t.Errorf("want it to follow without a step, got %d steps and an error of %v; it said %q", w.steps-steps-1, error, said)
	}
}

func TestAnAbsurdOffsetIsNotFollowed(t *testing.T) {
	w := &world{truth: epoch()}
	s := &server{}
	_, k, said := keep(t, w, map[string]*server{"a": s}, []string{"a"}, time.Hour, 0, func(at time.Duration) {
		if at > 10*time.Minute {
			s.wrong = 24 * time.Hour
		}
	})
	if w.steps != 1 || seconds(w.behind).Abs() > 100*time.Millisecond || !strings.Contains(said.String(), "which is not followed") || k.Status().Problem == "" {
		t.Errorf("want it left alone and said, got %d steps, %g s, %q", w.steps, w.behind, said)
	}
}

func TestSilentServersAreAskedSeldomAndShowIt(t *testing.T) {
	w := &world{truth: epoch(), behind: 5}
	servers := map[string]*server{"dead": {silent: true}, "good": {}}
	worst, k, _ := keep(t, w, servers, []string{"dead", "good"}, 10*time.Minute, time.Minute, nil)
	if worst > 5*time.Millisecond {
		t.Errorf("want the other one to keep the clock, got %v", worst)
	}
	for _, s := range k.Status().Servers {
		switch {
		case s.Name == "dead" && (s.Reach != 0 || s.State != "unreachable" || s.Problem != "no answer"):
			t.Errorf("got %+v", s)
		case s.Name == "good" && (s.Reach != 0o377 || s.State != "used"):
			t.Errorf("got %+v", s)
		}
	}
	k.SetServers([]string{"good"})
	if got := k.Status().Servers; len(got) != 1 || got[0].Reach != 0o377 {
		t.Errorf("want what is known of the one that stays, got %+v", got)
	}
}

func TestAClockThatCannotBeSetIsSaid(t *testing.T) {
	w := &world{truth: epoch(), behind: 5, refuses: true}
	_, k, said := keep(t, w, map[string]*server{"a": {}}, []string{"a"}, 3*time.Minute, 0, nil)
	if !strings.Contains(said.String(), "the clock cannot be set: not permitted") || k.Status().Synchronized {
		t.Errorf("got %q and %+v", said, k.Status())
	}
}

func TestAClockThatSomebodySetsIsSetAnew(t *testing.T) {
	for _, by := range []float64{4 * 3600, -4 * 3600, 90} {
		w := &world{truth: epoch(), behind: 3}
		worst, k, said := keep(t, w, map[string]*server{"a": {}, "b": {}}, []string{"a", "b"}, 20*time.Minute, 10*time.Minute+30*time.Second, func(at time.Duration) {
			if at == 10*time.Minute {
				w.behind -= by // date set
			}
		})
		if worst > 20*time.Millisecond || w.steps != 2 || !k.Status().Synchronized {
			t.Errorf("set by %v s: half a minute later it is wrong by up to %v, and was stepped %d times", by, worst, w.steps)
		}
		if want := fmt.Sprintf("somebody has set the clock by %v: the NTP servers set it anew", seconds(by)); !strings.Contains(said.String(), want) {
			t.Errorf("want %q, got\n%s", want, said)
		}
	}
}

func TestAClockThatSomebodyHasSetDoesNotCountAsKept(t *testing.T) {
	w := &world{truth: epoch()}
	_, k, _ := keep(t, w, map[string]*server{"a": {}}, []string{"a"}, time.Minute, time.Minute, nil)
	if !k.Status().Synchronized {
		t.Fatal("the clock is not kept")
	}
	w.behind -= 3600
	if due, _ := k.Due(); len(due) != 1 || k.Status().Synchronized || k.Status().Servers[0].State != "waiting" {
		t.Errorf("want the server asked at once and the clock not kept, got %q, %+v", due, k.Status())
	}
}
