package replica

import (
	"context"
	"sync"
)

// queue is a list of jobs for a fixed number of workers. It never blocks who adds to it; the machine bounds it, because
// a path has at most one job.
type queue struct {
	mu   sync.Mutex
	cond *sync.Cond
	jobs []func(context.Context)
	done bool
}

func newQueue() *queue {
	q := &queue{}
	q.cond = sync.NewCond(&q.mu)
	return q
}

func (q *queue) add(job func(context.Context)) {
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	q.mu.Unlock()
	q.cond.Signal()
}

// run works with n goroutines until ctx ends; jobs not begun are dropped then.
func (q *queue) run(ctx context.Context, n int) {
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		q.done = true
		q.mu.Unlock()
		q.cond.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for job := q.next(); job != nil; job = q.next() {
				job(ctx)
			}
		})
	}
	wg.Wait()
}

func (q *queue) next() func(context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.done {
		q.cond.Wait()
	}
	if q.done {
		return nil
	}
	job := q.jobs[0]
	q.jobs[0] = nil
	q.jobs = q.jobs[1:]
	return job
}
