package member

import "os"

// child does the work of a process that a test has started, and tells whether this is one.
func child() (is bool, err error) {
	if os.Getenv(killDirEnv) == "" {
		return false, nil
	}
	return true, beVictim()
}
