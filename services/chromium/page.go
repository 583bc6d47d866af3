package chromium

import (
	"encoding/json"
	"fmt"

	"golang.org/x/net/websocket"
)

// Await waits until an expression is true, while the tab may be on its way from one page to the next: there is no page to ask
// then, which [Eval] takes for a failure. Arguments are as in [Eval].
func (t *Tab) Await(what, format string, args ...any) {
	t.t.Helper()
	for i, a := range args {
		b, err := json.Marshal(a)
		if err != nil {
			t.t.Fatal(err)
		}
		args[i] = string(b)
	}
	expression := fmt.Sprintf(format, args...)
	Until(t.t, what, func() bool {
		var result struct {
			Result struct {
				Value any `json:"value"`
			} `json:"result"`
		}
		a, ok := t.ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
		return ok && a.Error == nil && json.Unmarshal(a.Result, &result) == nil && result.Result.Value == true
	})
}

// Follow does what leads to another page, and waits until that is there with everything that it loads.
func (t *Tab) Follow(format string, args ...any) {
	t.t.Helper()
	Eval[any](t, "void (window.left = true)")
	Eval[any](t, "void setTimeout(() => { "+format+" })", args...)
	t.Await("the next page", "!window.left && document.readyState == 'complete'")
}

// ask calls a method and leaves it to the caller what an error means.
func (t *Tab) ask(method string, params map[string]any) (answer, bool) {
	t.mu.Lock()
	t.last++
	id, ready := t.last, make(chan answer, 1)
	t.answers[id] = ready
	t.mu.Unlock()
	if err := websocket.JSON.Send(t.socket, map[string]any{"id": id, "method": method, "params": params}); err != nil {
		t.t.Fatal(err)
	}
	select {
	case a := <-ready:
		return a, true
	case <-t.t.Context().Done():
		return answer{}, false
	}
}
