package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Choices says which words the named flags of c take, for shells' completion and for suggestions. Flags that c does not
// have are left out.
func Choices(c *cobra.Command, words map[string][]string) {
	for name, values := range words {
		flag := c.Flags().Lookup(name)
		if flag == nil || flag.Annotations[choicesKey] != nil {
			continue
		}
		annotate(flag, choicesKey, values...)
		Complete(c, name, values...)
	}
}

// Complete offers values of a flag of c to shells. The flag may take others too.
func Complete(c *cobra.Command, name string, values ...string) {
	if c.Flags().Lookup(name) != nil {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// checkChoices refuses a mistyped word of a flag that takes a few. Other wrong words are left to the command, which
// knows more of what is possible.
func checkChoices(c *cobra.Command) (err error) {
	c.Flags().Visit(func(flag *pflag.Flag) {
		words, text := flag.Annotations[choicesKey], flag.Value.String()
		if err != nil || slices.Contains(words, text) {
			return
		}
		if hint := meant("", text, words); hint != "" {
			err = Usage(fmt.Errorf("--%s %q; %s%s --help lists the flags", flag.Name, text, hint, c.CommandPath()))
		}
	})
	return err
}

// FlagError returns err, of parsing the flags of c, as an error of usage with suggestions.
func FlagError(c *cobra.Command, err error) error {
	what := err.Error() + "; "
	var invalid *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		what = fmt.Sprintf("--%s %q: ", f.Name, invalid.GetValue())
		own, has := f.Value.(interface{ Kind() string })
		switch kind := kinds[f.Value.Type()]; {
		case has:
			what += "give " + own.Kind()
		case kind != "":
			what += "give " + kind
		default:
			what += strings.TrimPrefix(invalid.Unwrap().Error(), "bdia: ")
		}
		what += "; " + meant("", invalid.GetValue(), f.Annotations[choicesKey])
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		c.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
		name := unknown.GetSpecifiedName()
		what = fmt.Sprintf("unknown flag --%s; %s", name, meant("--", kin(name, names), names))
	}
	return Usage(fmt.Errorf("%s%s --help lists the flags", what, c.CommandPath()))
}

// kin returns the flag of names that other programs call so, or name.
func kin(name string, names []string) string {
	for _, own := range otherNames[strings.ReplaceAll(name, "_", "-")] {
		if slices.Contains(names, own) {
			return own
		}
	}
	return name
}

// otherNames are what flags are called in other programs.
var otherNames = map[string][]string{
	"layer": {"layers"}, "n-layer": {"layers"}, "n-head": {"heads"}, "n-embd": {"width"}, "embd": {"width"}, "temp": {"temperature"},
	"max-new-tokens": {"max-tokens"}, "max-length": {"max-tokens", "context", "window"}, "max-seq-length": {"window", "context"},
	"seq": {"context"}, "context": {"seq"}, "block-size": {"context"}, "learning-rate": {"lr"}, "batch-size": {"batch", "batch-tokens"},
	"num-train-epochs": {"epochs"}, "max-steps": {"steps"}, "warmup-steps": {"warmup"}, "output": {"out", "output"}, "output-dir": {"out"},
	"model": {"from"}, "train-data": {"data"}, "dataset": {"data"}, "lora-r": {"lora-rank"}, "grad-clip": {"clip"}, "optim": {"optimizer"},
	"gradient-accumulation-steps": {"micro-batch"}, "num-beams": {"beam"}, "reference": {"references"}, "hypothesis": {"hypotheses"},
}

// kinds names the types of flags for people.
var kinds = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number, not negative",
	"float64": "a number", "bool": "true or false",
}

// Arguments checks that a command gets as many arguments as what names, as in "one run directory".
func Arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > most && most == 0:
			return Usage(fmt.Errorf("%s takes no argument, not %q; see %s --help", c.CommandPath(), args[0], c.CommandPath()))
		case len(args) > most:
			return Usage(fmt.Errorf("%s: %q is one argument too many; it takes %s", c.CommandPath(), args[most], what))
		case len(args) < least:
			return Usage(fmt.Errorf("%s needs %s; see %s --help", c.CommandPath(), what, c.CommandPath()))
		}
		return nil
	}
}

// KnownCommand refuses arguments of a command that has only sub-commands.
func KnownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return Usage(fmt.Errorf("unknown command %q; %s%s --help lists them", args[0], meant("", args[0], names), c.CommandPath()))
}
