package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Annotations of flags.
const (
	headingKey = "bdia_heading" // in the help text
	choicesKey = "bdia_choices" // the words that the flag takes
	rareKey    = "bdia_rare"    // left out of the short help
)

// Setup makes root and its commands print help, and errors of flags and commands, in this package's way.
func Setup(root *cobra.Command) {
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		w := c.OutOrStdout()
		Help(w, c, Columns(w))
	})
	root.SetFlagErrorFunc(FlagError)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.Args = KnownCommand
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return checkChoices(c) }
}

// CheckBuiltins makes cobra's own commands, help and completion, refuse what they do not know. It comes after
// root.SetOut, which the completion commands look at when they are made.
func CheckBuiltins(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				found, rest, _ := root.Find(args)
				return KnownCommand(found, rest)
			}
		case "completion":
			c.Args = KnownCommand
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// Group adds the flags that add defines, under a heading of the help text.
func Group(c *cobra.Command, heading string, add func(*pflag.FlagSet)) {
	addGroup(c, heading, add, func(flag *pflag.Flag) { annotate(flag, headingKey, heading) })
}

// Rare is Group for flags that few need: they are in the help of --help-all only.
func Rare(c *cobra.Command, heading string, add func(*pflag.FlagSet)) {
	addGroup(c, heading, add, func(flag *pflag.Flag) {
		annotate(flag, headingKey, heading)
		annotate(flag, rareKey, "")
	})
	if c.Flags().Lookup("help-all") == nil {
		flag := c.Flags().VarPF(&helpAll{c: c}, "help-all", "", "help with all flags")
		flag.NoOptDefVal = "true"
		annotate(flag, headingKey, "")
	}
}

// helpAll is the flag that asks for the whole help.
type helpAll struct {
	c   *cobra.Command
	all bool
}

func (h *helpAll) Type() string   { return "bool" }
func (h *helpAll) String() string { return fmt.Sprint(h.all) }

// Set asks for help too.
func (h *helpAll) Set(text string) error {
	h.all = text == "true"
	return h.c.Flags().Set("help", text)
}

// letters are short names of flags, the same in all commands.
var letters = map[string]string{"out": "o", "output": "o", "prompt": "p", quiet: "q"}

// addGroup adds flags in the order in which add defines them, each marked.
func addGroup(c *cobra.Command, heading string, add func(*pflag.FlagSet), mark func(*pflag.Flag)) {
	f := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	f.SortFlags = false
	add(f)
	f.VisitAll(func(flag *pflag.Flag) {
		mark(flag)
		if letter := letters[flag.Name]; letter != "" && c.Flags().ShorthandLookup(letter) == nil {
			flag.Shorthand = letter
		}
	})
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(f)
}

func annotate(flag *pflag.Flag, key string, values ...string) {
	if flag.Annotations == nil {
		flag.Annotations = map[string][]string{}
	}
	flag.Annotations[key] = values
}

// heading returns the flag's heading.
func heading(flag *pflag.Flag) string {
	if h := flag.Annotations[headingKey]; h != nil && h[0] != "" {
		return h[0]
	}
	return "Flags"
}

// Help prints what c does and how it is called, in lines of at most columns.
func Help(w io.Writer, c *cobra.Command, columns int) {
	long := c.Long
	if long == "" {
		long = c.Short
	}
	fmt.Fprintf(w, "%s\n\n", Wrap(long, columns))
	printUsage(w, c, columns)
}

// printUsage prints how a command is called: examples, commands, and flags under their headings.
func printUsage(w io.Writer, c *cobra.Command, columns int) {
	fmt.Fprintln(w, "Usage:")
	for _, line := range calls(c) {
		fmt.Fprintln(w, strings.Join(fill(strings.Fields(line), "  ", "      ", columns), "\n"))
	}
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", WrapCommands(c.Example, columns))
	}
	printCommands(w, c, columns)
	printFlags(w, c, columns)
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s COMMAND --help\" tells more of a command.\n", c.CommandPath())
	}
}

// calls returns the ways to call c: itself, if it does something, and its commands.
func calls(c *cobra.Command) (lines []string) {
	grouped := false // a command that only has commands has no flags of its own
	c.Flags().VisitAll(func(flag *pflag.Flag) { grouped = grouped || flag.Annotations[headingKey] != nil })
	if !c.HasAvailableSubCommands() || grouped {
		lines = append(lines, c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		lines = append(lines, c.CommandPath()+" COMMAND [flags]")
	}
	return lines
}

// printCommands lists the commands of c, if it has some.
func printCommands(w io.Writer, c *cobra.Command, columns int) {
	if !c.HasAvailableSubCommands() {
		return
	}
	fmt.Fprintln(w, "\nCommands:")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			name := fmt.Sprintf("  %-*s  ", c.NamePadding(), sub.Name())
			margin := strings.Repeat(" ", len(name))
			text := strings.Join(fill(strings.Fields(sub.Short), margin, margin, columns), "\n")
			fmt.Fprintln(w, name+text[len(margin):])
		}
	}
}

// helps reports a flag that asks for help.
func helps(flag *pflag.Flag) bool { return flag.Name == "help" || flag.Name == "help-all" }

// printFlags lists the flags of c under their headings.
func printFlags(w io.Writer, c *cobra.Command, columns int) {
	var headings, left []string
	groups := map[string]*pflag.FlagSet{}
	all := false
	if flag := c.Flags().Lookup("help-all"); flag != nil {
		all = flag.Value.String() == "true"
	}
	place := func(h string, flag *pflag.Flag) {
		if groups[h] == nil {
			headings = append(headings, h)
			groups[h] = pflag.NewFlagSet(h, pflag.ContinueOnError)
			groups[h].SortFlags = false
		}
		groups[h].AddFlag(flag)
	}
	last := heading(&pflag.Flag{})
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		h := heading(flag)
		_, rare := flag.Annotations[rareKey]
		switch {
		case helps(flag) || flag.Hidden:
		case !rare || all:
			place(h, flag)
			last = h
		case !slices.Contains(left, h):
			left = append(left, h)
		}
	})
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) { // help comes last, under no heading of its own
		if helps(flag) {
			place(last, flag)
		}
	})
	for _, h := range headings {
		fmt.Fprintf(w, "\n%s:\n%s", strings.ToUpper(h[:1])+h[1:], groups[h].FlagUsagesWrapped(columns))
	}
	if len(left) > 0 {
		fmt.Fprintf(w, "\n%s\n", Wrap("More flags, shown by --help-all: "+strings.Join(left, "; ")+".", columns))
	}
}
