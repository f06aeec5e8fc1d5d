package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/generate"
)

// generateOptions say what is continued, and how.
type generateOptions struct {
	generate.Options
	from, prompt, promptIDs, input, output  string
	printIDs, asJSON, greedy, pastEnd, beam bool // beam: search, rather than sample
	verbatim                                bool // nothing comes after a prompt
	search                                  generate.SearchOptions
	grid, lora                              string // lora: folder of adapters
	batch                                   int    // prompts of input at a time
	engine                                  device
}

// choiceFlags say how tokens are chosen, and how many.
func choiceFlags(f *pflag.FlagSet, o *generate.Options, greedy *bool, most string) {
	f.IntVar(&o.MaxTokens, "max-tokens", o.MaxTokens, most)
	f.StringArrayVar(&o.Stop, "stop", nil, "`text` to end at; may be repeated")
	f.Float64Var(&o.Temperature, "temperature", o.Temperature, "higher surprises more")
	f.BoolVar(greedy, "greedy", false, "take the likeliest token (temperature 0)")
	f.IntVar(&o.TopK, "top-k", o.TopK, "choose among so many; 0 for all")
	f.Float64Var(&o.TopP, "top-p", o.TopP, "choose among this `share` of likelihood")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "seed of the choices")
}

// moreChoiceFlags are choiceFlags that few need.
func moreChoiceFlags(f *pflag.FlagSet, o *generate.Options) {
	f.IntVar(&o.MinTokens, "min-tokens", 0, "tokens before which a text does not end at an end token")
	f.Float64Var(&o.MinP, "min-p", o.MinP, "choose among tokens at least this `share` as likely as the most likely; 0 for all")
	f.Float64Var(&o.RepetitionPenalty, "repetition-penalty", o.RepetitionPenalty, "`divisor` of the logits of tokens that the text has; 1 for none")
}

// settleGreedy is temperature 0 for --greedy.
func settleGreedy(f *pflag.FlagSet, o *generate.Options, greedy bool) error {
	if greedy && f.Changed("temperature") && o.Temperature != 0 {
		return fmt.Errorf("--greedy is temperature 0, and --temperature %v; give one of them", o.Temperature)
	}
	if greedy {
		o.Temperature = 0
	}
	return nil
}

// settle completes o from the flags and arguments, and refuses what does not go
// together.
func (o *generateOptions) settle(f *pflag.FlagSet, args []string) error {
	if len(args) == 2 {
		if f.Changed("prompt") {
			return fmt.Errorf("the prompt is %q, and --prompt %q; give one of them", args[1], o.prompt)
		}
		if err := f.Set("prompt", args[1]); err != nil {
			return err
		}
		args = args[:1]
	}
	var err error
	if o.from, err = folderOf(args, o.from); err != nil {
		return err
	}
	flags := func(names ...string) (list []string) {
		for _, name := range names {
			if f.Changed(name) {
				list = append(list, "--"+name)
			}
		}
		return list
	}
	if list := flags("prompt", "prompt-ids", "input"); len(list) > 1 {
		return fmt.Errorf("%s; give one of them", strings.Join(list, " and "))
	}
	if o.beam = o.search.Beam != 0; o.beam {
		if list := flags("temperature", "greedy", "top-k", "top-p", "min-p", "repetition-penalty", "min-tokens", "seed", "no-cache"); len(list) > 0 {
			return fmt.Errorf("%s is for sampling, and --beam searches; give one of them", list[0])
		}
		if err := o.search.Validate(); err != nil {
			return err
		}
	} else if list := flags("length-penalty", "n-best"); len(list) > 0 {
		return fmt.Errorf("%s is for a search; give --beam too", list[0])
	}
	if f.Changed("prompt-ids") && o.promptIDs == "" {
		return errors.New("--prompt-ids is empty; give at least one token")
	}
	if o.batch < 1 || o.batch > maxPrompts {
		return fmt.Errorf("--batch %d: give 1 to %d", o.batch, maxPrompts)
	}
	if err := settleGreedy(f, &o.Options, o.greedy); err != nil {
		return err
	}
	if o.grid != "auto" {
		if _, err := bdia.ParseGrid(o.grid); err != nil {
			return fmt.Errorf("--grid: %w", err)
		}
	}
	if err := o.Validate(); err != nil {
		return err
	}
	return given(f).refuse(o.idle())
}

// parseIDs reads tokens as 1,2,3.
func parseIDs(text string, vocab int) ([]int32, error) {
	var ids []int32
	for part := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil || id < 0 || id >= int64(vocab) {
			return nil, fmt.Errorf("--prompt-ids: %q is no token; the model has 0 to %d", part, vocab-1)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// idsText is what parseIDs reads.
func idsText(ids []int32) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	return b.String()
}
