package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

func newFinetune() *cobra.Command {
	var o runOptions
	var run string
	c := &cobra.Command{
		Use:   "finetune",
		Short: "Go on training a language model on text, or on prompts and their completions",
		Long: `Go on training a language model (a folder of Hugging Face's, a run, or its best/) on text, or
on prompts and completions: a .csv, .tsv or .parquet table, a .jsonl or .json file of {"prompt": ..,
"completion": ..} or {"messages": [{"role": .., "content": ..}]}, or files of lines.
--grid auto takes the finest grid that holds the model's states, with room to grow.`,
		Example: `  bdia finetune --from gpt2 --data e2e/trainset.csv --val e2e/devset.csv
  bdia finetune --from gpt2 --data chats.jsonl --lora-rank 8 --lr 2e-4
  bdia finetune --from gpt2-medium --data book.txt --batch 4 --window 512`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return cli.Usage(fmt.Errorf("bdia finetune takes no argument, not %q; --from names the model to start from, and bdia train resume goes on with a run", args[0]))
		},
	}
	both, onText := tune.Default(), text.DefaultTuned()
	addGroups(c, completionGroups(&both))
	addGroups(c, tunedTextGroups(&onText))
	o.addFlags(c, "runs/tuned-DATE-TIME")
	c.Flags().StringVar(&run, "resume", "", "run `folder` to continue")
	c.Flags().Lookup("resume").Hidden = true
	cli.Choices(c, map[string][]string{"format": {textKind, "csv", "tsv", "jsonl", "json"}})
	cli.Complete(c, "grid", autoWord, "9", "none")
	cli.Complete(c, "lora-targets", "qkv", "qkv,proj", "all")
	completions(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if run != "" {
			return o.resume(cmd, run)
		}
		g := given(cmd.Flags())
		t, err := g.tuned()
		if err == nil {
			t, err = g.settle(t)
		}
		if err != nil {
			return err
		}
		if viewOf(t).words().command != cmd.CommandPath() { // by its file
			return otherTask(cmd, t)
		}
		g.tellGamma(cmd, t)
		return o.train(cmd, t)
	}
	return c
}

// tuned returns the task that o is for, a text's or the one of pairs, with its defaults.
func (o overrides) tuned() (train.Task, error) {
	data, kind, file := o["data"], o["format"], o.has("config")
	switch {
	case !file && o["from"] == "":
		return nil, cli.Usage(errors.New("no model to start from; name its folder with --from"))
	case !file && data == "" && o["prompts"] == "":
		return nil, cli.Usage(errors.New("nothing to learn; name a text or pairs with --data, or --prompts and --completions"))
	case o.has("data") && (o.has("prompts") || o.has("completions")):
		return nil, cli.Usage(errors.New("--data is all that is learned, and --prompts and --completions are two halves of it; give --data, or those two"))
	case o.has("prompts") && !o.has("completions") && !file && kind == "" && oneSide(o["prompts"]):
		return nil, cli.Usage(fmt.Errorf("--prompts %s is one half of the pairs; name the other with --completions, or a file of both with --data", o["prompts"]))
	case kind != "" && kind != textKind && !slices.Contains(pairs.Formats(), pairs.Format(kind)):
		return nil, cli.Usage(fmt.Errorf("--format %s; use text, csv, tsv, jsonl or json", kind))
	}
	ofPairs := kind != "" && kind != textKind || data == "" || o.has("prompts")
	paths := strings.Split(data, "\n")
	for i := 0; i < len(paths) && !ofPairs && kind == ""; i++ {
		what, err := kindOf(paths[i])
		if err != nil {
			return nil, err
		}
		ofPairs = what == pairs.KindPairs
	}
	if ofPairs && len(paths) > 1 {
		return nil, cli.Usage(fmt.Errorf("--data is given %d times, which is for text; join files of pairs to one, or read them as they are with --format text", len(paths)))
	}
	if ofPairs {
		return tune.New(tune.Default()), nil
	}
	delete(o, "format") // which is text
	t := text.New(text.DefaultTuned())
	own, whole := flagSet(tunedTextGroups(&t.Settings)), tune.Default()
	of := flagSet(completionGroups(&whole))
	for _, name := range o.names() {
		if own.Lookup(name) == nil && of.Lookup(name) != nil {
			return nil, cli.Usage(fmt.Errorf("--%s is for pairs, and %s is text; if it has pairs, say so with --format", name, data))
		}
	}
	return t, nil
}

// kindOf says what --data names: a file by its name and content; go is the Go source of this machine.
func kindOf(data string) (pairs.Kind, error) {
	if _, err := os.Stat(data); data == "go" && errors.Is(err, fs.ErrNotExist) {
		return pairs.KindText, nil
	}
	return pairs.Sniff(data)
}
