package commands

import (
	"fmt"
	"slices"
	"time"

	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// A service is up within a second or two, on a slow machine within five; who looks at it after its command has said SUCCESS, as runbooks and
// their scripts do, has to find it running.
const (
	upWithin  = 15 * time.Second
	lookEvery = 100 * time.Millisecond
)

// service is one of the machine's services, and false when it does not run at all.
func (d Deps) service(c *grammar.Call, name string) (control.Service, bool, error) {
	h, err := d.Machine.Health(c.Context)
	if err != nil {
		return control.Service{}, false, err
	}
	i := slices.IndexFunc(h.Services, func(s control.Service) bool { return s.Name == name })
	if i < 0 {
		return control.Service{}, false, nil
	}
	return h.Services[i], true, nil
}

// awaitService waits until a service that was just enabled or restarted runs, and fails with the reason when it ended instead.
func (d Deps) awaitService(c *grammar.Call, name string) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	limit := time.NewTimer(upWithin)
	defer limit.Stop()
	for {
		s, there, err := d.service(c, name)
		switch {
		case err != nil:
			return err
		case there && s.State == "backoff":
			return fmt.Errorf("FAILURE: %s is enabled, but ends again: %s", name, printable(s.LastExit))
		case !there || s.State != "starting":
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("FAILURE: %s is enabled, but has not started within %s; health shows how it goes on", name, upWithin)
		case <-c.Context.Done():
			return c.Context.Err()
		}
	}
}
