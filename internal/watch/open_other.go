//go:build !linux

package watch

// systemOpeners is empty: there is only polling.
func systemOpeners() []opener { return nil }
