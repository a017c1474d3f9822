package farm

// NameError is the cause of an error: a file system can't have an entry of a path's name, not at all or not beside
// another one.
type NameError struct {
	Twin Path  // the entry that has the name there already, in another spelling; the root: none that is known
	Err  error // what the system said of a name that it refuses; nil with a twin
}

func (e *NameError) Error() string {
	switch {
	case !e.Twin.IsRoot():
		return "this file system does not tell its name from " + e.Twin.Base() + ", which is there"
	case e.Err != nil:
		return "this file system can't have such a name: " + e.Err.Error()
	}
	return "this file system can't have such a name"
}

func (e *NameError) Unwrap() error { return e.Err }
