package member

import (
	"syscall"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// What a member needs of open files: docs/operations.md says it too.
const (
	filesPerFolder = 24 // that a folder has open all the time: index, logs, watcher
	filesPerMember = 4  // sessions with another member, and their beginnings
	filesBeside    = 64 // sockets, journal, and what is read, sent and installed at the same time
	filesToWork    = 32 // of these, that must be free when a folder is opened
)

// filesNeeded is how many open files this member should be allowed for what it holds, visitors apart.
func (m *Member) filesNeeded() int {
	c := m.config()
	return filesBeside + filesPerMember*len(c.Members) + filesPerFolder*len(m.specs(c))
}

// roomForFiles refuses a folder that would leave too few open files for the work on all of them: it would stop in the middle
// of anything. The farm's own come first, and are refused nothing.
func roomForFiles(id farm.FolderID) error {
	open, limit, ok := vfs.OpenFiles()
	if !ok || id.Own() || open+filesPerFolder+filesToWork <= limit {
		return nil
	}
	return farm.Errorf("open folder", string(id), farm.Unavailable, "%w: %d of %d are open, and it takes %d and %d more to work with",
		syscall.EMFILE, open, limit, filesPerFolder, filesToWork)
}
