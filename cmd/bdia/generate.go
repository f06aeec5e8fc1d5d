package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
)

// maxPrompts bounds memory.
const maxPrompts = 1 << 10

func newGenerate() *cobra.Command {
	o := generateOptions{Options: generate.DefaultOptions(), search: generate.DefaultSearch()}
	c := &cobra.Command{
		Use:   "generate RUN [TEXT]",
		Short: "Continue a text with a trained model",
		Long: `Continue a text with the model in a run directory, in its best/ folder, or in a
Hugging Face folder of GPT-2, Llama, Qwen, Mistral, Granite or OLMo2. TEXT is the prompt;
so is --prompt. The text goes to standard output as it is made, up to --max-tokens, the
token for the end of a text, or a text of --stop, which is left out.

With --input, each line of a file is continued, by itself, and gives a line: the new
text alone, with its line breaks as spaces; an empty one for an empty line.

With --beam, the likeliest text is looked for instead of sampled; see bdia translate.
With --n-best, each text is a line of three columns between tabs: number of the
prompt, score, text.`,
		Example: `  bdia generate runs/quickstart "func main() {"
  bdia generate runs/shakespeare/best --greedy --max-tokens 100
  echo "To be" | bdia generate runs/shakespeare --prompt -
  bdia generate --from gpt2 --prompt-ids 464,2068 --print-ids --greedy
  bdia generate runs/e2e --input test.txt --output texts.txt --beam 10 --length-penalty 0.8`,
		Args: cli.Arguments(0, 2, "one run or model folder, and one text, in quotation marks if it has spaces"),
	}
	cli.Group(c, "Text", func(f *pflag.FlagSet) {
		f.StringVar(&o.from, "from", "", "`folder` of the model, if it is not the argument")
		f.StringVar(&o.prompt, "prompt", "\n", "`text` to continue; - for standard input")
		f.StringVar(&o.input, "input", "", "`file` with a prompt a line; - for standard input")
		f.StringVar(&o.output, "output", "", "`file` for the texts; - for standard output")
		f.BoolVar(&o.asJSON, "json", false, "print a JSON object for each prompt")
		cli.QuietFlag(f)
	})
	cli.Group(c, "Choice of tokens", func(f *pflag.FlagSet) {
		choiceFlags(f, &o.Options, &o.greedy, "tokens to generate at most")
	})
	cli.Group(c, "Search", func(f *pflag.FlagSet) {
		f.IntVar(&o.search.Beam, "beam", 0, "hypotheses to follow at a time; 0 samples")
		f.Float64Var(&o.search.LengthPenalty, "length-penalty", o.search.LengthPenalty, "`power` of the length")
		f.IntVar(&o.search.NBest, "n-best", o.search.NBest, "texts to print of each prompt")
	})
	cli.Rare(c, "tokens for text, and more ways to choose them", func(f *pflag.FlagSet) {
		f.StringVar(&o.promptIDs, "prompt-ids", "", "`tokens` to continue, as 1,2,3")
		f.BoolVar(&o.verbatim, "verbatim", false, "continue prompts as they are, also of a run that puts a separator after them")
		f.BoolVar(&o.printIDs, "print-ids", false, "print the new tokens instead of text")
		moreChoiceFlags(f, &o.Options)
		f.BoolVar(&o.pastEnd, "ignore-eos", false, "go on past the token for the end of a text")
	})
	cli.Rare(c, "inference", func(f *pflag.FlagSet) {
		f.StringVar(&o.grid, "grid", "auto", "fractional `bits` of the activations, none, or auto: as the run was trained")
		adapterFlag(f, &o.lora)
		f.IntVar(&o.batch, "batch", 8, "prompts of --input at a time")
		f.BoolVar(&o.NoCache, "no-cache", false, "compute the whole text again for each token: slow, in less memory")
		o.engine.flags(f)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.settle(cmd.Flags(), args); err != nil {
			return cli.Usage(err)
		}
		if err := checkEngine(o.engine.Options); err != nil {
			return err
		}
		if o.input == "" && o.prompt == "-" {
			text, err := io.ReadAll(io.LimitReader(cli.UntilDone(cmd.Context(), cmd.InOrStdin()), 64<<20))
			if err != nil {
				return fmt.Errorf("reading the prompt: %w", err)
			}
			o.prompt = strings.TrimSuffix(string(text), "\n")
		}
		return runGenerate(cmd, o)
	}
	return c
}
