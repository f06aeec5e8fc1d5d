// Package policy holds the rules that the module keeps about itself, as tests:
// which package may import which, how long a file may grow, that exported
// symbols are documented, and what libraries leave to the command line.
//
// A failing test here is a question, not always a mistake: change the table
// when the new dependency is meant, in the same commit that adds it.
package policy
