package line

// maxHistory bounds the lines that a session remembers.
const maxHistory = 200

// history is the lines of one session, the oldest first. It lives in memory only.
type history struct {
	lines []string
	// at is the line shown; len(lines) is the one being typed, which draft keeps meanwhile.
	at    int
	draft string
}

// add appends a line that is neither empty nor the same as the last.
func (h *history) add(s string) {
	if n := len(h.lines); s != "" && (n == 0 || h.lines[n-1] != s) {
		h.lines = append(h.lines, s)
		if len(h.lines) > maxHistory {
			h.lines = h.lines[1:]
		}
	}
	h.rewind()
}

// rewind goes to the line being typed.
func (h *history) rewind() { h.at, h.draft = len(h.lines), "" }

// move goes up (-1) or down (1) from the line now shown. ok is false at either end.
func (h *history) move(by int, now string) (s string, ok bool) {
	to := h.at + by
	if to < 0 || to > len(h.lines) {
		return "", false
	}
	if h.at == len(h.lines) {
		h.draft = now
	}
	h.at = to
	if to == len(h.lines) {
		return h.draft, true
	}
	return h.lines[to], true
}
