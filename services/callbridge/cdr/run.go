package cdr

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Run delivers to the receivers of the store, as they are configured at each moment, until the context ends; then to those that take
// it what is left, for up to [lastWords]. It is called once. Changes are heard no more afterwards.
func (r *Recorder) Run(ctx context.Context, s *store.Store) error {
	changed := make(chan struct{}, 1)
	cancel := s.Subscribe(func(_, _ *store.Record) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, schema.CDRReceiver)
	defer cancel()
	return r.run(ctx, func() (places []Place) {
		s.Each(schema.CDRReceiver, func(one *store.Record) bool {
			places = append(places, Place{one.ID(), one.Text("uri")})
			return true
		})
		return places
	}, changed)
}

// run follows what places says, anew after each change.
func (r *Recorder) run(ctx context.Context, places func() []Place, changed <-chan struct{}) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		for _, v := range r.follow(places()) {
			group.Go(func() { v.run(ctx) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.stop()
			return nil
		}
	}
}

// dialTLS connects with the configuration of this moment.
func (v *receiver) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	var config *tls.Config
	if v.r.o.TLS != nil {
		config = v.r.o.TLS()
	}
	if config == nil {
		// There is nothing to trust a receiver's certificate by (see the package comment).
		config = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	config = config.Clone()
	config.ServerName = v.target.Hostname()
	config.NextProtos = nil
	ctx, cancel := context.WithTimeout(ctx, v.r.pace.connect)
	defer cancel()
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
}
