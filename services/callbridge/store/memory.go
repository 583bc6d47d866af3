package store

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// memory is what was found by the last queries. What was found in a chunk is true as long as the list has that chunk, so nothing in it
// ever becomes stale: chunks that a list has no longer are forgotten, and those that are new are searched.
type memory struct {
	mu      sync.Mutex
	answers []*answer // the last used one at the end
}

// mostAnswers bounds the memory: an answer that names all of 300,000 objects has 300 KB.
const mostAnswers = 32

// answer is what matches a query in each chunk.
type answer struct {
	key string

	mu   sync.Mutex
	hits hits
}

// hits are the positions of records, by chunk of a list. Without chunks they are every record.
type hits struct {
	list    *sorted
	inChunk [][]byte
}

func (h hits) at(i int, c *chunk) []byte {
	if h.list == nil {
		return positions(len(c.records))
	}
	return h.inChunk[i]
}

// matches returns what matches in a list.
func (m *memory) matches(k *kind, list *sorted, part string, equal conditions) hits {
	if part == "" && len(equal) == 0 {
		return hits{}
	}
	var key strings.Builder
	key.WriteString(strconv.Itoa(k.at))
	for _, c := range equal {
		key.WriteString("\x00" + strconv.Itoa(c.field) + "\x00" + c.value)
	}
	key.WriteString("\x00\x00" + part)
	a := m.answer(key.String())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hits.list != list {
		a.hits = a.hits.renew(k, list, part, equal)
	}
	return a.hits
}

// answer finds the answer of a query, or makes room for it.
func (m *memory) answer(key string) *answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.answers) - 1
	for i := last; i >= 0; i-- {
		if a := m.answers[i]; a.key == key {
			copy(m.answers[i:], m.answers[i+1:])
			m.answers[last] = a
			return a
		}
	}
	a := &answer{key: key}
	if len(m.answers) < mostAnswers {
		m.answers = append(m.answers, a)
	} else {
		copy(m.answers, m.answers[1:])
		m.answers[last] = a
	}
	return a
}

// renew searches the chunks that were not there before.
func (h hits) renew(k *kind, list *sorted, part string, equal conditions) hits {
	next := hits{list: list, inChunk: make([][]byte, len(list.chunks))}
	var known map[*chunk]int
	if h.list != nil {
		known = make(map[*chunk]int, len(h.list.chunks))
		for i, c := range h.list.chunks {
			known[c] = i
		}
	}
	var fresh []int
	for i, c := range list.chunks {
		if at, ok := known[c]; ok {
			next.inChunk[i] = h.inChunk[at]
		} else {
			fresh = append(fresh, i)
		}
	}
	what := list.needle(k, part)
	search := func(chunks []int) {
		for _, i := range chunks {
			next.inChunk[i] = list.chunks[i].matches(k, what, equal)
		}
	}
	workers := min(runtime.GOMAXPROCS(0), mostWorkers, len(fresh)/worthwhile)
	if workers < 2 {
		search(fresh)
		return next
	}
	var wait sync.WaitGroup
	for part := range slices.Chunk(fresh, (len(fresh)+workers-1)/workers) {
		wait.Go(func() { search(part) })
	}
	wait.Wait()
	return next
}

// A search of many chunks is shared out: a page is waited for.
const (
	mostWorkers = 4
	worthwhile  = 64
)

// matches returns the positions of the records that meet all conditions.
func (c *chunk) matches(k *kind, part needle, equal conditions) []byte {
	var found []byte
	f, narrowed := c.face(k), false
	narrow := func(next []byte) {
		if !narrowed {
			found, narrowed = next, true
			return
		}
		found = common(found, next)
	}
	for _, e := range equal {
		if narrowed && len(found) == 0 {
			return nil
		}
		if i := k.filterAt(e.field); i >= 0 {
			narrow(f.columns[i].equal(len(c.records), e.value))
			continue
		}
		var next []byte
		for at, r := range c.records {
			if r.at(e.field) == e.value {
				next = append(next, byte(at))
			}
		}
		narrow(next)
	}
	if part.part != "" && (!narrowed || len(found) > 0) {
		narrow(f.search(part))
	}
	return found
}

func (k *kind) filterAt(field int) int {
	for i, at := range k.filters {
		if at == field {
			return i
		}
	}
	return -1
}

// common is what two ascending lists share.
func common(a, b []byte) []byte {
	var both []byte
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			both = append(both, a[i])
			i++
			j++
		}
	}
	return both
}
