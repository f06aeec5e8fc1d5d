package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
)

// chatOptions say with which model one talks, and how.
type chatOptions struct {
	generate.Options
	from, system, grid, lora string
	asJSON, greedy           bool
	positions                int // 0: as many as the model has, up to a limit
	engine                   device
}

// answerTokens is the largest length of an answer, unless it is named.
const answerTokens = 1024

func newChat() *cobra.Command {
	o := chatOptions{Options: generate.DefaultOptions()}
	o.MaxTokens = answerTokens
	c := &cobra.Command{
		Use:   "chat RUN [TEXT]",
		Short: "Talk with a trained model",
		Long: `Talk with the model in a run directory, in its best/ folder, or in a Hugging Face
folder. The model's own chat template writes the conversation; a run that learned
prompts without a template gets them as it learned them. Answers go to standard
output as they are made. With TEXT there is one question, and its answer.

On a terminal, Ctrl-C ends an answer, and Ctrl-D or a second Ctrl-C the
conversation; a line that ends with \ goes on in the next. ` + commandNames() + `

From a file or a pipe each line is a message, all of one conversation. With --json
each line is {"role": "user", "content": "Hello"}, or a whole conversation
{"messages": [...]} that begins anew; each answer is a line of JSON.

Temperature, top-k, top-p, min-p and the repetition penalty are those that the
model's generation_config.json names, if it names them and no flag does.`,
		Example: `  bdia chat Qwen2.5-0.5B-Instruct
  bdia chat runs/helper --system "Answer in one sentence." --temperature 0.7
  bdia chat runs/helper "What is the capital of France?"
  bdia chat runs/helper --greedy --json < questions.jsonl > answers.jsonl`,
		Args: cli.Arguments(0, 2, "one run or model folder, and one text, in quotation marks if it has spaces"),
	}
	cli.Group(c, "Conversation", func(f *pflag.FlagSet) {
		f.StringVar(&o.from, "from", "", "`folder` of the model, if it is not the argument")
		f.StringVar(&o.system, "system", "", "`text` that the system says first")
		openInt(f, &o.positions, 0, "context", fmt.Sprintf("`tokens` of the conversation that the model sees; auto: all that it can, up to %d", generate.DefaultChatPositions))
		f.BoolVar(&o.asJSON, "json", false, "read and print a JSON object a line")
		cli.QuietFlag(f)
	})
	cli.Group(c, "Choice of tokens", func(f *pflag.FlagSet) { choiceFlags(f, &o.Options, &o.greedy, "tokens of an answer at most") })
	cli.Rare(c, "more ways to choose tokens", func(f *pflag.FlagSet) { moreChoiceFlags(f, &o.Options) })
	cli.Rare(c, "inference", func(f *pflag.FlagSet) {
		f.StringVar(&o.grid, "grid", "auto", "fractional `bits` of the activations, none, or auto: as the run was trained")
		adapterFlag(f, &o.lora)
		o.engine.flags(f)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		text := ""
		if len(args) == 2 {
			if text, args = args[1], args[:1]; text == "" {
				return cli.Usage(errors.New("the text is empty; say something, or leave it out"))
			}
		}
		if err := o.settle(cmd.Flags(), args); err != nil {
			return cli.Usage(err)
		}
		if err := checkEngine(o.engine.Options); err != nil {
			return err
		}
		t, err := cli.AtOnce(cmd.Context(), func() (*talker, error) { return openTalk(cmd, o) })
		if err != nil {
			return err
		}
		defer t.close()
		if text != "" {
			return t.say(cmd.Context(), chat.Message{Role: "user", Content: text})
		}
		return t.run(cmd)
	}
	return c
}

// settle completes o from the flags and arguments.
func (o *chatOptions) settle(f *pflag.FlagSet, args []string) (err error) {
	if o.from, err = folderOf(args, o.from); err != nil {
		return err
	}
	if o.grid != autoWord {
		if _, err := bdia.ParseGrid(o.grid); err != nil {
			return fmt.Errorf("--grid: %w", err)
		}
	}
	if err := settleGreedy(f, &o.Options, o.greedy); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	return given(f).refuse(o.idle())
}

// advise takes the settings of sampling that the model's files name, unless a flag does.
func (o *chatOptions) advise(f *pflag.FlagSet, advised generate.Options) {
	if chance := slices.ContainsFunc([]string{"top-k", "top-p", "min-p", "seed"}, f.Changed); chance && advised.Temperature == 0 {
		advised.Temperature = o.Temperature // somebody wants chance
	}
	for name, to := range map[string]func(){
		"temperature":        func() { o.Temperature = advised.Temperature },
		"top-k":              func() { o.TopK = advised.TopK },
		"top-p":              func() { o.TopP = advised.TopP },
		"min-p":              func() { o.MinP = advised.MinP },
		"repetition-penalty": func() { o.RepetitionPenalty = advised.RepetitionPenalty },
	} {
		if !f.Changed(name) && !(name == "temperature" && o.greedy) {
			to()
		}
	}
}
