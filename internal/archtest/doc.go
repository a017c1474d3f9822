// Package archtest holds the house rules as tests: who may import whom, and what no file may do. It reads the source
// and runs nothing of it.
package archtest
