package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

func newTrain() *cobra.Command {
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a language model on text, a classifier on images, or a translator",
		Long: `Train a model that has learned nothing yet: a language model of the kind of GPT-2 or
Llama on text, a
vision transformer on labelled images, or an encoder-decoder on sentences and their
translations. The defaults are the paper's method: reversible memory, gamma 0.5,
activations on a grid of 2^-9.

The run directory is a model folder as Hugging Face and timm have it: config.json,
model.safetensors and tokenizer files, with bdia.yaml, metrics.jsonl, loss.png and the
training state beside them, and the best weights so far in best/. Ctrl-C saves and
exits; bdia train resume RUN goes on with the bits of a run that was not interrupted.

Settings come from the task's defaults, then --config, then --preset, --from,
--optimizer and --dropout, then the other flags.

bdia train with flags and no command trains the task that --task, --preset or --config
names, or a text: bdia train --data input.txt is bdia train text --data input.txt.`,
		Example: `  bdia train text --data input.txt --layers 4 --heads 4 --width 128
  bdia train images --data cifar-10-binary.tar.gz --crop 4 --flip
  bdia train translation --source train.en.gz --target train.fr.gz
  bdia train resume runs/gpt-20260301-101500 --steps 5000`,
		DisableFlagParsing: true, // the flags are the command's
	}
	c.AddCommand(newTrainText(), newTrainImages(), newTrainTranslation(), newResume())
	c.SetFlagErrorFunc(otherFlag)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && strings.HasPrefix(args[0], "-") { // --help
			return cmd.Help()
		}
		return cli.KnownCommand(cmd, args)
	}
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		command, _ := commandFor(args)
		to, _, err := cmd.Root().Find(strings.Fields(command))
		if n := len(args); n > 0 && err == nil {
			if values, ok := to.GetFlagCompletionFunc(strings.TrimPrefix(args[n-1], "--")); ok {
				return values(to, nil, word)
			}
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return c
}

// fullArgs returns args with the command that flags behind train are for: "train --data x" becomes "train text --data
// x". Cobra cannot find it: in "train --flip --task image" it takes --task as the value of --flip, and image as a
// command.
func fullArgs(args []string) ([]string, error) {
	if len(args) == 0 || args[0] != "train" || len(args) > 1 && !strings.HasPrefix(args[1], "-") {
		return args, nil
	}
	flags := args[1:]
	if slices.Equal(flags, []string{"--help"}) || slices.Equal(flags, []string{"-h"}) {
		return args, nil
	}
	command, err := commandFor(flags)
	if err != nil {
		return args, err
	}
	return append(strings.Fields(command), flags...), nil
}

// commandFor names the command that flags without one are for: "train images", for example.
func commandFor(args []string) (string, error) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.ParseErrorsAllowlist.UnknownFlags = true
	f.Usage = func() {}
	for _, name := range []string{"task", "preset", "config", "resume"} {
		f.String(name, "", "")
	}
	f.BoolP("help", "h", false, "")
	if f.Parse(args) != nil {
		return "train text", nil // which says what is wrong
	}
	o := given(f)
	if o.has("resume") {
		return "train resume", nil
	}
	task, err := o.task()
	if err != nil {
		return "", err
	}
	_, command, _ := strings.Cut(viewOf(newTask(task)).words().command, " ")
	return command, nil
}

// task is the name of the task that flags say: --task, or the one of --preset, or of the file of --config, or text.
func (o overrides) task() (string, error) {
	if name, ok := o["task"]; ok {
		if task := taskNamed(name); task != "" {
			return task, nil
		}
		return "", cli.Usage(fmt.Errorf("unknown task %q; use %s", name, joinOr(taskNames())))
	}
	if name := o["preset"]; name != "" && !o.has("config") {
		task, _, err := presetTask(name)
		if task == "" {
			task = text.Name
		}
		return task, cli.Usage(err)
	}
	if file := o["config"]; file != "" {
		if t, err := train.ReadConfig(file, nil); err == nil {
			return t.Name(), nil
		}
	}
	return text.Name, nil
}

// otherFlag says which of c's neighbours have a flag that c lacks, if any.
func otherFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var have []string
		for _, other := range c.Parent().Commands() {
			if flag := other.Flags().Lookup(unknown.GetSpecifiedName()); flag != nil && !flag.Hidden {
				have = append(have, other.CommandPath())
			}
		}
		if len(have) > 0 {
			return cli.Usage(fmt.Errorf("--%s is a flag of %s; %s --help lists the flags", unknown.GetSpecifiedName(), joinOr(have), c.CommandPath()))
		}
	}
	return cli.FlagError(c, err)
}
