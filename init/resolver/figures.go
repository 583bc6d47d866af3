package resolver

import (
	"context"
	"sync/atomic"

	"rotunda/init/metrics"
)

// counted is what the resolver has done.
type counted struct{ questions, cached, asked, failed, busy atomic.Uint64 }

// figures are declared in [metrics.Table].
func (r *Resolver) figures(_ context.Context, p *metrics.Page) {
	for name, n := range map[string]*atomic.Uint64{"questions": &r.counted.questions, "cached": &r.counted.cached, "asked": &r.counted.asked,
		"failed": &r.counted.failed, "busy": &r.counted.busy} {
		p.Set("rotunda_dns_"+name+"_total", float64(n.Load()))
	}
}
