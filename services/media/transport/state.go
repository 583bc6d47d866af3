package transport

// phase is how far the parts of a transport are that take their time.
type phase struct {
	ice  progress
	dtls progress
}

// progress of one part.
type progress uint8

const (
	notUsed progress = iota // or needs nothing
	running
	done
	failed
	ended // by the other side
)

// stateOf is the state of a transport: of its parts, of whether it has keys if it wants any, and of whether it knows where
// to send.
func stateOf(p phase, keyed, remote bool) string {
	switch {
	case p.ice == failed || p.dtls == failed:
		return "failed"
	case p.ice == ended || p.dtls == ended:
		return "closed"
	case p.ice == running || p.dtls == running || !keyed || !remote:
		return "checking"
	}
	return "connected"
}

// evaluate computes the state anew and tells the handler of a change.
func (e *Endpoint) evaluate() {
	e.mu.Lock()
	defer e.mu.Unlock()
	cipher, keyed, remote := e.ready()
	state := stateOf(e.phase, keyed, remote)
	if state == e.state && cipher == e.cipher || e.closed.Load() {
		return
	}
	e.state, e.cipher = state, cipher
	text := ""
	if state == "failed" || state == "closed" {
		text = e.text
	}
	// Posted under the lock, so that the handler hears of changes in their order.
	e.loop.post(func() {
		if !e.closed.Load() {
			e.handler.State(state, cipher, text)
		}
	})
}

// advance changes how far a part is, with what went wrong if it failed.
func (e *Endpoint) advance(change func(*phase), text string) {
	e.mu.Lock()
	change(&e.phase)
	if text != "" {
		e.text = text
	}
	e.mu.Unlock()
	e.evaluate()
}
