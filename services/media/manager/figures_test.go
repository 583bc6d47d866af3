package manager

import (
	"strings"
	"testing"

	"rotunda/init/metrics"
	"rotunda/services/media/control"
)

func TestFiguresOfWorkersAreWhatTheyReport(t *testing.T) {
	m := New(Options{Wanted: []int{1}})
	defer m.Close()
	m.mu.Lock()
	m.workers["0.1"] = &worker{ready: true, used: 40, status: control.WorkerStatus{Name: "0.1", Capacity: 100, Busy: 0.25, Legs: 3, TickLate: 1.5, Memory: 1000,
		Traffic: control.Traffic{Received: 11, Sent: 12, Lost: 13, Dropped: 14}}}
	m.mu.Unlock()
	p := metrics.NewPage("media")
	m.figures(t.Context(), p)
	var text strings.Builder
	if err := p.Write(&text); err != nil || len(p.Wrong()) > 0 {
		t.Fatalf("want what is declared alone, got %v, %q", err, p.Wrong())
	}
	for _, want := range []string{`capacity_units{worker="0.1"} 100`, `used_units{worker="0.1"} 40`, `busy_ratio{worker="0.1"} 0.25`, `legs{worker="0.1"} 3`,
		`tick_late_seconds{worker="0.1"} 0.0015`, `memory_bytes{worker="0.1"} 1000`,
		`packets_total{worker="0.1",direction="receive"} 11`, `packets_total{worker="0.1",direction="transmit"} 12`,
		`packets_lost_total{worker="0.1"} 13`, `packets_dropped_total{worker="0.1"} 14`} {
		if !strings.Contains(text.String(), "rotunda_media_worker_"+want) {
			t.Errorf("want %q in\n%s", want, &text)
		}
	}
	m.mu.Lock()
	delete(m.workers, "0.1")
	m.mu.Unlock()
}
