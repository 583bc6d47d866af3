package manager

import (
	"context"

	"rotunda/init/metrics"
)

// figures are what workers report twice a second (metrics.Table).
func (m *Manager) figures(_ context.Context, p *metrics.Page) {
	m.mu.Lock()
	modules := m.modules()
	m.mu.Unlock()
	for _, module := range modules {
		for _, w := range module.Workers {
			p.Set("rotunda_media_worker_capacity_units", float64(w.Capacity), w.Name)
			p.Set("rotunda_media_worker_used_units", float64(w.Used), w.Name)
			p.Set("rotunda_media_worker_busy_ratio", w.Busy, w.Name)
			p.Set("rotunda_media_worker_legs", float64(w.Legs), w.Name)
			p.Set("rotunda_media_worker_tick_late_seconds", w.TickLate/1000, w.Name)
			p.Set("rotunda_media_worker_memory_bytes", float64(w.Memory), w.Name)
			p.Set("rotunda_media_worker_packets_total", float64(w.Traffic.Received), w.Name, "receive")
			p.Set("rotunda_media_worker_packets_total", float64(w.Traffic.Sent), w.Name, "transmit")
			p.Set("rotunda_media_worker_packets_lost_total", float64(w.Traffic.Lost), w.Name)
			p.Set("rotunda_media_worker_packets_dropped_total", float64(w.Traffic.Dropped), w.Name)
		}
	}
}
