package leg

import "sync"

// queue does what was asked of one leg, one thing after the other, in a goroutine that lives only while there is something to do.
type queue struct {
	mu      sync.Mutex
	tasks   []func()
	running bool
}

// maxTasks is how many may wait before what the far end asks is refused; a leg waits for the media engine only, and only for seconds.
const maxTasks = 64

// add puts a task behind the others.
func (q *queue) add(do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(do)
}

// offer is add for what may be refused.
func (q *queue) offer(do func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tasks) >= maxTasks {
		return false
	}
	q.push(do)
	return true
}

func (q *queue) push(do func()) {
	q.tasks = append(q.tasks, do)
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		if len(q.tasks) == 0 {
			q.tasks, q.running = nil, false
			q.mu.Unlock()
			return
		}
		do := q.tasks[0]
		q.tasks[0] = nil
		q.tasks = q.tasks[1:]
		q.mu.Unlock()
		do()
	}
}
