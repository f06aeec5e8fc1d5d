package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// headingKey annotates flags with their heading in the help text.
const headingKey = "bdia_heading"

// group adds the flags that add defines, under a heading of the help text.
func group(c *cobra.Command, heading string, add func(*pflag.FlagSet)) {
	f := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	f.SortFlags = false
	add(f)
	f.VisitAll(func(flag *pflag.Flag) { flag.Annotations = map[string][]string{headingKey: {heading}} })
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(f)
}

// printUsage prints how a command is called: examples, commands, and flags under
// their headings.
func printUsage(c *cobra.Command) error {
	w := c.OutOrStderr()
	line := c.UseLine()
	if c.HasAvailableSubCommands() {
		line = c.CommandPath() + " COMMAND [flags]"
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", line)
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintln(w, "\nCommands:")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-*s  %s\n", c.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	var headings []string
	groups := map[string]*pflag.FlagSet{}
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		heading := "Flags"
		if h := flag.Annotations[headingKey]; h != nil {
			heading = h[0]
		}
		if groups[heading] == nil {
			headings = append(headings, heading)
			groups[heading] = pflag.NewFlagSet(heading, pflag.ContinueOnError)
			groups[heading].SortFlags = false
		}
		groups[heading].AddFlag(flag)
	})
	for _, h := range headings {
		fmt.Fprintf(w, "\n%s:\n%s", h, groups[h].FlagUsages())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s COMMAND --help\" tells more of a command.\n", c.CommandPath())
	}
	return nil
}

// flagError says what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	what := err.Error()
	if invalid := new(pflag.InvalidValueError); errors.As(err, &invalid) {
		f := invalid.GetFlag()
		what = fmt.Sprintf("--%s %q: ", f.Name, invalid.GetValue())
		if kind := kinds[f.Value.Type()]; kind != "" {
			what += "give " + kind
		} else {
			what += strings.TrimPrefix(invalid.Unwrap().Error(), "bdia: ")
		}
	}
	return usage(fmt.Errorf("%s; %s --help lists the flags", what, c.CommandPath()))
}

// kinds names the types of flags for people.
var kinds = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number, not negative",
	"float64": "a number", "bool": "true or false",
}

// arguments checks that a command gets as many arguments as what names.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > most && most == 0:
			return usage(fmt.Errorf("%s takes no argument, not %q; see %s --help", c.CommandPath(), args[0], c.CommandPath()))
		case len(args) > most:
			return usage(fmt.Errorf("%s: %q is one argument too many; it takes %s", c.CommandPath(), args[most], what))
		case len(args) < least:
			return usage(fmt.Errorf("%s needs %s; see %s --help", c.CommandPath(), what, c.CommandPath()))
		}
		return nil
	}
}

// knownCommand refuses arguments of a command that has only sub-commands.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? ", near[0])
	}
	return usage(fmt.Errorf("unknown command %q; %s%s --help lists them", args[0], hint, c.CommandPath()))
}
