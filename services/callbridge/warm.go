package callbridge

import (
	"context"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// warmPrompts fetches prompts and pictures of branding profiles before the first call that needs them: when the objects are there, and when a
// profile has changed.
func (c *calls) warmPrompts(ctx context.Context, s *store.Store) error {
	changed := make(chan struct{}, 1)
	cancel := s.Subscribe(func(_, _ *store.Record) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, schema.CallBrandingProfile, schema.IVRBrandingProfile)
	defer cancel()
	for {
		c.prompts.Warm(s)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
