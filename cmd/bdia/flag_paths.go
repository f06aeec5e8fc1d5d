package main

import (
	"strings"

	"github.com/spf13/pflag"
)

// pathsValue is a flag that may be given several times: a path, and more that follow it. Its text has a line for each.
type pathsValue struct {
	first *string
	more  *[]string
	given bool // on the command line: the first value takes the place of the old ones
}

// pathsFlag defines such a flag.
func pathsFlag(f *pflag.FlagSet, first *string, more *[]string, name, usage string) {
	f.Var(&pathsValue{first: first, more: more}, name, usage)
}

// Set adds the paths of text.
func (v *pathsValue) Set(text string) error {
	for _, path := range strings.Split(text, "\n") {
		if v.given {
			*v.more = append(*v.more, path)
		} else {
			*v.first, *v.more, v.given = path, nil, true
		}
	}
	return nil
}

// String has a line for each path.
func (v *pathsValue) String() string {
	if v.first == nil { // pflag asks for the zero value
		return ""
	}
	return strings.Join(append([]string{*v.first}, *v.more...), "\n")
}

// Type names the value in a help.
func (v *pathsValue) Type() string { return "path" }
