package reload

import "os"

// syncDir does nothing: Windows can't sync a directory, and NTFS logs its changes.
func syncDir(string) error { return nil }

// giveTo does nothing: a new file has the directory's access list.
func giveTo(os.FileInfo, string) {}
