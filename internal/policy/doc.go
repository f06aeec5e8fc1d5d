// Package policy holds rules about the module's own source, as tests: which
// package may import which, how long a file may be, that exported symbols are
// documented, what libraries leave to the command line, and plain words.
//
// A failing test here is a question, not always a mistake. For example, if a
// new dependency is intended, change the table in the commit that adds it.
package policy
