package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// maxOutput is how much of a command's output is kept: its end.
const maxOutput = 4 << 10

// killTime is how long a command that was killed may hold on to its output.
const killTime = time.Second

// execute runs a command in the system's shell. When its time is over, it is killed with all that it has started.
func execute(ctx context.Context, command string, limit time.Duration, dir string, env []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := shell(ctx, command)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), killTime
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it took longer than %s", limit)
	}
	return string(out), err
}

// tail keeps the end of what is written.
type tail []byte

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if over := len(*t) - maxOutput; over > 0 {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return len(b), nil
}
