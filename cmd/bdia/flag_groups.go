package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// group is some flags of a command under a heading of its help.
type group struct {
	heading string
	rare    bool // shown by --help-all only
	add     func(*pflag.FlagSet)
}

// addGroups gives c the flags of groups. Flags that c has already stay.
func addGroups(c *cobra.Command, groups []group) {
	for _, g := range groups {
		if g.rare {
			cli.Rare(c, g.heading, g.add)
		} else {
			cli.Group(c, g.heading, g.add)
		}
	}
}

// flagSet binds the flags of groups, the first of each name.
func flagSet(groups []group) *pflag.FlagSet {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, g := range groups {
		one := pflag.NewFlagSet("", pflag.ContinueOnError)
		g.add(one)
		all.AddFlagSet(one)
	}
	return all
}
