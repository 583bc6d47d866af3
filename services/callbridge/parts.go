package callbridge

import (
	"errors"
	"sync"
)

// parts run beside each other; the first error is that of all.
type parts struct {
	group sync.WaitGroup
	mu    sync.Mutex
	errs  []error
}

func (p *parts) run(f func() error) {
	p.group.Go(func() {
		if err := f(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.errs = append(p.errs, err)
		}
	})
}

func (p *parts) wait() error {
	p.group.Wait()
	return errors.Join(p.errs...)
}
