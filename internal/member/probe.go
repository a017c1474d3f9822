package member

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// probeTime is how long a probe waits for one file to arrive.
const probeTime = 10 * time.Second

// probePrefix begins the names of probe files, in the folder's root.
const probePrefix = "tandem-probe-"

// Probe implements control.Prober. What it measures ends when this member hears that the file is visible there, so it
// is the way there and the way of the answer.
func (m *Member) Probe(ctx context.Context, id farm.FolderID, req control.ProbeRequest, sample func(control.ProbeSample)) error {
	f := m.folders.get(id)
	if f == nil {
		return noFolder("probe", id)
	}
	var targets []farm.MemberID
	for _, h := range m.holders(id) {
		if h != m.self {
			targets = append(targets, h)
		}
	}
	if len(targets) == 0 {
		return farm.Errorf("probe", string(id), farm.Unsupported, "no other member holds the folder")
	}
	content := make([]byte, req.SizeBytes)
	for round := range req.Count {
		if _, err := rand.Read(content); err != nil {
			return err
		}
		if err := m.probeOnce(ctx, f, round, content, targets, sample); err != nil {
			return err
		}
	}
	return nil
}

func (m *Member) probeOnce(ctx context.Context, f *folder, round int, content []byte, targets []farm.MemberID, sample func(control.ProbeSample)) error {
	name := filepath.Join(f.spec.root, fmt.Sprintf("%s%s-%d", probePrefix, m.self, round))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return &farm.Error{Op: "probe", Path: name, Kind: kindOf(err), Err: err}
	}
	defer os.Remove(name)
	closed := time.Now()
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	pos, err := f.runner.Barrier(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, to := range targets {
		wg.Go(func() {
			err := m.links.await(ctx, func() bool {
				return m.links.at[to] != nil && m.links.at[to].state.Folders[f.spec.id].Applied.Covers(pos)
			})
			took := time.Since(closed)
			mu.Lock()
			defer mu.Unlock()
			sample(control.ProbeSample{Round: round, Member: to, Took: took, Err: err})
		})
	}
	wg.Wait()
	return nil
}
