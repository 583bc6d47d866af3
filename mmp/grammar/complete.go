package grammar

import (
	"slices"
	"strings"
)

// Complete completes the word at the end of the line as far as it is certain. text is the line to show instead, with
// a blank at its end if the word is whole; candidates are what the word may become if that is more than one thing.
// Where nothing can be said, text is the line as it was.
func (t *Tree) Complete(caller *Caller, line string) (text string, candidates []string) {
	s, err := split(line)
	if err != nil {
		return line, nil
	}
	words, partial := s.words, ""
	if s.open {
		words, partial = s.words[:len(s.words)-1], s.words[len(s.words)-1]
	}
	for _, st := range t.follow(caller.Role, words) {
		if st.pos == len(st.form.steps) {
			continue
		}
		for _, a := range st.form.steps[st.pos].alts {
			list := []string{a.literal}
			if a.isArg() {
				list = nil
				if a.kind.Complete != nil {
					list = a.kind.Complete(caller)
				}
			}
			for _, w := range list {
				if a.begins(partial, w) && !slices.Contains(candidates, w) {
					candidates = append(candidates, w)
				}
			}
		}
	}
	if len(candidates) == 0 {
		return line, nil
	}
	slices.Sort(candidates)
	common := candidates[0]
	for _, c := range candidates[1:] {
		common = commonPrefix(common, c)
	}
	if len(candidates) == 1 {
		return line[:s.start] + quote(common) + " ", nil
	}
	if strings.EqualFold(common, partial) {
		return line, candidates
	}
	if q := quote(common); q != common {
		// A word that goes on must leave its quotes open.
		return line[:s.start] + strings.TrimSuffix(q, `"`), candidates
	}
	return line[:s.start] + common, candidates
}

// commonPrefix returns the longest text of whole characters that both begin with.
func commonPrefix(a, b string) string {
	for i, r := range a {
		if !strings.HasPrefix(b[min(i, len(b)):], string(r)) {
			return a[:i]
		}
	}
	return a
}
