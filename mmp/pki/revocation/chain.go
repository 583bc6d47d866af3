package revocation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"
)

// Chain asks about all certificates of a chain but the last, all at once, and returns their findings in its order. One with https has to
// show a certificate that the chain's authorities have issued.
func Chain(ctx context.Context, chain []*x509.Certificate, now time.Time) []Finding {
	if len(chain) < 2 {
		return nil
	}
	roots := x509.NewCertPool()
	for _, c := range chain[1:] {
		roots.AddCert(c)
	}
	a := Asker{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	list := make([]Finding, len(chain)-1)
	var all sync.WaitGroup
	for i := range list {
		all.Go(func() { list[i] = a.Ask(ctx, chain[i], chain[i+1], now) })
	}
	all.Wait()
	return list
}
