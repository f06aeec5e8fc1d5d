package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

func newGenerate() *cobra.Command {
	o := generate.DefaultOptions()
	var engine train.EngineConfig
	var prompt string
	var greedy bool
	c := &cobra.Command{
		Use:   "generate RUN",
		Short: "Continue a text with a trained model",
		Long: `Continue a text with the model in a run directory, in its best/ folder, or in a
Hugging Face GPT-2 folder. The text goes to standard output as it is made.`,
		Example: `  bdia generate runs/quickstart --prompt "func main() {"
  bdia generate runs/shakespeare/best --greedy --max-tokens 100
  echo "To be" | bdia generate runs/shakespeare --prompt -`,
		Args: arguments(1, 1, "one run or model folder"),
	}
	group(c, "Text", func(f *pflag.FlagSet) {
		f.StringVar(&prompt, "prompt", "\n", "`text` to continue; - reads it from standard input")
		f.IntVar(&o.MaxTokens, "max-tokens", o.MaxTokens, "tokens to generate")
	})
	group(c, "Choice of tokens", func(f *pflag.FlagSet) {
		f.Float64Var(&o.Temperature, "temperature", o.Temperature, "higher is more surprising; 0 takes the most likely token")
		f.BoolVar(&greedy, "greedy", false, "take the most likely token (temperature 0)")
		f.IntVar(&o.TopK, "top-k", o.TopK, "choose among the k most likely tokens; 0 for all")
		f.Float64Var(&o.TopP, "top-p", o.TopP, "choose among the most likely tokens of this total `probability`")
		f.Uint64Var(&o.Seed, "seed", o.Seed, "seed of the choices")
	})
	group(c, "Other", func(f *pflag.FlagSet) { engineFlags(f, &engine) })
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if greedy {
			o.Temperature = 0
		}
		if err := o.Validate(); err != nil {
			return usage(err)
		}
		if err := checkEngine(engine); err != nil {
			return err
		}
		if prompt == "-" {
			text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 64<<20))
			if err != nil {
				return fmt.Errorf("reading the prompt: %w", err)
			}
			prompt = strings.TrimSuffix(string(text), "\n")
		}
		return runGenerate(cmd, args[0], prompt, o, engine)
	}
	return c
}

func runGenerate(cmd *cobra.Command, dir, prompt string, o generate.Options, engine train.EngineConfig) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	l, err := openDir(dir)
	if err != nil {
		return err
	}
	ids, err := l.tok.Encode([]byte(prompt))
	if err != nil && !cmd.Flags().Changed("prompt") { // a vocabulary without line breaks: start with its first token
		var first []byte
		ids = []int32{0}
		first, err = l.tok.Decode(ids)
		prompt = string(first)
	}
	if err != nil {
		return fmt.Errorf("the prompt: %w", err)
	}
	if len(ids) == 0 {
		return usage(errors.New("the prompt is empty; give some text with --prompt"))
	}
	o.Grid = l.grid
	if err := l.load(engine, func(m *model.GPT) error { return generate.Rehearse(m, len(ids), o) }); err != nil {
		return err
	}
	defer l.be.Close()
	w := cmd.OutOrStdout()
	fmt.Fprint(w, prompt)
	var failed error
	err = generate.Tokens(l.model, ids, o, func(id int32) bool {
		text, err := l.tok.Decode([]int32{id})
		if err == nil {
			_, err = w.Write(text)
		}
		failed = err
		return err == nil && cmd.Context().Err() == nil
	})
	fmt.Fprintln(w)
	return errors.Join(err, failed)
}
